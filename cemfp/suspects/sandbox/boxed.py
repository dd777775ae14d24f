"""A suspect whose file is a stranger's: it is opened and asked in a sandbox."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cemfp.suspects.base import SuspectError
from cemfp.suspects.sandbox import launch
from cemfp.suspects.sandbox.protocol import Channel, ProtocolError, pack, unpack

GIB = 2**30
MOST_CLASSES, MOST_AT_ONCE = 100_000, 64


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a stranger's file may use.

    Attributes:
        memory: Bytes of address space.
        processor: Processor seconds in all.
        file_bytes: Bytes of a file that it writes.
        files: Files that are open at a time.
        opening, answering: Seconds to open it, and for one question.
    """

    memory: int = 12 * GIB
    processor: int = 1_800
    file_bytes: int = 256 * 2**20
    files: int = 256
    opening: float = 180.0
    answering: float = 120.0

    def of_process(self) -> dict[str, int]:
        """Return the arguments of `confine.limit`."""
        return {
            "memory": self.memory,
            "seconds": self.processor,
            "file_bytes": self.file_bytes,
            "files": self.files,
        }


LIMITS = Limits()


class Boxed:
    """Maps images (n, h, w, c), float32, to what the file's model answers.

    Attributes:
        input_shape: What the model says that it takes (h, w, c), None for any side; None if it
            says nothing.
        classes: Number of classes, if it says so.
        class_names: Their names in order, if it says so.
        most: Images that are sent to it at once.
        holds: What the sandbox keeps it from, for people.
        missing: What it does not.
    """

    most = MOST_AT_ONCE

    def __init__(
        self,
        kind: str,
        path: Path,
        settings: dict[str, Any] | None = None,
        *,
        trust: bool = False,
        limits: Limits = LIMITS,
        way: str | None = None,
    ) -> None:
        """Start the sandbox and open the file in it.

        Args:
            kind: A key of `loaders.LOADERS`.
            path: The file.
            settings: What the user said of it.
            trust: Go on where the machine cannot keep it from doing harm.
            limits: What it may use.
            way: See `launch.find_way`; by default what works here.

        Raises:
            SuspectError: It cannot be opened, or not safely.
        """
        self._limits = limits
        self._scratch = tempfile.TemporaryDirectory(prefix="cemfp-sandbox-")
        scratch = Path(self._scratch.name)
        way = launch.find_way() if way is None else way
        self._process = launch.start(way, scratch)
        self._end = weakref.finalize(self, _end, self._process, self._scratch)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
        order = {"kind": kind, "path": str(path.absolute()), "settings": settings or {}}
        order |= {"scratch": str(scratch), "writes": "mounts" if way == "bwrap" else "scratch"}
        held = self._ask(order | {"limits": limits.of_process()}, b"", limits.opening)[0]
        self.holds, self.missing = _holds(way, held)
        if self.missing and not trust:
            self.close()
            raise SuspectError(
                "loading it can run code hidden in it, and this machine does not keep it from "
                f"{' and '.join(self.missing)}: install bubblewrap, or add --trust if you made the "
                "file."
            )
        facts = self._ask({}, b"", limits.opening)[0]
        self.input_shape, self.classes = _shape(facts), _count(facts, "classes", MOST_CLASSES)
        names = facts.get("class_names")
        names = names if isinstance(names, list) else []
        self.class_names: Sequence[str] = tuple(map(str, names))

    def __call__(self, images: np.ndarray) -> Any:
        """Return the answer: numbers (n,) or (n, C), or a list with one for each image.

        Raises:
            SuspectError: There is none.
        """
        parts = [self._answer(images[i : i + self.most]) for i in range(0, len(images), self.most)]
        if all(isinstance(part, list) for part in parts):
            return [row for part in parts for row in part]
        if any(isinstance(part, list) for part in parts) or len({p.shape[1:] for p in parts}) > 1:
            raise SuspectError("expected answers of one form. Received: several.")
        return np.concatenate(parts)

    def close(self) -> None:
        """End the process and remove its folder."""
        self._end()

    def _answer(self, images: np.ndarray) -> Any:
        frame, body = pack(np.ascontiguousarray(images, np.float32))
        head, body = self._ask(frame, body, self._limits.answering)
        try:
            return unpack(head, body)
        except ProtocolError as error:
            raise SuspectError(f"expected an answer. Received: {error}.") from error

    def _ask(
        self, head: dict[str, Any], body: bytes, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        """Send a frame and return the answer."""
        try:
            self._channel.send(head, body)
            answer = self._channel.receive(seconds)
        except TimeoutError as error:
            self.close()
            raise SuspectError(f"no answer within {seconds:.0f} s; it was ended.") from error
        except (OSError, EOFError) as error:
            raise SuspectError(self._died()) from error
        except ProtocolError as error:
            self.close()
            raise SuspectError(f"expected an answer. Received: {error}.") from error
        if "error" in answer[0]:
            raise SuspectError(f"cannot be used: {_words(answer[0]['error'])}")
        return answer

    def _died(self) -> str:
        """Why the process is no more."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        self.close()
        number = -code if code is not None and code < 0 else (code or 0) - 128
        if number in (signal.SIGKILL, signal.SIGABRT, signal.SIGXCPU):
            return (
                f"it was ended by signal {number}: damaged, or it wants more than "
                f"{self._limits.memory / GIB:.0f} GiB of memory or {self._limits.processor} s of a "
                "processor."
            )
        if number > 0:
            return f"it crashes what opens it (signal {number}): damaged, or made to."
        return "it ended the process that opened it."


def _end(process: subprocess.Popen[bytes], scratch: tempfile.TemporaryDirectory[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()
    scratch.cleanup()


def _holds(way: str, held: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what it is kept from, by what, and what it is not kept from."""
    space = {"unshare": "namespaces", "bwrap": "bubblewrap"}.get(way)
    rules = "system calls" if held.get("others") is True else None
    writes = None
    if held.get("writes") is True:
        writes = "bubblewrap" if way == "bwrap" else "Landlock"
    found = {
        "the network": [x for x in (space, rules) if x],
        "writing files": [x for x in (writes,) if x],
        "starting programs": [x for x in (rules,) if x],
    }
    holds = [f"{what} ({', '.join(by)})" for what, by in found.items() if by]
    return holds, [what for what, by in found.items() if not by]


def _shape(facts: dict[str, Any]) -> tuple[int | None, ...] | None:
    shape = facts.get("input_shape")
    if not isinstance(shape, list) or len(shape) != 3:
        return None
    if not all(side is None or (isinstance(side, int) and 0 < side < 2**20) for side in shape):
        raise SuspectError("expected the shape of an image. Received: something else.")
    return tuple(shape)


def _count(facts: dict[str, Any], name: str, most: int) -> int | None:
    count = facts.get(name)
    if count is None:
        return None
    if not isinstance(count, int) or not 1 <= count <= most:
        raise SuspectError(f"expected {name} up to {most}. Received: {str(count)[:20]}.")
    return count


def _words(text: Any) -> str:
    """One line of what the process says, without anything that a terminal would act on."""
    line = " ".join(str(text).split())[:300]
    return "".join(letter if letter.isprintable() else "?" for letter in line)
