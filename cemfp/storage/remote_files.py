"""Whole files at any place that fsspec can reach, and one kind of error for what fails there."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.registry import known_implementations

from cemfp.storage.store import StoreError

T = TypeVar("T")

_WAITS = (0.1, 2.0)  # seconds before the second and the third try
_TEMPORARY = "tmp"


def without_password(uri: str) -> str:
    """Return `uri` for people to read, `***` in place of a password."""
    return re.sub(r"(://[^/@:]*):[^/]*@", r"\1:***@", uri)


class RemoteFiles:
    """The files below a URI, by their paths relative to it.

    Every method tries three times, over a new connection, and raises `StoreError` at last.

    Attributes:
        uri: Where they are; it may hold a password.
        name: The URI without the password.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self.name = without_password(self.uri)
        self._root = ""  # what the file system calls the URI
        self._connection: AbstractFileSystem | None = None
        self._turn = threading.Lock()  # an FTP connection serves one thread at a time
        with self._errors():
            self._connection = self._connect()

    def names(self, folder: str) -> list[str]:
        """Return the names of all files two levels below `folder`, if there is such a folder."""
        with self._errors():
            paths = self._ask(lambda system: _find(system, f"{self._root}/{folder}"))
        return [PurePosixPath(path).name for path in paths]

    def upload(self, source: Path, path: str) -> None:
        """Put a file at `path`, whole or not at all; what is there already stays."""

        def put(system: AbstractFileSystem) -> None:
            """Upload under a temporary name, then move."""
            target = f"{self._root}/{path}"
            if system.exists(target):
                return
            # Object stores put a whole object or none, but on other file systems half of a file
            # can be seen. There, a move is atomic. Done everywhere, for one way to do it.
            temporary = f"{self._root}/{_TEMPORARY}/{secrets.token_hex(16)}"
            try:
                system.put_file(str(source), temporary)
                _move(system, temporary, target)
            except Exception:
                with contextlib.suppress(Exception):
                    system.rm_file(temporary)
                raise

        with self._errors():
            self._ask(put)

    def download(self, path: str, target: Path) -> None:
        """Copy the file at `path` to `target`; `FileNotFoundError` if there is none."""

        def get(system: AbstractFileSystem) -> None:
            # Asked first, since file systems differ in how the download of nothing fails.
            size = system.info(f"{self._root}/{path}")["size"]
            system.get_file(f"{self._root}/{path}", str(target))
            if target.stat().st_size != size:
                raise OSError(f"{target.stat().st_size} of {size} bytes came")

        self._ask(get)

    def end(self, path: str, size: int) -> bytes:
        """Return the last `size` bytes of the file; `FileNotFoundError` if there is none."""

        def read(system: AbstractFileSystem) -> bytes:
            whole = system.info(f"{self._root}/{path}")["size"]
            return system.cat_file(f"{self._root}/{path}", start=max(0, whole - size))

        return self._ask(read)

    def remove(self, path: str) -> None:
        """Delete the file at `path`, if there is one."""

        def remove(system: AbstractFileSystem) -> None:
            system.info(f"{self._root}/{path}")
            system.rm_file(f"{self._root}/{path}")

        with contextlib.suppress(FileNotFoundError):
            self._ask(remove)

    def sweep(self, seconds: float, *, before: str) -> None:
        """Delete what uploads that died left behind, if it is `seconds` older than file `before`.

        Both times are the file system's own, so that no machine's clock counts. Where it knows of
        none, and where names are not those that `upload` gives, files stay.
        """

        def sweep(system: AbstractFileSystem) -> None:
            newest = _modified(system, f"{self._root}/{before}")
            left = _left(system, f"{self._root}/{_TEMPORARY}") if newest else []
            for path in left:
                # Not there any more: an upload has ended, or another machine was faster.
                with contextlib.suppress(FileNotFoundError):
                    changed = _modified(system, path)
                    if newest and changed and (newest - changed).total_seconds() > seconds:
                        system.rm_file(path)

        with self._errors():
            self._ask(sweep)

    def _ask(self, operation: Callable[[AbstractFileSystem], T]) -> T:
        """Run what may be run again; of its errors, `FileNotFoundError` is passed on as it is."""
        with self._turn:
            for wait in _WAITS:
                try:
                    return self._try(operation)
                except FileNotFoundError:
                    raise
                except Exception:  # noqa: BLE001 - every file system has errors of its own
                    time.sleep(wait)
            with self._errors(FileNotFoundError):
                return self._try(operation)

    def _try(self, operation: Callable[[AbstractFileSystem], T]) -> T:
        system, self._connection = self._connection or self._connect(), None
        system.invalidate_cache()
        try:
            result = operation(system)
        except FileNotFoundError:
            self._connection = system
            raise
        # Not after an error or an interrupt, which may leave a connection in any state.
        self._connection = system
        return result

    def _connect(self) -> AbstractFileSystem:
        # Without `skip_instance_cache`, this could be an old instance whose connection is closed.
        system, path = url_to_fs(self.uri, skip_instance_cache=True)
        self._root = path.rstrip("/")
        return system

    @contextlib.contextmanager
    def _errors(self, passed_on: type[Exception] = StoreError) -> Iterator[None]:
        try:
            yield
        except (StoreError, passed_on):
            raise
        except Exception as error:
            reason = (str(error) or "no reason given").splitlines()[0]
            raise StoreError(
                f"expected a store at {self.name}. Received: {type(error).__name__}: {reason}; "
                f"{_advice(self.uri, error)}"
            ) from error


def _move(system: AbstractFileSystem, source: str, target: str) -> None:
    try:
        system.mv(source, target)
    except Exception:  # noqa: BLE001 - no folder yet, most likely; else it fails again
        with contextlib.suppress(Exception):  # another machine may make it at this moment
            system.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
        system.mv(source, target)


def _find(system: AbstractFileSystem, folder: str) -> list[str]:
    if type(system).find is not AbstractFileSystem.find:
        return list(system.find(folder))  # of object stores; an error if there is no such bucket
    try:
        # The general `find` takes a folder that it failed to read for an empty one.
        inner = system.ls(folder, detail=True)
    except FileNotFoundError:
        return []
    # With details, since without them some file systems return names, others paths.
    return [file["name"] for each in inner for file in system.ls(each["name"], detail=True)]


def _left(system: AbstractFileSystem, folder: str) -> list[str]:
    """Return the paths of files in `folder` whose names are those of uploads."""
    try:
        files = system.ls(folder, detail=True)
    except FileNotFoundError:
        return []
    paths = [file["name"] for file in files if file["type"] == "file"]
    return [path for path in paths if re.fullmatch("[0-9a-f]{32}", PurePosixPath(path).name)]


def _modified(system: AbstractFileSystem, path: str) -> datetime | None:
    """Return when a file was last written to, by the file system's clock; None if it cannot say."""
    try:
        return system.modified(path)
    except NotImplementedError:
        # FTP's "20261126104728" in UTC, which fsspec passes on as it is.
        said = str(system.info(path).get("modify"))
        return datetime.strptime(said[:14], "%Y%m%d%H%M%S") if said[:14].isdigit() else None


def _advice(uri: str, error: Exception) -> str:
    if not isinstance(error, ImportError):
        return "check the address, the network and the permissions"
    protocol = uri.partition("://")[0].split("::")[-1]
    package = known_implementations[protocol]["class"].split(".")[0]
    return f"pip install {package if package != 'fsspec' else f'fsspec[{protocol}]'}"
