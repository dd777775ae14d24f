"""Who vouches for a commitment: the owner with a signature, an authority with a timestamp."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cemfp.evidence import timestamp as stamps
from cemfp.evidence.commitment import Commitment
from cemfp.evidence.findings import ABSENT, DIFFERS, OK, SHOWN, SKIPPED, Finding
from cemfp.evidence.problem import EvidenceError, expect

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SIGNATURE, _TIMESTAMP = "signature", "timestamp"


def signature(commitment: Commitment | None, public_key: str | None) -> Finding:
    """Check the owner's signature.

    Args:
        commitment: Of the owner; None if there is none.
        public_key: The owner's, 64 hexadecimal digits, which then has to have signed; None believes
            what the commitment says.
    """
    if commitment is None or commitment.signature is None:
        status = ABSENT if public_key is None else DIFFERS
        return Finding(_SIGNATURE, status, "there is no signed commitment")
    signed = commitment.signature
    try:
        signed.check(commitment.body)
        if public_key is not None:
            expect(signed.public_key == public_key, "the key you named", signed.public_key)
    except EvidenceError as error:
        return Finding(_SIGNATURE, DIFFERS, str(error))
    whose = "which you named" if public_key else "which the owner has to show to be his"
    return Finding(_SIGNATURE, OK, f"of the key {signed.public_key}, {whose}")


def timestamp(
    commitment: Commitment | None,
    roots: Sequence[Certificate] | None,
    *,
    own: bool,
    asked: str = "",
) -> Finding:
    """Check the timestamp.

    Args:
        commitment: That was stamped; None if there is none.
        roots: Certificates of authorities; None if there are none.
        own: Whether they came with the evidence, and not from who checks it, who then wants a
            timestamp.
        asked: When the suspect was first asked, if it was.
    """
    if commitment is None or commitment.timestamp is None:
        wanted = roots is not None and not own
        return Finding(_TIMESTAMP, DIFFERS if wanted else ABSENT, "there is no stamped commitment")
    stamped = commitment.timestamp
    if roots is None:
        return Finding(_TIMESTAMP, SKIPPED, "name the authority's certificates with --tsa-root")
    try:
        moment = stamped.check(commitment.signed, roots)
        before = datetime.datetime.fromisoformat(asked) if asked else None
        sound = before is None or moment <= before
        expect(sound, "a time before the suspect was asked", moment.isoformat())
    except (EvidenceError, TypeError, ValueError) as error:
        return Finding(_TIMESTAMP, DIFFERS, str(error))
    when = ", before the first question" if asked else ""
    trust = "; whether these certificates are its own, see elsewhere" if own else ""
    return Finding(_TIMESTAMP, OK, f"{moment.isoformat()}{when}, by {stamped.authority}{trust}")


def authority(content: bytes) -> tuple[list[Certificate], str]:
    """Return the certificates of a PEM file, and what to compare them by."""
    from cryptography.hazmat.primitives import hashes

    roots = stamps.read_roots(content)
    prints = ", ".join(root.fingerprint(hashes.SHA256()).hex()[: 2 * SHOWN] for root in roots)
    return roots, f"{len(roots)} root certificates, SHA-256 {prints}"
