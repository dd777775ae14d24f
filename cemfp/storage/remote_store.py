"""A store that several machines share: any place that fsspec can reach, and a local cache.

An entry is one file, `<uri>/objects/<key[:2]>/<key>.zip`. Everything is read from the cache, a
local store, into which an entry is downloaded when it is first asked for. Locks hold on one
machine only: at worst two machines do the same job, and the first result stays.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cemfp.storage.files import hash_bytes, sync_tree, write_atomic
from cemfp.storage.packing import manifest_in, pack, unpack
from cemfp.storage.remote_files import RemoteFiles, without_password
from cemfp.storage.store import MANIFEST, CorruptEntry, MissingEntry, Store, StoreError

logger = logging.getLogger(__name__)

__all__ = ["RemoteStore", "open_store", "without_password"]

_CACHES = "~/.cache/cemfp/remote"
_LISTING_SECONDS = 10.0
_DEAD_SECONDS = 86_400.0  # since an upload last grew
_END_BYTES = 1 << 16  # of an object; a manifest and the list of members take far less


def open_store(uri: str | Path, *, cache: Path | None = None) -> Store:
    """Return the store at a path, a `file://` URI, or a URI of another file system of fsspec's.

    What a URI does not say (keys, endpoints) is taken from where the protocol's package looks
    for it, and from fsspec's own configuration.

    Args:
        uri: Such as `~/store`, `s3://bucket/prefix`, `gs://bucket/prefix`,
            `ftp://user:password@host/folder`. Folders are created at the first write, buckets not.
        cache: Local directory for what is at this URI, and nothing else; by default one of its
            own below `~/.cache/cemfp/remote`. A local store needs none.

    Raises:
        StoreError: No such protocol, its package is missing, or the place cannot be reached.
    """
    text = str(uri)
    if isinstance(uri, Path) or not re.match(r"\w[\w+.-]*(://|::)", text):
        return Store(Path(text).expanduser())
    if text.startswith("file://"):
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise StoreError(f"expected file:///absolute/path. Received: {text}; add the slash")
        return Store(Path(unquote(parts.path)))
    return RemoteStore(text, cache)


class RemoteStore(Store):
    """A store elsewhere; made by `open_store`.

    A result is in the cache before it is uploaded, so that no failure of the network loses it.
    Until it is uploaded, `has` says no and `get` uploads it first. Whoever dies in an upload may
    leave a file in `<uri>/tmp`, which nothing reads. The first upload of another store object
    deletes it once it is a day older than what was uploaded: a live upload is written to, or on
    object stores not to be seen. One that stood still for so long fails, and is made again later.

    Attributes:
        root: Directory of the cache.
        uri: Where the store is; it may hold a password.
    """

    def __init__(self, uri: str, cache: Path | None = None) -> None:
        self._files = RemoteFiles(uri)
        own = hash_bytes(self._files.name.encode())[:16]
        super().__init__(cache or Path(_CACHES, own).expanduser())
        self.uri = self._files.uri
        self._swept = False
        self._listing = _Listing(lambda: self._files.names("objects"))

    def has(self, key: str) -> bool:
        """Say whether the entry is in the store, by a list of it that is some seconds old.

        The first `no` to a key may be that old, too; asked again, the list is read anew.
        """
        return (super().has(key) and not self._pending(key).exists()) or key in self._listing

    def get(self, key: str) -> Path:
        """Return the entry's directory in the cache, downloaded if need be, hashes checked.

        What rotted in the cache is moved aside, and downloaded again: the store's may be sound.

        Raises:
            MissingEntry: no such entry, neither here nor there.
            CorruptEntry: a file is gone or differs, or what was downloaded is no sound entry.
            StoreError: the store cannot be reached.
        """
        self._download(key)
        try:
            entry = super().get(key)
        except CorruptEntry as error:
            if self._pending(key).exists():  # there is no other of it
                raise
            logger.warning("%s; downloaded again", error)
            self._set_aside(key)
            self._download(key)
            entry = super().get(key)
        if self._pending(key).exists():
            self._publish(key)
        return entry

    def manifest(self, key: str) -> dict[str, Any]:
        """Return the entry's manifest, with no more of the entry than that. Raises as `get` does.

        A sound manifest does not say that the entry's files are sound.
        """
        if not self._entry(key).is_dir():
            with self._missing(key):
                text = manifest_in(self._files.end(_object(key), _END_BYTES))
            if text is not None:
                with self._temporary() as temporary:
                    (temporary / MANIFEST).write_bytes(text)
                    return self._read_manifest(temporary, key)
            self._download(key)
        return super().manifest(key)

    def discard(self, key: str) -> Path:
        """Move the entry aside to `corrupt/` of the cache, and delete it in the store.

        Returns:
            The directory that was in the cache, or else the ZIP file that was in the store.
        """
        if self._entry(key).exists():
            target = super().discard(key)
        else:
            target = self.root / "corrupt" / f"{key}-{secrets.token_hex(4)}.zip"
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(MissingEntry):  # another machine was faster
                self._fetch(key, target)
        self._files.remove(_object(key))
        self._listing.deny(key)
        return target

    def _set_aside(self, key: str) -> None:
        """Move a corrupt entry out of the cache, unless another process just replaced it."""
        with self._lock("placing"), contextlib.suppress(MissingEntry):
            try:
                super().get(key)
            except CorruptEntry:
                super().discard(key)

    def _place(self, key: str, temporary: Path) -> None:
        self._pending(key).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._pending(key), b"")
        super()._place(key, temporary)
        self._publish(key)

    def _publish(self, key: str) -> None:
        """Upload what is in the cache. An entry from elsewhere stays: it is equal up to times."""
        with self._temporary() as temporary:
            pack(self._entry(key), temporary / "entry.zip")
            self._files.upload(temporary / "entry.zip", _object(key))
        self._pending(key).unlink(missing_ok=True)
        self._listing.keys.add(key)
        self._sweep_uploads(_object(key))

    def _sweep_uploads(self, uploaded: str) -> None:
        """Delete what uploads that died long ago left, after the first upload of this process."""
        if self._swept:
            return
        self._swept = True
        # No reason to fail: the result is there, and the next process tries again.
        with contextlib.suppress(StoreError):
            self._files.sweep(_DEAD_SECONDS, before=uploaded)

    def _download(self, key: str) -> None:
        if self._entry(key).is_dir():
            return
        with self._temporary() as temporary:
            archive, entry = temporary / "entry.zip", temporary / "entry"
            entry.mkdir()
            self._fetch(key, archive)
            try:
                unpack(archive, entry)
                self._check(entry, key)
            except CorruptEntry as error:
                raise CorruptEntry(f"{self._files.name}/{_object(key)}: {error}") from error
            sync_tree(entry)
            super()._place(key, entry)

    def _fetch(self, key: str, target: Path) -> None:
        with self._missing(key):
            self._files.download(_object(key), target)

    @contextlib.contextmanager
    def _missing(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            self._listing.deny(key)
            raise MissingEntry(
                f"expected an entry in {self._files.name}. Received: {key}, not there"
            ) from error

    def _pending(self, key: str) -> Path:
        return self.root / "pending" / key


class _Listing:
    """Keys in the store, as they were some seconds ago.

    Plans ask for hundreds of keys at once, and a request for each would take long.
    """

    def __init__(self, read: Callable[[], list[str]]) -> None:
        self.keys: set[str] = set()
        self._read = read
        self._read_at = -math.inf
        self._denied: set[str] = set()

    def __contains__(self, key: str) -> bool:
        # Who asks again may have reason to think that it is there now.
        if key in self._denied or time.monotonic() - self._read_at > _LISTING_SECONDS:
            self.keys = {Path(name).stem for name in self._read()}
            self._denied = set()
            self._read_at = time.monotonic()
        if key not in self.keys:
            self.deny(key)
        return key in self.keys

    def deny(self, key: str) -> None:
        """Take in that the key is not there."""
        self.keys.discard(key)
        self._denied.add(key)


def _object(key: str) -> str:
    return f"objects/{key[:2]}/{key}.zip"
