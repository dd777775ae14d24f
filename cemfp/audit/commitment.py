"""Was this very fingerprint there before the suspect?"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cemfp.audit.checks import AuditError, Check, Status, missing, of
from cemfp.evidence.opening import Opening
from cemfp.evidence.problem import EvidenceError
from cemfp.fingerprint.artifact import Fingerprint

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclasses.dataclass(frozen=True)
class Papers:
    """What shows when a fingerprint was fixed.

    Attributes:
        opening: All leaves of the commitment to it.
        roots: Certificates of timestamp authorities that the judge trusts.
        public_key: The owner's, 64 hexadecimal digits.
        suspect: When the suspect was first seen.
    """

    opening: Opening
    roots: Sequence[Certificate] | None = None
    public_key: str | None = None
    suspect: datetime.datetime | None = None


def check_commitment(fingerprint: Fingerprint, papers: Papers | None) -> Check:
    """Check commitment, signature and timestamp, and that the suspect came later."""
    if papers is None:
        return missing(
            "commitment", "not shown: ask the owner for `cemfp open FILE`, and name it with "
            "--opening; without it keys may have been chosen when the suspect was known"
        )  # fmt: skip
    made = papers.opening.commitment
    problems: list[str] = []
    gaps: list[str] = []
    try:
        papers.opening.check()
        other = papers.opening.compare(fingerprint)
        if other:
            more = f" and {len(other) - 1} other leaves" if other[1:] else ""
            problems.append(f"not as it was committed to: {other[0]}{more}")
    except EvidenceError as error:
        problems.append(str(error))
    problems += _signature_problems(papers, gaps)
    moment = _moment(papers, problems, gaps)
    if moment is not None and papers.suspect is not None and moment >= papers.suspect:
        problems.append(
            f"it was stamped on {_date(moment)}, the suspect was there on {_date(papers.suspect)}"
        )
    numbers = {"root": made.root, "stamped": None if moment is None else moment.isoformat()}
    if problems or not gaps:
        when = "" if moment is None or papers.suspect is None else (
            f", stamped on {_date(moment)}, before the suspect ({_date(papers.suspect)})"
        )  # fmt: skip
        passed = f"all of the fingerprint was committed to, signed{when}"
        return of("commitment", problems, passed, **numbers)
    return Check("commitment", Status.OPEN, "; ".join(gaps), numbers)


def parse_date(text: str) -> datetime.datetime:
    """Return a date, or a date with its time; without a time zone it is UTC.

    Raises:
        AuditError: It is none.
    """
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise AuditError(
            f"expected a date as in 2026-11-29 or 2026-11-29T10:00+01:00. Received: {text!r}"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _signature_problems(papers: Papers, gaps: list[str]) -> list[str]:
    """Return what is wrong with the signature; put what is missing into `gaps`."""
    made = papers.opening.commitment
    if made.signature is None:
        gaps.append("the commitment is not signed")
        return []
    try:
        made.signature.check(made.body)
    except EvidenceError as error:
        return [str(error)]
    if papers.public_key is None:
        gaps.append("whose signature it is takes the owner's public key (--public-key)")
    elif papers.public_key != made.signature.public_key:
        return ["the signature is of another key than the owner's"]
    return []


def _moment(papers: Papers, problems: list[str], gaps: list[str]) -> datetime.datetime | None:
    """Return the time of the stamp; put what is wrong or missing into the lists."""
    made = papers.opening.commitment
    if papers.suspect is None:
        gaps.append("when the suspect was first seen was not said (--suspect-date)")
    if made.timestamp is None:
        gaps.append("the commitment is not stamped: its date is the owner's word")
        return None
    if papers.roots is None:
        gaps.append("the stamp takes the authority's certificates (--tsa-root)")
        return None
    try:
        return made.timestamp.check(made.signed, papers.roots)
    except EvidenceError as error:
        problems.append(str(error))
        return None


def _date(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
