"""Content-addressed store: atomic writes, hashes checked on read, locks.

An entry is a directory `objects/<key[:2]>/<key>/` with files and a `manifest.json`. It appears
under its name only when it is complete and on disk, so a reader never sees half of one, whatever
happens to the writer. Locks are the operating system's: they end with the process that holds them.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import logging
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cemfp.storage.files import (
    canonical_json,
    hash_bytes,
    hash_file,
    read_json,
    sync,
    sync_tree,
    write_atomic,
)

__all__ = [
    "CorruptEntry",
    "MissingEntry",
    "Store",
    "StoreError",
    "canonical_json",
    "hash_bytes",
    "hash_file",
    "read_json",
    "write_atomic",
]

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
_KEY = re.compile(r"[0-9a-f]{64}")


class StoreError(Exception):
    """The store cannot do what was asked; the message names the entry."""


class MissingEntry(StoreError):
    """There is no entry under this key."""


class CorruptEntry(StoreError):
    """An entry is there, but its content is not what was written."""


def _created_by() -> dict[str, str]:
    """Versions that may matter for a result; read from metadata, since importing them is slow."""
    versions = {"python": platform.python_version()}
    for package in ("cemfp", "numpy", "tensorflow"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _file_table(root: Path) -> dict[str, dict[str, Any]]:
    """Return `{relative path: {"sha256", "size"}}` of all files below `root`."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): {
            "sha256": hash_file(path),
            "size": path.stat().st_size,
        }
        for path in files
    }


def _seal(manifest: dict[str, Any]) -> str:
    """Hash of everything in the manifest but the seal itself: the manifest can rot as well."""
    return hash_bytes(canonical_json({k: v for k, v in manifest.items() if k != "seal"}).encode())


