"""What is wrong with evidence, and how its parts are read: strictly, and bounded."""

from __future__ import annotations

import json
import re
from typing import Any

LARGEST_JSON = 1 << 26
_HEX = re.compile("(?:[0-9a-f]{2})*")


class EvidenceError(ValueError):
    """A part of evidence is missing, damaged, or does not hold what it should."""


def expect(condition: bool, expected: str, received: Any) -> None:
    """Raise `EvidenceError` with "expected …. Received: …" unless the condition holds."""
    if not condition:
        text = received if isinstance(received, str) else repr(received)
        raise EvidenceError(f"expected {expected}. Received: {text[:100]!a}.")


def read_object(content: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object of unknown origin.

    Args:
        content: Its bytes.
        what: What it should be, for messages.
    """
    expect(len(content) <= LARGEST_JSON, f"{what} of at most {LARGEST_JSON} bytes", len(content))
    try:
        value = json.loads(content.decode(), parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise EvidenceError(f"expected {what}. Received: no JSON, or a key twice.") from None
    expect(isinstance(value, dict), what, type(value).__name__)
    return value


def fields_of(value: Any, names: set[str], what: str) -> dict[str, Any]:
    """Return an object that has exactly these fields."""
    expect(isinstance(value, dict), what, type(value).__name__)
    expect(value.keys() == names, f"{what} with {', '.join(sorted(names))}", sorted(value))
    return value


def hexadecimal(value: Any, what: str, size: int | None = None) -> bytes:
    """Return the bytes of lower-case hexadecimal digits, `size` of them if that is given."""
    sound = isinstance(value, str) and _HEX.fullmatch(value) is not None
    sound = sound and size in (None, len(value) // 2)
    expect(sound, f"{what} in hexadecimal digits" + (f", {size} bytes" if size else ""), value)
    return bytes.fromhex(value)


def is_index(value: Any, count: int = 1 << 31) -> bool:
    """Whether it is a whole number from 0 to below `count`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is there twice: one reader would believe the first, another the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
