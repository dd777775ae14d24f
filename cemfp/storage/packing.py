"""An entry of a store as one ZIP file, and back, with nothing believed of a ZIP from elsewhere.

The files are not compressed: weights hardly shrink, and what is not compressed cannot unpack to
more bytes than it has.
"""

from __future__ import annotations

import io
import json
import shutil
import stat
import struct
import zipfile
from pathlib import Path, PurePosixPath

from cemfp.storage.store import MANIFEST, CorruptEntry

_MAX_MANIFEST_BYTES = 1 << 26
_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
)


def pack(entry: Path, archive: Path) -> None:
    """Write all files of the directory `entry` to the ZIP file `archive`, the manifest last."""
    names = {path.relative_to(entry).as_posix() for path in entry.rglob("*") if path.is_file()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as target:
        for name in [*sorted(names - {MANIFEST}), MANIFEST]:
            target.write(entry / name, name)


def manifest_in(end: bytes) -> bytes | None:
    """Return the manifest in the last bytes of what `pack` wrote; None if they do not hold it."""
    try:
        with zipfile.ZipFile(io.BytesIO(end)) as source:
            member = source.getinfo(MANIFEST)
            if _what_is_wrong(member) or member.file_size > len(end):
                return None
            return source.read(member)
    except (*_DAMAGE, KeyError, OSError):
        return None


def unpack(archive: Path, entry: Path) -> None:
    """Fill the empty directory `entry` from what `pack` wrote; hashes are left to the store.

    Raises:
        CorruptEntry: the ZIP is damaged, has a member that `pack` does not write (compressed, a
            link, a name that leads elsewhere), or other files or sizes than its manifest says.
    """
    try:
        source = zipfile.ZipFile(archive)
    # Offsets that make no sense end in seeks that the operating system refuses.
    except (*_DAMAGE, OSError) as error:
        raise CorruptEntry(f"expected a packed entry. Received: a damaged one ({error})") from error
    with source:
        members = source.infolist()
        _check_members(members, archive.stat().st_size)
        try:
            _check_against_manifest(members, source)
            for member in members:
                _extract(source, member, entry / member.filename)
        except _DAMAGE as error:
            raise CorruptEntry(
                f"expected a packed entry. Received: a damaged one ({error})"
            ) from error


def _check_members(members: list[zipfile.ZipInfo], available: int) -> None:
    for member in members:
        wrong = _what_is_wrong(member)
        if wrong:
            raise CorruptEntry(
                f"expected plain files in a packed entry. Received: {member.filename!r}, {wrong}"
            )
    names = [member.filename for member in members]
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    if len(set(names)) != len(names) or folders & set(names):
        raise CorruptEntry("expected every name once in a packed entry. Received: one twice")
    claimed = sum(member.file_size for member in members)
    if claimed > available:
        raise CorruptEntry(
            f"expected at most the {available} bytes of the packed entry. Received: {claimed}"
        )


def _what_is_wrong(member: zipfile.ZipInfo) -> str | None:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
        return "a name that leads elsewhere"
    if member.filename in ("", ".") or path.as_posix() != member.filename:
        return "a name of another form"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return "a link or a special file"
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        return "compressed"
    if member.header_offset < 0:
        return "in no place"
    return None


def _check_against_manifest(members: list[zipfile.ZipInfo], source: zipfile.ZipFile) -> None:
    """Refuse a wrong size before it is written; the store checks the manifest's seal after that."""
    sizes = {member.filename: member.file_size for member in members}
    if sizes.pop(MANIFEST, _MAX_MANIFEST_BYTES + 1) > _MAX_MANIFEST_BYTES:
        raise CorruptEntry(
            f"expected a {MANIFEST} of at most {_MAX_MANIFEST_BYTES} bytes. Received: none such"
        )
    try:
        files = json.loads(source.read(MANIFEST))["files"]
        expected = {name: file["size"] for name, file in files.items()}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptEntry(f"expected a readable {MANIFEST}. Received: {error!r}") from error
    if sizes != expected:
        names = sorted(name for name in sizes | expected if sizes.get(name) != expected.get(name))
        raise CorruptEntry(
            f"expected the files and sizes of the {MANIFEST}. Received: others, first {names[0]!r}"
        )


def _extract(source: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(member) as packed, open(target, "xb") as file:
        shutil.copyfileobj(packed, file)
