"""A server's bytes as text and JSON: bounded, and fit to be shown."""

from __future__ import annotations

import html
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from cemfp.suspects.base import SuspectError

MOST_BYTES = 16 << 20
QUOTED = 200


def read_body(chunks: Iterable[bytes], headers: Mapping[str, str]) -> bytes:
    """Return a body of at most `MOST_BYTES`, unpacked.

    Raises:
        SuspectError: It is longer, or packed otherwise than by gzip.
    """
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip"):
        raise SuspectError(f"the server packs its answer as {quoted(coding)}, which nobody asked.")
    unpack = zlib.decompressobj(31) if coding == "gzip" else None
    body = bytearray()
    try:
        for chunk in chunks:
            # A small chunk can unpack to gigabytes: no more than the bound is ever unpacked.
            left = MOST_BYTES + 1 - len(body)
            body += chunk if unpack is None else unpack.decompress(chunk, left)
            if len(body) > MOST_BYTES:
                raise SuspectError(
                    f"the server answers more than {MOST_BYTES >> 20} MiB; the rest was not read."
                )
    except zlib.error:
        raise SuspectError("the server's answer says that it is gzip, and is not.") from None
    if unpack is not None and body and not unpack.eof:
        raise SuspectError("the server's answer ends in the middle of its gzip.")
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """Return what a body says.

    Raises:
        SuspectError: It is no JSON, or says that there was an error.
    """
    try:
        value = load(body)
    except UnicodeDecodeError as error:
        raise SuspectError(
            f"expected JSON from the server. Received: bytes that are no UTF-8 ({error.reason} at "
            f"{error.start})."
        ) from None
    except (ValueError, RecursionError) as error:
        what = "a web page" if body.lstrip()[:1] == b"<" else f"no JSON ({str(error)[:80]})"
        raise SuspectError(f"expected JSON from the server. Received: {what}{said(body)}") from None
    problem = error_in(value)
    if problem is not None:
        raise SuspectError(f"the server answers with an error: {quoted(problem)}")
    return value


def load(body: bytes) -> Any:
    """Return the JSON of a body, errors in it included.

    Raises:
        ValueError: It is none.
        RecursionError: It is too deep.
    """
    return json.loads(body.decode("utf-8-sig"))


def error_in(value: Any) -> str | None:
    """Return the text of an error that stands where an answer should, if there is one."""
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict) or first.get("error") in (None, "", False, [], {}):
        return None
    return _text(first["error"])


def said(body: bytes) -> str:
    """Return a server's own words, quoted, for the end of a message."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        text = body[: 50 * QUOTED].decode("utf-8", "replace")
        text = html.unescape(re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text))
    else:
        text = _text(value)
    return f": {quoted(text)}" if text.strip() else "."


def quoted(text: str) -> str:
    """Return a stranger's text for a message, in quotation marks, as `plain` makes it."""
    return f'"{plain(text)}"'


def plain(text: str) -> str:
    """Return a stranger's text, bounded and in one line, without anything that a terminal obeys."""
    escaped = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in " ".join(text[: 50 * QUOTED].split())
    )
    return escaped if len(escaped) <= QUOTED else f"{escaped[:QUOTED]}..."


def _text(value: Any) -> str:
    """The message within an error."""
    for _ in range(5):
        if isinstance(value, list) and value:
            value = value[0]
        elif isinstance(value, dict):
            named = [value[k] for k in ("error", "message", "detail", "msg") if value.get(k)]
            value = named[0] if named else json.dumps(value)
    return str(value)
