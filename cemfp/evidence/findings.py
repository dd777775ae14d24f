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

    def __post_init__(self) -> None:
        # A stranger's words may be in it: nothing that a terminal obeys.
        plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in self.text)
        object.__setattr__(self, "text", plain)


class Skipped(Exception):
    """A check cannot be made, through no fault of the part."""
