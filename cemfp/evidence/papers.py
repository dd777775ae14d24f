"""Checks any file of evidence by what it is: a bundle, an opening, a commitment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cemfp.evidence import bundle, commitment, opening, vouched
from cemfp.evidence.commitment import Commitment
from cemfp.evidence.findings import DIFFERS, OK, SHOWN, Finding
from cemfp.evidence.opening import Opening
from cemfp.evidence.problem import LARGEST_JSON, EvidenceError, read_object
from cemfp.evidence.recheck import Recheck

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def check_path(
    path: Path, *, roots: Sequence[Certificate] | None = None, public_key: str | None = None
) -> list[Finding]:
    """Check a file of unknown origin.

    Args:
        path: A bundle, an opening or a commitment.
        roots: Certificates of timestamp authorities that one trusts.
        public_key: The owner's, 64 hexadecimal digits.

    Raises:
        EvidenceError: It is none of them.
    """
    with path.open("rb") as file:
        start = file.read(LARGEST_JSON + 1)
    if start.lstrip()[:1] != b"{":
        return Recheck(bundle.read(path), roots=roots, public_key=public_key)()
    try:
        found, made = _parts(start)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error}") from error
    found.append(vouched.signature(made, public_key))
    return [*found, vouched.timestamp(made, roots, own=False)]


def _parts(content: bytes) -> tuple[list[Finding], Commitment]:
    """Return what there is to say before anybody vouches for it, and the commitment."""
    kind = read_object(content, "evidence").get("format")
    if kind == opening.FORMAT:
        opened = Opening.from_bytes(content)
        return [_commitment(opened.commitment), _opening(opened)], opened.commitment
    if kind == commitment.FORMAT:
        made = Commitment.from_bytes(content)
        return [_commitment(made)], made
    raise EvidenceError("expected a bundle, an opening or a commitment. Received: another file.")


def _commitment(made: Commitment) -> Finding:
    parts = ", ".join(f"{count} inputs {name}" for name, count in made.parts.items())
    return Finding("commitment", OK, f"root {made.root[:SHOWN]}, made {made.made}: {parts}")


def _opening(opened: Opening) -> Finding:
    try:
        opened.check()
    except EvidenceError as error:
        return Finding("opening", DIFFERS, str(error))
    names = ", ".join(opened.name(leaf) for leaf in opened.leaves)
    return Finding("opening", OK, f"committed to as {opened.part}: {names[:400]}")
