"""What passes between this program and a sandbox: frames of a little JSON and an array.

Nothing in a frame is code, everything in it is bounded before it is read, and whatever is wrong
with it is an error of the other side.
"""

from __future__ import annotations

import json
import math
import os
import select
import time
from typing import Any

LARGEST_HEAD, LARGEST_BODY = 2**20, 2**31
KINDS = ("float32", "float64", "int64", "uint8", "bool")
MOST_WORDS, LONGEST_WORD = 100_000, 200


class ProtocolError(ValueError):
    """The other side sent no frame, one that is too large, or took too long."""


class Channel:
    """Two pipes.

    Attributes:
        incoming, outgoing: File descriptors.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    def send(self, head: dict[str, Any], body: bytes | memoryview = b"") -> None:
        """Send a frame.

        Raises:
            OSError: The other side is gone.
        """
        text = json.dumps(head | {"bytes": len(body)}).encode()
        for part in (len(text).to_bytes(4, "big"), text, body):
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(self.outgoing, rest) :]

    def receive(self, seconds: float | None = None) -> tuple[dict[str, Any], bytes]:
        """Return the next frame.

        Args:
            seconds: That it may take; None waits for ever.

        Raises:
            ProtocolError: No good frame in time.
            EOFError: The other side is gone.
        """
        until = None if seconds is None else time.monotonic() + seconds
        size = int.from_bytes(self._read(4, until), "big")
        if size > LARGEST_HEAD:
            raise ProtocolError(f"a frame's head of {size} bytes")
        try:
            head = json.loads(self._read(size, until))
            length = head["bytes"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ProtocolError("a frame that is no JSON") from error
        if not isinstance(length, int) or not 0 <= length <= LARGEST_BODY:
            raise ProtocolError("a frame without a length")
        return head, self._read(length, until)

    def _read(self, count: int, until: float | None) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            if not select.select([self.incoming], [], [], left)[0]:
                raise TimeoutError
            if not (part := os.read(self.incoming, min(count - len(parts), 2**20))):
                raise EOFError
            parts += part
        return bytes(parts)


def pack(answer: Any) -> tuple[dict[str, Any], bytes]:
    """Return the frame of an answer: numbers as an array, else lists of words or of entries.

    Raises:
        ValueError: It is neither.
    """
    import numpy as np

    array = np.asarray(answer) if not isinstance(answer, list) else None
    if array is not None and array.dtype.kind in "biuf":
        kind = {"b": "bool", "f": "float64"}.get(array.dtype.kind, "int64")
        kind = "float32" if array.dtype.itemsize <= 4 and array.dtype.kind == "f" else kind
        array = np.ascontiguousarray(array.astype(kind))
        return {"kind": kind, "shape": list(array.shape)}, array.tobytes()
    rows = answer if array is None else array.tolist()
    return {"rows": plain(rows)}, b""


def plain(value: Any, depth: int = 0) -> Any:
    """Return lists, objects, words and numbers as JSON has them, cut to what may be sent.

    Raises:
        ValueError: It holds something else.
    """
    if depth > 3:
        raise ValueError("lists inside each other")
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value[:LONGEST_WORD]
    if isinstance(value, dict):
        return {str(k)[:LONGEST_WORD]: plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, depth + 1) for part in value[:MOST_WORDS]]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(f"an answer of {type(value).__name__}")


def unpack(head: dict[str, Any], body: bytes) -> Any:
    """Return the answer in a frame: an array of numbers, or lists.

    Raises:
        ProtocolError: There is none.
    """
    import numpy as np

    if isinstance(head.get("rows"), list):
        return head["rows"]
    kind, shape = head.get("kind"), head.get("shape")
    if kind not in KINDS or not isinstance(shape, list) or len(shape) > 4:
        raise ProtocolError("a frame without an answer")
    if not all(isinstance(side, int) and 0 <= side <= LARGEST_BODY for side in shape):
        raise ProtocolError("an answer without a shape")
    if math.prod(shape) * np.dtype(kind).itemsize != len(body):
        raise ProtocolError("an answer of another size than it says")
    return np.frombuffer(body, kind).reshape(shape)
