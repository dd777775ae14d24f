"""What a check of evidence found, one line for each part."""

from __future__ import annotations

import dataclasses

OK, DIFFERS, ABSENT, SKIPPED = "ok", "differs", "absent", "not checked"
SHOWN = 16  # digits of a hash


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        part: What was checked, in words.
        status: `OK`, `DIFFERS`, `ABSENT` or `SKIPPED`.
        text: What holds, or what is wrong.
    """

    part: str
    status: str
    text: str


class Skipped(Exception):
    """A check cannot be made, through no fault of the part."""
