"""Credentials: named where one types, taken from the environment or a netrc file, shown nowhere."""

from __future__ import annotations

import base64
import contextlib
import json
import netrc
import os
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from cemfp.suspects.base import SuspectError, one_line

HIDDEN = "***"
SHORTEST = 4  # a shorter value would be found, and hidden, in the middle of ordinary words

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}):\s*(.*)", re.DOTALL)
_PRIVATE = re.compile("auth|cookie|key|token|secret|passw|credential|session", re.IGNORECASE)
_PLAIN = re.compile(r"[\x20-\x7e]*")


class Secrets:
    """The values that were put in for `${NAME}`, and how to keep them out of any text."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        for proxy in urllib.request.getproxies().values():
            with contextlib.suppress(ValueError):
                self.add(urllib.parse.urlsplit(proxy).password or "")

    def add(self, value: str) -> None:
        """Keep a value out of all texts from now on, however it is spelt in them."""
        spellings = (
            value,
            json.dumps(value)[1:-1],
            repr(value)[1:-1],
            urllib.parse.quote(value),
            urllib.parse.quote(value, safe=""),
            base64.b64encode(value.encode()).decode(),
        )
        if len(value) >= SHORTEST:
            self._values.update(spellings)

    def fill(self, text: str, quote: Callable[[str], str] = str) -> str:
        """Return `text` with the environment's values, quoted, in place of each `${NAME}`.

        Raises:
            SuspectError: There is no such variable, or its value can be no part of a header.
        """
        return _VARIABLE.sub(lambda found: quote(self._of(found[1])), text)

    def _of(self, name: str) -> str:
        value = os.environ.get(name, "")
        if not value:
            raise SuspectError(f"expected the environment variable {name}. Received: none.")
        if not _PLAIN.fullmatch(value):
            raise SuspectError(f"expected plain characters, on one line, in the variable {name}.")
        self.add(value)
        return value

    def header(self, text: str) -> tuple[str, str]:
        """Return name and value of a header typed `Name: value`, filled.

        Raises:
            SuspectError: It is none, or has a credential that is typed out; the value is not shown.
        """
        found = _HEADER.fullmatch(text)
        if not found:
            raise SuspectError("expected a header as 'Name: value', a line of plain characters.")
        name, value = found[1], found[2]
        check_header(name, value)
        return name, self.fill(value)

    def login(self, host: str) -> tuple[str, str] | None:
        """Return user and password for a host of the user's netrc file, if there are any.

        Raises:
            SuspectError: The file is damaged.
        """
        path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
        try:
            entry = netrc.netrc(path).hosts.get(host)
        except OSError:
            return None
        except (netrc.NetrcParseError, UnicodeDecodeError):
            # Its own message may quote a password.
            raise SuspectError(f"{path}: expected a netrc file.") from None
        if entry is None or not entry[2]:
            return None
        self.add(entry[2])
        self.add(f"{entry[0]}:{entry[2]}")
        return entry[0], entry[2]

    def hide(self, text: str) -> str:
        """Return a text without the values."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text

    def hide_in(self, value: Any) -> Any:
        """Return JSON without the values in any of its texts."""
        if isinstance(value, dict):
            return {self.hide(key): self.hide_in(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.hide_in(item) for item in value]
        return self.hide(value) if isinstance(value, str) else value

    @contextlib.contextmanager
    def hiding(self) -> Iterator[None]:
        """Keep the values out of what the block raises, and of what a traceback would show."""
        try:
            yield
        except SuspectError as error:
            error.args = (self.hide(str(error)),)
            error.__cause__, error.__suppress_context__ = None, True
            raise
        except Exception as error:  # noqa: BLE001  any library's may quote a credential
            raise SuspectError(f"failed to answer: {self.hide(one_line(error))}") from None


def check_header(name: str, value: str) -> None:
    """Refuse a header that is none, or that has its credential typed out.

    Raises:
        SuspectError: The value is not shown.
    """
    if not _HEADER.fullmatch(f"{name}: {value}") or not _PLAIN.fullmatch(value):
        raise SuspectError("expected a header as 'Name: value', a line of plain characters.")
    if _PRIVATE.search(name) and not _VARIABLE.search(value):
        raise SuspectError(
            f"expected the value of {name} in an environment variable: '{name}: ${{NAME}}'. "
            "Received: the value itself, which others can read where it is typed."
        )


def variables(texts: Iterable[str]) -> list[str]:
    """Return the names of the environment variables that texts name."""
    return [name for text in texts for name in _VARIABLE.findall(text)]
