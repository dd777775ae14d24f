"""What a suspect is called where others can read it: no password, no key of an address."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from cemfp.suspects.base import SuspectError

ADDRESSES = ("http://", "https://")
DESCRIPTIONS = (".yaml", ".yml")


def is_address(spec: str) -> bool:
    """Whether it is the address of a server."""
    return spec.lower().startswith(ADDRESSES)


def is_remote(spec: str) -> bool:
    """Whether it answers over the network."""
    return is_address(spec) or spec.endswith(DESCRIPTIONS)


def shown(spec: str) -> str:
    """Return a suspect's name for people: an address without user, password and query."""
    if not is_address(spec):
        return spec
    return re.sub(r"//[^/]*@", "//", re.split("[?#]", spec, maxsplit=1)[0])


@contextlib.contextmanager
def named(spec: str) -> Iterator[None]:
    """Begin each `SuspectError` of the block with the suspect's name, unless it has it."""
    start = f"{shown(spec)}: "
    try:
        yield
    except SuspectError as error:
        if not str(error).startswith(start):
            error.args = (f"{start}{error}",)
        raise


def identity(spec: str) -> str:
    """Return a name that another suspect does not have; what may be private in it is a hash."""
    if is_address(spec):
        rest = spec.removeprefix(shown(spec))
        return f"{shown(spec)} {_hash(rest.encode())}" if rest else spec
    if is_remote(spec):
        return f"{Path(spec).name} {_hash(Path(spec).read_bytes())}"
    return spec


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
