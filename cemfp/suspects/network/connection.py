"""What is typed on how a server is reached; without the HTTP library, which is slow to import."""

from __future__ import annotations

import dataclasses

from cemfp.suspects.pace import Pace

TIMEOUT = 60.0


@dataclasses.dataclass(frozen=True)
class Connection:
    """How servers are reached.

    Attributes:
        headers: As typed, `Name: value`; credentials as `${NAME}` of the environment.
        timeout: Seconds for one request, from its first to its last byte.
        pace: When to ask.
        output: Which of several outputs to read.
    """

    headers: tuple[str, ...] = ()
    timeout: float = TIMEOUT
    pace: Pace = dataclasses.field(default_factory=Pace)
    output: str | None = None
