"""The evidence in one file: a ZIP of plain parts, each with its hash, and no code.

    manifest.json       date, version, size and SHA-256 of every part
    manifest.sha256     SHA-256 of manifest.json
    fingerprint.cemfp   what was asked, and the key
    queries.jsonl       every query and answer; the lines hang together
    asking.json         how it was asked, see `asking`
    verdict.json        what followed
    commitment.json     } if the fingerprint was committed to: what was published,
    opening.json        } and all that shows that it was this fingerprint
    tsa-root.pem        } and certificates of the authority that stamped it
    report.json         } what `cemfp report` wrote
    report.html         }

The hashes find damage. Who rewrites the file can rewrite them; `recheck` says what else holds.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cemfp import __version__
from cemfp.evidence.problem import EvidenceError, expect, fields_of, read_object
from cemfp.storage import stored_zip
from cemfp.storage.files import hash_bytes

FORMAT = "cemfp evidence 2"  # 1 had other null keys
MANIFEST, MANIFEST_HASH = "manifest.json", "manifest.sha256"
FINGERPRINT, QUERIES, ASKING = "fingerprint.cemfp", "queries.jsonl", "asking.json"
VERDICT, COMMITMENT, OPENING = "verdict.json", "commitment.json", "opening.json"
TSA_ROOT, REPORT, PAGE = "tsa-root.pem", "report.json", "report.html"
NEEDED = (FINGERPRINT, QUERIES, ASKING, VERDICT)
PARTS = (*NEEDED, COMMITMENT, OPENING, TSA_ROOT, REPORT, PAGE)
MOST_BYTES = 1 << 30


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Parts by name, and when they were put together.

    Attributes:
        parts: Contents of some of `PARTS`.
        made: When, by the clock of who made it.
        version: Of this package, that made it.
    """

    parts: Mapping[str, bytes]
    made: str
    version: str = __version__

    def to_bytes(self) -> bytes:
        """The file's content; equal parts and dates give equal bytes."""
        parts = {name: self.parts[name] for name in PARTS if name in self.parts}
        said = {"format": FORMAT, "version": self.version, "made": self.made}
        described = {name: _described(content) for name, content in parts.items()}
        manifest = (json.dumps({**said, "parts": described}, indent=2) + "\n").encode()
        digest = hash_bytes(manifest).encode()
        return stored_zip.pack({MANIFEST: manifest, MANIFEST_HASH: digest, **parts})


@dataclasses.dataclass(frozen=True)
class Read:
    """A bundle of unknown origin, read as far as it goes.

    Attributes:
        bundle: Parts that are readable, damaged ones too.
        damaged: What is not as the hashes say -> what is wrong.
        sha256: Of the file.
        size: In bytes.
    """

    bundle: Bundle
    damaged: Mapping[str, str]
    sha256: str
    size: int


def new(parts: Mapping[str, bytes]) -> Bundle:
    """Put parts together, now."""
    return Bundle(parts, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))


def read(path: Path) -> Read:
    """Read a bundle; damage to a part is told, not raised.

    Raises:
        EvidenceError: It is none: no ZIP, or without a manifest or a needed part.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    try:
        return from_bytes(data)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error}") from error


def from_bytes(data: bytes) -> Read:
    """Read a bundle's content; see `read`."""
    try:
        members, wrong = stored_zip.unpack(data, most_bytes=MOST_BYTES, most_members=len(PARTS) + 2)
    except stored_zip.ZipError as error:
        raise EvidenceError(f"expected a bundle of evidence. Received: {error}") from error
    missing = [name for name in (MANIFEST, MANIFEST_HASH, *NEEDED) if name not in members]
    expect(not missing, "a bundle of evidence", f"a ZIP without {', '.join(missing)}")
    unknown = sorted(members.keys() - {MANIFEST, MANIFEST_HASH, *PARTS})
    expect(not unknown, f"parts among {', '.join(PARTS)}", ", ".join(unknown))
    damaged = dict.fromkeys(sorted(wrong), "damaged")
    made, version, described = "", "", None
    try:
        made, version, described = _manifest(members)
    except EvidenceError as error:
        damaged[MANIFEST] = str(error)
    parts = {name: members[name] for name in PARTS if name in members}
    if described is not None:
        damaged |= _differences(parts, described)
    bundle = Bundle(parts, made, version)
    if not damaged and bundle.to_bytes() != data:
        damaged["the archive"] = "there are other bytes than those of its parts"
    return Read(bundle, damaged, hash_bytes(data), len(data))


def _manifest(members: Mapping[str, bytes]) -> tuple[str, str, dict[str, Any]]:
    """Return date, version and the parts' description."""
    content, digest = members[MANIFEST], members[MANIFEST_HASH]
    if digest != hash_bytes(content).encode():
        raise EvidenceError("it does not match its hash")
    said = read_object(content, "the manifest of a bundle")
    fields_of(said, {"format", "version", "made", "parts"}, "the manifest of a bundle")
    expect(said["format"] == FORMAT, f"the format {FORMAT!r}", said["format"])
    for name in ("made", "version"):
        plain = isinstance(said[name], str) and said[name].isprintable() and len(said[name]) < 100
        expect(plain, "a date and a version", said[name])
    expect(isinstance(said["parts"], dict), "a description of parts", said["parts"])
    return said["made"], said["version"], said["parts"]


def _differences(parts: Mapping[str, bytes], described: Mapping[str, Any]) -> dict[str, str]:
    found = {
        name: "it does not match its hash in the manifest"
        for name, content in parts.items()
        if described.get(name) != _described(content)
    }
    found |= {
        name if name in PARTS else MANIFEST: "it is missing, but the manifest has it"
        for name in described.keys() - parts.keys()
    }
    return found


def _described(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hash_bytes(content)}
