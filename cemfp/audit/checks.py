"""What a check of an audit says: a status, a sentence and its numbers."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable
from typing import Any


class AuditError(ValueError):
    """What the judge gave cannot be used for an audit; the message says what to change."""


class Status(enum.StrEnum):
    """The three outcomes of a check; OPEN: what was given does not suffice to say."""

    PASSED = "passed"
    OPEN = "open"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of an audit.

    Attributes:
        name: What was checked, in a word.
        status: Its outcome.
        text: Why, with numbers; of an open check also what is missing.
        numbers: The same for programs, JSON-able.
    """

    name: str
    status: Status
    text: str
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-able."""
        return {**dataclasses.asdict(self), "status": str(self.status)}


def of(name: str, problems: Iterable[str], passed: str, **numbers: Any) -> Check:
    """Return a check that failed if there are any problems, and says them; else it passed."""
    found = "; ".join(problems)
    status = Status.FAILED if found else Status.PASSED
    return Check(name, status, found or passed, numbers)


def missing(name: str, text: str, **numbers: Any) -> Check:
    """Return a check that nobody can make with what was given."""
    return Check(name, Status.OPEN, text, numbers)


def worst(checks: Iterable[Check]) -> Status:
    """Return FAILED if any check failed, else OPEN if any is open, else PASSED."""
    found = {check.status for check in checks}
    return next((s for s in (Status.FAILED, Status.OPEN) if s in found), Status.PASSED)
