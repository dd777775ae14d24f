"""One careful HTTP client: bounded in time and size, with one request at a time."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
import urllib.parse
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from cemfp.suspects.base import SuspectError, TryAgain
from cemfp.suspects.network.connection import Connection
from cemfp.suspects.network.reading import parse_json, quoted, read_body
from cemfp.suspects.network.replies import Reply, checked
from cemfp.suspects.network.secrets import Secrets

CONNECT_TIMEOUT = 10.0
REDIRECTS = 3


class Client:
    """Asks one server.

    Attributes:
        connection: How.
        secrets: What must not be shown.
    """

    def __init__(self, connection: Connection, address: str) -> None:
        """Prepare for a server; nothing is asked yet.

        Args:
            connection: How.
            address: URL with `${NAME}`s; requests go to its host only.

        Raises:
            SuspectError: It is no address, a header is none, or a variable is not set.
        """
        self.connection, self.secrets = connection, Secrets()
        self._stream: Any = None
        with self.secrets.hiding():
            self._home = self._url(address)
            headers = dict(map(self.secrets.header, connection.headers))
            login = None
            if "authorization" not in {name.lower() for name in headers}:
                login = self.secrets.login(self._home.host)
            self._http = httpx.Client(
                auth=login,
                headers={"accept-encoding": "gzip", "user-agent": "cemfp", **headers},
                limits=httpx.Limits(max_connections=1),
                timeout=httpx.Timeout(
                    connection.timeout, connect=min(CONNECT_TIMEOUT, connection.timeout)
                ),
            )
        # A suspect is nobody's to close: its connection ends with it.
        weakref.finalize(self, self._http.close)

    def get_json(self, url: str) -> Any:
        """Return what a page of facts says, asked as often as the pace allows.

        Raises:
            NoAnswer: It cannot be reached.
            Refused: The server says no.
            SuspectError: It is no JSON.
        """
        with self.secrets.hiding():
            value = parse_json(self.connection.pace(lambda: self.ask("GET", url)).body)
            # Names in it are shown, and written to descriptions.
            return self.secrets.hide_in(value)

    def ask(
        self, method: str, url: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Ask once.

        Args:
            method: GET or POST.
            url: With `${NAME}`s.
            content: Body.
            headers: Beside those of the connection.

        Raises:
            TryAgain: The server is busy or out of reach, or its model is still loading.
            Refused: It says no.
            SuspectError: It answers in a way that nobody should.
        """
        with self.secrets.hiding():
            target = self._url(url)
            if not _same_place(target, self._home):
                raise SuspectError(f"expected an address of {self._home.host}.")
            filled = {name: self.secrets.fill(text) for name, text in (headers or {}).items()}
            for _ in range(REDIRECTS + 1):
                reply = self._exchange(method, target, content, filled)
                if not 300 <= reply.status < 400:
                    return checked(reply, target.path)
                target = _follow(method, target, reply)
            raise SuspectError(f"the server redirects more than {REDIRECTS} times.")

    def _url(self, text: str) -> httpx.URL:
        path, mark, query = text.partition("?")
        quote = functools.partial(urllib.parse.quote, safe="")
        filled = self.secrets.fill(path) + mark + self.secrets.fill(query, quote)
        try:
            url = httpx.URL(filled)
        except (httpx.InvalidURL, ValueError):
            raise SuspectError("expected an address like http://host:8501/...") from None
        if url.userinfo:
            raise SuspectError(
                "expected an address without a password, which others can read where it is typed; "
                "a netrc file or --header 'Authorization: Bearer ${TOKEN}' has it."
            )
        if url.scheme not in ("http", "https") or not url.host:
            raise SuspectError("expected an address like http://host:8501/...")
        return url

    def _exchange(
        self, method: str, url: httpx.URL, content: bytes, headers: Mapping[str, str]
    ) -> Reply:
        limit = min(self.connection.timeout, max(self.connection.pace.left(), 0.01))
        expired = threading.Event()
        try:
            with self._cut_off_after(limit, expired):
                request = self._http.build_request(
                    method, url, content=content, headers=headers, extensions={"trace": self._trace}
                )
                response = self._http.send(request, stream=True)
                try:
                    body = read_body(response.iter_raw(), response.headers)
                finally:
                    response.close()
        except (httpx.TransportError, OSError) as error:
            raise _failed(error, limit, expired.is_set()) from None
        if expired.is_set():
            raise _failed(TimeoutError(), limit, True)
        return Reply(response.status_code, dict(response.headers.items()), body)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the connection that was made, so that it can be cut off."""
        made = info.get("return_value")
        if hasattr(made, "get_extra_info"):
            self._stream = made

    @contextlib.contextmanager
    def _cut_off_after(self, seconds: float, expired: threading.Event) -> Iterator[None]:
        """End a request that takes longer in all: httpx bounds only each pause within it."""

        def cut() -> None:
            expired.set()
            made = None if self._stream is None else self._stream.get_extra_info("socket")
            if made is not None:
                with contextlib.suppress(OSError):
                    # Not the method of an SSL socket, which its reader would trip over.
                    socket.socket.shutdown(made, socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _follow(method: str, url: httpx.URL, reply: Reply) -> httpx.URL:
    """Return where a redirect leads, if one may go there."""
    try:
        target = url.join(reply.headers.get("location", ""))
    except (httpx.InvalidURL, ValueError):
        raise SuspectError("the server redirects to no address.") from None
    if not _same_place(target, url):
        raise SuspectError(
            f"the server redirects to another place, {quoted(f'{target.scheme}://{target.host}')}, "
            "which is refused; name it yourself if you trust it."
        )
    if method != "GET" and reply.status not in (307, 308):
        raise SuspectError(f"the server redirects a question with status {reply.status}.")
    return target


def _same_place(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _failed(error: Exception, limit: float, expired: bool) -> SuspectError:
    """Return what to raise for a request that got no whole answer."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)  # type: ignore[arg-type]
    if any(isinstance(x, ssl.SSLError) for x in causes) and not expired:
        what = " ".join(str(error).split())[:200]
        return SuspectError(
            f"no secure connection: {what}; SSL_CERT_FILE names the authorities you trust."
        )
    unknown = [x for x in causes if isinstance(x, socket.gaierror)]
    if unknown and unknown[0].errno == socket.EAI_NONAME:
        return SuspectError("expected a host with an address. Received: an unknown name.")
    if expired or isinstance(error, httpx.TimeoutException):
        return TryAgain(f"no whole answer within {limit:.3g} s (--timeout)", status="timeout")
    what = " ".join(str(error).split())[:200] or type(error).__name__
    return TryAgain(f"the connection fails: {what}", status="connection")
