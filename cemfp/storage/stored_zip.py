"""A ZIP whose members are not compressed: equal content gives equal bytes, and none can grow."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

# A ZIP cannot hold an earlier date; a fixed one makes equal content equal bytes.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_HEAD = 30  # bytes of a member's own header, before its name
_ERRORS = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    struct.error,
)


class ZipError(ValueError):
    """A file is no such ZIP; the message is one line without the file's name."""


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return a ZIP of named contents, in their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _NO_TIME)
            # ZipInfo records the operating system; the same file everywhere claims Unix.
            info.create_system = 3
            archive.writestr(info, content)
    return buffer.getvalue()


def unpack(data: bytes, *, most_bytes: int, most_members: int) -> tuple[dict[str, bytes], set[str]]:
    """Read a ZIP of unknown origin, believing no size before it is compared with what is there.

    Args:
        data: The file's content.
        most_bytes: It may have.
        most_members: It may have.

    Returns:
        The contents by name, in their order, and the names of those that are damaged.

    Raises:
        ZipError: It is no ZIP, too large, or a member is compressed or there twice.
    """
    if len(data) > most_bytes:
        raise ZipError(f"expected at most {most_bytes} bytes. Received: {len(data)}.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check(entries, len(data), most_members)
            found = {entry.filename: _content(archive, entry) for entry in entries}
    except ZipError:
        raise
    except _ERRORS as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise ZipError(f"damaged, cut short or no ZIP: {reason!a}.") from error
    damaged = {name for name, content in found.items() if content is None}
    as_it_is = {entry.filename: _raw(data, entry) for entry in entries if entry.filename in damaged}
    return {name: as_it_is.get(name) or content or b"" for name, content in found.items()}, damaged


def _check(entries: list[zipfile.ZipInfo], available: int, most_members: int) -> None:
    names = [entry.filename for entry in entries]
    if len(names) > most_members or len(set(names)) != len(names):
        raise ZipError(f"expected at most {most_members} members, each once.")
    if any(
        entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size
        for entry in entries
    ):
        raise ZipError("expected members that are not compressed.")
    if sum(entry.file_size for entry in entries) > available:
        raise ZipError("the members claim more bytes than the file has.")


def _raw(data: bytes, entry: zipfile.ZipInfo) -> bytes:
    """What stands where a member should; its name and an extra field precede it."""
    head = data[entry.header_offset : entry.header_offset + _HEAD]
    start = entry.header_offset + _HEAD + sum(struct.unpack("<HH", head[-4:].ljust(4, b"\0")))
    return data[start : start + entry.file_size]


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | None:
    try:
        return archive.read(entry)
    except _ERRORS:
        return None