class Store:
    """Directories filed under the SHA-256 of what they hold the result of.

    Many processes may use one root at once. What an entry's path returns is for reading only.

    Attributes:
        root: Directory of the store; created at the first write.
        uri: What `remote_store.open_store` makes an equal store of in another process.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        self.uri = str(self.root)

    def has(self, key: str) -> bool:
        """Say whether the entry is there, its files of the right sizes; content is for `get`."""
        entry = self._entry(key)
        try:
            manifest = self._read_manifest(entry, key)
        except (MissingEntry, CorruptEntry):
            return False
        return all(_size(entry / n) == f["size"] for n, f in manifest["files"].items())

    def get(self, key: str) -> Path:
        """Return the entry's directory, every file of it checked against its hash.

        Raises:
            MissingEntry: no such entry.
            CorruptEntry: a file is gone or differs; the message names entry and file.
        """
        return self._check(self._entry(key), key)

    def manifest(self, key: str) -> dict[str, Any]:
        """Return the entry's manifest.

        It holds `schema_version`, `key`, `description`, `files` ({name: sha256, size in bytes}),
        `created_by` (versions), `took_seconds` (wall time of the writing block), `seal`, and
        `copied` where the result was made elsewhere, on another machine maybe.
        Raises as `get` does.
        """
        return self._read_manifest(self._entry(key), key)

    def _check(self, entry: Path, key: str) -> Path:
        for name, expected in self._read_manifest(entry, key)["files"].items():
            path = entry / name
            if not path.is_file():
                raise CorruptEntry(f"entry {key}: {name} is missing ({path})")
            if hash_file(path) != expected["sha256"]:
                raise CorruptEntry(f"entry {key}: {name} is not what was written ({path})")
        return entry

    def _read_manifest(self, entry: Path, key: str) -> dict[str, Any]:
        path = entry / MANIFEST
        if not path.parent.is_dir():
            raise MissingEntry(f"expected an entry in {self.root}. Received: {key}, not there")
        try:
            manifest = json.loads(path.read_bytes())
            sound = manifest["key"] == key and manifest["seal"] == _seal(manifest)
        except FileNotFoundError as error:
            raise CorruptEntry(f"entry {key}: {MANIFEST} is missing ({path})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptEntry(f"entry {key}: {MANIFEST} is not readable ({path})") from error
        if not sound:
            raise CorruptEntry(f"entry {key}: {MANIFEST} is not what was written ({path})")
        if manifest["schema_version"] != SCHEMA_VERSION:
            # Not corrupt: another version of the package may still need it.
            raise StoreError(
                f"expected schema version {SCHEMA_VERSION}. Received: {manifest['schema_version']} "
                f"in {path}; use a store of this version"
            )
        return manifest

    @contextlib.contextmanager
    def write(
        self, key: str, description: Any, *, took_seconds: float | None = None
    ) -> Iterator[Path]:
        """Yield an empty directory that becomes the entry when the block ends well.

        If the block raises, nothing is left. If a good entry is there already, it stays and the new
        one is dropped. `description` is JSON-able and kept in the manifest for people;
        `took_seconds` is what making it took, if the block only copies what was made elsewhere.
        """
        self._entry(key)
        with self._temporary() as temporary:
            started = time.monotonic()
            yield temporary
            if (temporary / MANIFEST).exists():
                raise StoreError(f"expected files other than {MANIFEST} in entry {key}; rename it")
            manifest = {
                "schema_version": SCHEMA_VERSION,
                "key": key,
                "description": description,
                "files": _file_table(temporary),
                "created_by": _created_by(),
                "took_seconds": round(
                    time.monotonic() - started if took_seconds is None else took_seconds, 3
                ),
            }
            if took_seconds is not None:
                manifest["copied"] = True
            manifest["seal"] = _seal(manifest)
            (temporary / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True))
            sync_tree(temporary)
            self._place(key, temporary)

    def _place(self, key: str, temporary: Path) -> None:
        entry = self._entry(key)
        entry.parent.mkdir(parents=True, exist_ok=True)
        with self._lock("placing"):
            if entry.exists():
                try:
                    self._check(entry, key)
                    return
                except CorruptEntry as error:
                    logger.warning("%s; replaced", error)
                    Store.discard(self, key)  # of this directory alone, whatever the subclass
            os.rename(temporary, entry)
        sync(entry.parent)
        sync(entry.parent.parent)

    def discard(self, key: str) -> Path:
        """Move the entry aside to `corrupt/`, for a look at it, and return its new path.

        Hold `lock(key)`, or this may hit an entry that another process has just rebuilt.
        """
        target = self.root / "corrupt" / f"{key}-{secrets.token_hex(4)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(self._entry(key), target)
        return target

    def lock(self, key: str) -> FileLock:
        """Return the lock of one key, a context manager; one process or thread has it at a time."""
        self._entry(key)
        return self._lock(key)

    def sweep(self) -> int:
        """Remove what dead writers left in `tmp/`, never a live one's; return how many."""
        removed = 0
        with self._lock("tmp"):
            for owner in sorted((self.root / "tmp").glob("*.lock")):
                lock = FileLock(owner)
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                shutil.rmtree(owner.with_suffix(""), ignore_errors=True)
                owner.unlink(missing_ok=True)
                lock.release()
                removed += 1
        return removed

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[Path]:
        path = self.root / "tmp" / f"{os.getpid()}-{secrets.token_hex(8)}"
        owner = FileLock(f"{path}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without this lock a sweep could take the owner's lock while it is made. That comes before
        # the directory: whoever is killed between them leaves what a sweep finds.
        with self._lock("tmp"):
            owner.acquire()
        try:
            path.mkdir()
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            Path(owner.lock_file).unlink(missing_ok=True)
            owner.release()

    def _lock(self, name: str) -> FileLock:
        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)

    def _entry(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"expected 64 hexadecimal digits as the key. Received: {key!r}")
        return self.root / "objects" / key[:2] / key


def _size(path: Path) -> int | None:
    """Size of the file in bytes; None if there is no such file."""
    return path.stat().st_size if path.is_file() else None
