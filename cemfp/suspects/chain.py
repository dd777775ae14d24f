"""Lines that hang together: each carries a hash of itself and of all lines before it.

A line is a JSON object whose last field is `"chain"`: SHA-256 of the chain of the line before (of
nothing before the first), followed by the line as it is without that field.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_LINK = re.compile(rb', "chain": "([0-9a-f]{64})"\}\n')
_LINK_BYTES = len(b', "chain": ""}\n') + 64


def chained(value: Mapping[str, Any], before: str) -> tuple[bytes, str]:
    """Return the line of a JSON object that is not empty, and its chain.

    Args:
        value: Without "chain".
        before: The chain of the line before; "" for the first line.
    """
    return linked(json.dumps(value, allow_nan=False).encode(), before)


def linked(content: bytes, before: str) -> tuple[bytes, str]:
    """Return the line of an object's JSON, and its chain; see `chained`."""
    chain = _hash(before, content)
    return content[:-1] + f', "chain": "{chain}"}}\n'.encode(), chain


def unchained(line: bytes, before: str) -> tuple[Any, str] | None:
    """Return what a line says, and its chain; None if it is none, or does not follow `before`.

    Raises:
        ValueError, RecursionError: It follows, and is no JSON, or is nested too deeply.
    """
    link = _LINK.fullmatch(line[-_LINK_BYTES:])
    content = line[:-_LINK_BYTES] + b"}"
    if link is None or link[1].decode() != _hash(before, content):
        return None
    value = json.loads(content)
    # Spelt otherwise it may have a key twice, of which others would believe the first.
    return (value, link[1].decode()) if json.dumps(value).encode() == content else None


def _hash(before: str, content: bytes) -> str:
    return hashlib.sha256(before.encode() + content).hexdigest()
