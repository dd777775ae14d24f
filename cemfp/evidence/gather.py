"""From a verdict that was just made to the bundle of all that it rests on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cemfp.evidence import bundle as names
from cemfp.evidence.asking import Asking, describe, in_log
from cemfp.evidence.bundle import Bundle
from cemfp.evidence.findings import DIFFERS
from cemfp.evidence.opening import Opening
from cemfp.evidence.problem import EvidenceError
from cemfp.evidence.recheck import Recheck
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.suspects import Suspect
from cemfp.suspects.querylog import read_log
from cemfp.verification import Verdict


def gather(
    fingerprint: Fingerprint,
    suspect: Suspect,
    verdict: Verdict,
    log: bytes,
    *,
    shown: str,
    options: Mapping[str, Any],
    limits: Mapping[str, Any],
    opening: Opening | None = None,
    roots: bytes | None = None,
) -> Bundle:
    """Put a bundle together, and check it as others will.

    Args:
        fingerprint: That was asked.
        suspect: As it was asked, with all that stood in front of it.
        verdict: That followed.
        log: Content of the query log's file.
        shown: The suspect's name for people.
        options: Arguments that `verify` got.
        limits: Budget and the like; JSON-able.
        opening: Of the fingerprint's commitment.
        roots: PEM file of the authority that stamped the commitment.

    Raises:
        EvidenceError: It would not pass the recheck; the message says why.
    """
    layers, takes = describe(suspect)
    head, record = read_log(log)
    asking = Asking(
        shown, head["suspect"], layers, takes, dict(options), dict(limits), in_log(record)
    )
    parts = {
        names.FINGERPRINT: fingerprint.to_bytes(),
        names.QUERIES: log,
        names.ASKING: asking.to_bytes(),
        names.VERDICT: (json.dumps(verdict.to_dict(), indent=2) + "\n").encode(),
    }
    if opening is not None:
        parts[names.COMMITMENT] = opening.commitment.to_bytes()
        parts[names.OPENING] = opening.to_bytes()
    if roots is not None:
        parts[names.TSA_ROOT] = roots
    made = names.new(parts)
    check(made)
    return made


def check(bundle: Bundle) -> None:
    """Raise `EvidenceError` if a bundle does not pass its recheck."""
    found = Recheck(names.from_bytes(bundle.to_bytes()))()
    wrong = [f"{one.part}: {one.text}" for one in found if one.status == DIFFERS]
    if wrong:
        raise EvidenceError(f"the evidence would not stand: {'; '.join(wrong)}")
