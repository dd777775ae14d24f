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
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cemfp.suspects.chain import chained
from cemfp.suspects.record import (
    ANOTHER,
    ANSWERED,
    ASKED,
    BROKEN,
    FORMAT,
    LONGEST_LINE,
    LogError,
    Record,
    Row,
    head_of,
    to_json,
    what_it_is,
)

__all__ = ["ANSWERED", "ASKED", "LogError", "QueryLog", "Row"]


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
            line["answer"] = to_json(row)
        self._append(lines)
        for line in lines:
            self._take(line)

    def _read(self, head: dict[str, str]) -> None:
        assert self._file is not None and self.path is not None
        (first, chain), sound = chained(head, ""), 0
        with open(self.path, "rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
                if number == 1 and raw != first:
                    self._checkhead_of(raw, head, first)
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

    def _checkhead_of(self, raw: bytes, head: dict[str, str], first: bytes) -> None:
        """Refuse a file that begins otherwise, but for one whose first line was cut off."""
        if not raw.endswith(b"\n") and first.startswith(raw):
            return
        found = head_of(raw)
        if found is None:
            what = what_it_is(raw)
            do = "; name another file with --log" if what != ANOTHER else ""
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
        _write_whole(self._file, b"".join(whole))
        self.chain = chain


def _write_whole(file: io.FileIO, content: bytes) -> None:
    """Append `content` and see it on the disk; a full disk leaves the file as it was.

    It is one write as a rule, so that a crash leaves at most the last line in pieces.
    """
    size, rest = os.fstat(file.fileno()).st_size, memoryview(content)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except BaseException:
        os.ftruncate(file.fileno(), size)
        raise


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
