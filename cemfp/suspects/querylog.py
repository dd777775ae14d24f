"""What a suspect was asked and answered: a file of JSON lines that only grows.

The first line says what the log is of. Each other line is an input and what became of it:

    {"time": "2026-01-31T12:00:00.000+00:00", "input": SHA-256, "status": "asked", "chain": ...}
    {"time": ..., "input": ..., "status": "answered", "answer": 3 or [0.1, 0.9], "chain": ...}

`chain` is a hash of the line and of all before it, see `chain`: no line can be changed, taken out,
put in or moved without the first wrong one being named. Whoever knows the last hash knows whether
the end was cut off. Logs of format 1 have no such hashes, and are refused.

Any other status, 503 say, is the reason for which there was no answer. A line is on the disk
before the query leaves, so that the number of lines with "asked" is never below that of queries.
"""

from __future__ import annotations

import datetime
import fcntl
import io
import json
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cemfp.suspects.chain import chained, unchained

FORMAT, UNCHAINED = "cemfp query log 2", "cemfp query log 1"
ASKED, ANSWERED = "asked", "answered"
LONGEST_LINE = 1 << 24
BROKEN = "is damaged, or does not follow from the line before"

Row = int | list[int] | list[float]  # a label, or scores

_DIGEST = re.compile("[0-9a-f]{64}")
_TIME = re.compile(r"[0-9T:.+-]{10,40}")
_ANOTHER = "another file"
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
    head = _head(first)
    if head is None:
        raise LogError(f"expected a log of {FORMAT!r}. Received: {_what(first)}")
    record.chain = head.pop("chain")
    for number, raw in enumerate(iter(lambda: lines.readline(LONGEST_LINE), b""), start=2):
        if not record.take(raw):
            raise LogError(f"line {number} {BROKEN}")
    return head, record


class QueryLog(Record):
    """The queries of one suspect, in memory and in a file, if there is one.

    Attributes:
        path: The file; it is locked until `close`.
        repaired: Whether the last line was damaged, and was cut off.
    """

    def __init__(self, path: Path | None = None, about: Mapping[str, str] | None = None) -> None:
        """Start a log, or go on with the one that is there.

        Args:
            path: Where to; None keeps it in memory.
            about: What it is a log of; a file that says something else is refused.

        Raises:
            LogError: The file is no log, of something else, damaged, or in use.
            OSError: It cannot be read or written.
        """
        super().__init__()
        self.path, self.repaired = path, False
        self._file: io.FileIO | None = None
        if path is not None:
            self._file = _open(path)
            try:
                self._read({"format": FORMAT, **(about or {})})
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> QueryLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def add(self, status: str, digests: Sequence[str], rows: Iterable[Row] = ()) -> None:
        """Append one line for each input; on return they are on the disk.

        Args:
            status: `ASKED`, `ANSWERED`, or in a word why there was no answer.
            digests: SHA-256 of each input (n,).
            rows: Their answers (n,), if they were answered.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        lines: list[dict[str, Any]] = [
            {"time": now, "input": digest, "status": status} for digest in digests
        ]
        for line, row in zip(lines, rows, strict=False):
            line["answer"] = _to_json(row)
        self._append(lines)
        for line in lines:
            self._take(line)

    def _read(self, head: dict[str, str]) -> None:
        assert self._file is not None and self.path is not None
        (first, chain), sound = chained(head, ""), 0
        with open(self.path, "rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
                if number == 1 and raw != first:
                    self._check_head(raw, head, first)
                    break
                if number == 1:
                    self.chain = chain
                elif not raw.endswith(b"\n") and not file.read(1):
                    self.repaired = True  # cut off by a crash
                    break
                elif not self.take(raw):
                    raise LogError(
                        f"{self.path}: line {number} {BROKEN}; name another file with --log"
                    )
                sound += len(raw)
        os.ftruncate(self._file.fileno(), sound)
        if not sound:
            self._append([dict(head)])

    def _check_head(self, raw: bytes, head: dict[str, str], first: bytes) -> None:
        """Refuse a file that begins otherwise, but for one whose first line was cut off."""
        if not raw.endswith(b"\n") and first.startswith(raw):
            return
        found = _head(raw)
        if found is None:
            what = _what(raw)
            do = "; name another file with --log" if what != _ANOTHER else ""
            raise LogError(f"{self.path}: expected a query log. Received: {what}{do}")
        other = [key for key in head if head[key] != found.get(key)]
        raise LogError(
            f"{self.path}: expected the log of this {' and this '.join(other)}. Received: the log "
            "of another; name another file with --log"
        )

    def _append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        if self._file is None:
            return
        chain, whole = self.chain, []
        for line in lines:
            raw, chain = chained(line, chain)
            whole.append(raw)
        # One write, so that a crash leaves at most the last line in pieces.
        self._file.write(b"".join(whole))
        os.fsync(self._file.fileno())
        self.chain = chain


def _head(raw: bytes) -> dict[str, Any] | None:
    """Return what a first line says, its chain included; None if it is none."""
    try:
        found = unchained(raw, "")
    except (ValueError, RecursionError):
        return None
    if found is None or not isinstance(found[0], dict) or found[0].get("format") != FORMAT:
        return None
    return {**found[0], "chain": found[1]}


def _what(raw: bytes) -> str:
    """What a file is that does not begin as a log, for people."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return _ANOTHER
    said = found.get("format") if isinstance(found, dict) else None
    if said == UNCHAINED:
        return f"a log of {UNCHAINED!r}, whose lines do not hang together"
    return "a log whose first line was changed" if said == FORMAT else _ANOTHER


def _open(path: Path) -> io.FileIO:
    """Open a file to append to, for its owner's eyes, and lock it."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
    file = io.FileIO(descriptor, "a+")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise LogError(f"{path}: expected a query log. Received: no regular file")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise LogError(f"{path}: another verification writes to this log; wait for it") from error
    return file


def _to_json(row: Row) -> Any:
    if isinstance(row, int):
        return row
    return [x if math.isfinite(x) else str(x) for x in row]


def _from_json(value: Any) -> Row | None:
    """Return an answer as it was before `_to_json`; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if not isinstance(value, list):
        return None
    row: list[Any] = [_NOT_FINITE.get(x) if isinstance(x, str) else x for x in value]
    sound = all(isinstance(x, int | float) and not isinstance(x, bool) for x in row)
    return row if sound else None
