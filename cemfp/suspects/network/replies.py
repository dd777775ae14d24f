"""What a server answered: a success, no for now, or no."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import re
import time
from collections.abc import Mapping

from cemfp.suspects.base import SuspectError, TryAgain
from cemfp.suspects.network.reading import load, said

PASSING = (408, 425, 429)  # and 500 to 599


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a server answered: status, headers (lower case), and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refused(SuspectError):
    """A server said no.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def checked(reply: Reply, path: str) -> Reply:
    """Return a reply that is a success; `path` is where it came from.

    Raises:
        TryAgain: The server is busy.
        Refused: It says no.
    """
    if 200 <= reply.status < 300:
        return reply
    text = f"the server answers {reply.status}{said(reply.body)}"
    if reply.status in PASSING or reply.status >= 500:
        raise TryAgain(text, after=_wait(reply), status=str(reply.status))
    found = re.search("/v([12])/models/", path)
    if found and reply.status in (404, 405):
        # Servers of one protocol know nothing of the other's addresses.
        other = {"1": "2", "2": "1"}[found[1]]
        text = (
            f"{text.removesuffix('.')}; is it there, or at /v{other}/models/, the other protocol?"
        )
    raise Refused(text, reply.status)


def _wait(reply: Reply) -> float | None:
    """Seconds after which a server wants to be asked again, if it says so."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        estimate = load(reply.body).get("estimated_time")
        if isinstance(estimate, int | float) and 0 <= estimate < 1e9:
            return float(estimate)
    return None
