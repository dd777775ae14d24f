"""What a query log says, line by line; see `querylog` for what is in one."""

from __future__ import annotations

import io
import json
import math
import re
from typing import Any

from cemfp.suspects.chain import unchained

FORMAT, UNCHAINED = "cemfp query log 2", "cemfp query log 1"
ASKED, ANSWERED = "asked", "answered"
LONGEST_LINE = 1 << 24
BROKEN = "is damaged, or does not follow from the line before"
ANOTHER = "another file"

Row = int | list[int] | list[float]  # a label, or scores

_DIGEST = re.compile("[0-9a-f]{64}")
_TIME = re.compile(r"[0-9T:.+-]{10,40}")
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # JSON has none of them


class LogError(ValueError):
    """A file is no log, is damaged, or is the log of something else; the message names it."""


class Record:
    """What the lines of a log say, taken in one after the other.

    Attributes:
        answers: What each input was answered, by its SHA-256.
        refused: Inputs that were asked and once not answered.
        asked: Number of queries, those that were not answered included.
        chain: Hash of all lines so far.
        began, ended: Times of the first and the last line about an input; "" before there are any.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Row] = {}
        self.refused: set[str] = set()
        self.asked, self.chain, self.began, self.ended = 0, "", "", ""

    def take(self, raw: bytes) -> bool:
        """Take a line in; returns whether it is one and follows those before."""
        try:
            found = unchained(raw, self.chain)
        except (ValueError, RecursionError):
            return False
        if found is None or not self._take(found[0]):
            return False
        self.chain = found[1]
        return True

    def _take(self, line: Any) -> bool:
        """Count what a line says; returns whether it says anything."""
        if not isinstance(line, dict) or not isinstance(line.get("status"), str):
            return False
        digest, time = line.get("input"), line.get("time")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return False
        if not isinstance(time, str) or not _TIME.fullmatch(time):
            return False
        self.began, self.ended = self.began or time, time
        self.asked += line["status"] == ASKED
        if line["status"] == ANSWERED:
            row = _from_json(line.get("answer"))
            if row is None:
                return False
            self.answers.setdefault(digest, row)
        elif line["status"] != ASKED:
            self.refused.add(digest)
        return True


def read_log(content: bytes) -> tuple[dict[str, Any], Record]:
    """Read a whole log that nobody writes to.

    Returns:
        What the first line says, and what all others do.

    Raises:
        LogError: It names the first line that is damaged, or does not follow the one before it.
    """
    record, lines = Record(), io.BytesIO(content)
    first = lines.readline(LONGEST_LINE)
    head = head_of(first)
    if head is None:
        raise LogError(f"expected a log of {FORMAT!r}. Received: {what_it_is(first)}")
    record.chain = head.pop("chain")
    for number, raw in enumerate(iter(lambda: lines.readline(LONGEST_LINE), b""), start=2):
        if not record.take(raw):
            raise LogError(f"line {number} {BROKEN}")
    return head, record


def head_of(raw: bytes) -> dict[str, Any] | None:
    """Return what a first line says, its chain included; None if it is none."""
    try:
        found = unchained(raw, "")
    except (ValueError, RecursionError):
        return None
    if found is None or not isinstance(found[0], dict) or found[0].get("format") != FORMAT:
        return None
    return {**found[0], "chain": found[1]}


def what_it_is(raw: bytes) -> str:
    """What a file is that does not begin as a log, for people."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return ANOTHER
    said = found.get("format") if isinstance(found, dict) else None
    if said == UNCHAINED:
        return f"a log of {UNCHAINED!r}, whose lines do not hang together"
    return "a log whose first line was changed" if said == FORMAT else ANOTHER


def to_json(row: Row) -> Any:
    """Return an answer as JSON can hold it."""
    if isinstance(row, int):
        return row
    return [x if math.isfinite(x) else str(x) for x in row]


def _from_json(value: Any) -> Row | None:
    """Return an answer as it was before `to_json`; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if not isinstance(value, list):
        return None
    row: list[Any] = [_NOT_FINITE.get(x) if isinstance(x, str) else x for x in value]
    sound = all(isinstance(x, int | float) and not isinstance(x, bool) for x in row)
    return row if sound else None
