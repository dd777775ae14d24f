"""From a verdict that was just made to the bundle of all that it rests on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cemfp.evidence import bundle as names
from cemfp.evidence import report as reports
from cemfp.evidence.asking import Asking, describe, in_log
from cemfp.evidence.bundle import Bundle, Read
from cemfp.evidence.findings import DIFFERS
from cemfp.evidence.opening import Opening
from cemfp.evidence.page import page
from cemfp.evidence.problem import EvidenceError
from cemfp.evidence.recheck import Recheck
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.storage.files import write_atomic
from cemfp.suspects import Suspect
from cemfp.suspects.record import read_log
from cemfp.verification import Verdict


def gather(
    fingerprint: Fingerprint,
    suspect: Suspect,
    verdict: Verdict,
    log: bytes,
    *,
    shown: str,
    sha256: str,
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
        sha256: Of its files; "" for one that has none.
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
        shown, head["suspect"], sha256, layers, takes, dict(options), dict(limits), in_log(record)
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


def check(made: Bundle | Read) -> None:
    """Raise `EvidenceError` if a bundle does not pass its recheck."""
    read = made if isinstance(made, Read) else names.from_bytes(made.to_bytes())
    found = Recheck(read)()
    wrong = [f"{one.part}: {one.text}" for one in found if one.status == DIFFERS]
    if wrong:
        raise EvidenceError(f"the evidence would not stand: {'; '.join(wrong)}")


def add_report(path: Path, added: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Make the report of a bundle, and write it into the bundle.

    Args:
        path: Of the bundle.
        added: Fields of `report.Given` beside date and file.

    Returns:
        The report as JSON and as a page.

    Raises:
        EvidenceError: The bundle does not pass its recheck.
    """
    read = names.read(path)
    old = {n: c for n, c in read.bundle.parts.items() if n not in (names.REPORT, names.PAGE)}
    plain = dataclasses.replace(read.bundle, parts=old)
    check(plain if old != read.bundle.parts else read)
    facts = reports.facts(old, reports.given(path.name, **added))
    made = reports.to_bytes(facts), page(facts).encode()
    new = dataclasses.replace(plain, parts={**old, names.REPORT: made[0], names.PAGE: made[1]})
    write_atomic(path, new.to_bytes())
    return made
