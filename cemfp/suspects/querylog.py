"""What a suspect was asked and answered: a file of JSON lines that only grows.

The first line says what the log is of. Each other line is an input and what became of it:

    {"time": "2026-01-31T12:00:00.000+00:00", "input": SHA-256, "status": "asked"}
    {"time": ..., "input": ..., "status": "answered", "answer": 3 or [0.1, 0.9]}

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

FORMAT = "cemfp query log 1"
ASKED, ANSWERED = "asked", "answered"
LONGEST_LINE = 1 << 24

Row = int | list[int] | list[float]  # a label, or scores

_DIGEST = re.compile("[0-9a-f]{64}")
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # JSON has none of them


class LogError(ValueError):
    """A file is no log, is damaged, or is the log of something else; the message names it."""


class QueryLog:
    """The queries of one suspect, in memory and in a file, if there is one.

    Attributes:
        path: The file; it is locked until `close`.
        answers: What each input was answered, by its SHA-256.
        asked: Number of queries, those that were not answered included.
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
        self.path, self.asked, self.repaired = path, 0, False
        self.answers: dict[str, Row] = {}
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
        first, sound = _json_line(head), 0
        with open(self.path, "rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
                if number == 1 and raw != first:
                    self._check_head(raw, head, first)
                    break
                if number > 1 and not self._is_sound(raw):
                    if file.read(1):
                        raise LogError(
                            f"{self.path}: line {number} is damaged; name another file with --log"
                        )
                    self.repaired = True
                    break
                sound += len(raw)
        os.ftruncate(self._file.fileno(), sound)
        if not sound:
            self._append([dict(head)])

    def _check_head(self, raw: bytes, head: dict[str, str], first: bytes) -> None:
        """Refuse a file that begins otherwise, but for one whose first line was cut off."""
        if not raw.endswith(b"\n") and first.startswith(raw):
            return
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise LogError(f"{self.path}: expected a query log. Received: another file")
        other = [key for key in head if head[key] != found.get(key)]
        raise LogError(
            f"{self.path}: expected the log of this {' and this '.join(other)}. Received: the log "
            "of another; name another file with --log"
        )

    def _is_sound(self, raw: bytes) -> bool:
        """Take a line in, if it is one."""
        try:
            return raw.endswith(b"\n") and self._take(json.loads(raw))
        except (ValueError, RecursionError):
            return False

    def _take(self, line: Any) -> bool:
        """Count what a line says; returns whether it says anything."""
        if not isinstance(line, dict) or not isinstance(line.get("status"), str):
            return False
        digest = line.get("input")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return False
        self.asked += line["status"] == ASKED
        if line["status"] == ANSWERED:
            row = _from_json(line.get("answer"))
            if row is None:
                return False
            self.answers.setdefault(digest, row)
        return True

    def _append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        if self._file is None:
            return
        # One write, so that a crash leaves at most the last line in pieces.
        self._file.write(b"".join(map(_json_line, lines)))
        os.fsync(self._file.fileno())


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


def _json_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False).encode() + b"\n"


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
