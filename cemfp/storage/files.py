"""Files that are either whole or not there, and hashes of what is in them."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

_LEFT_BEHIND = 600.0  # seconds after which a temporary file has no writer any more


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, ASCII; NaN is a `ValueError`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def read_json(path: Path) -> Any:
    """Parse the JSON file `path`; a file that is not JSON is a `ValueError` naming it."""
    try:
        return json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"expected a JSON file. Received: {path} ({error})") from error


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the file `path`, 64 hexadecimal digits, in constant memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write `data` to `path` so that a reader, or a crash, finds the old file or the new one.

    Args:
        path: Where to.
        data: What.
        mode: Of the file, less what the process's mask takes away; 0o600 keeps it from others.

    Raises:
        OSError: It cannot be written, or something is there that is no file: a device, say.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "is no regular file: not replaced", str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        temporary.touch(mode, exist_ok=False)
        temporary.write_bytes(data)
        sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sweep(path)
    sync(path.parent)


def _sweep(path: Path) -> None:
    """Remove what writers of `path` left that were killed; one at work touches its file."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _LEFT_BEHIND:
                left.unlink()


def sync(path: Path) -> None:
    """Flush a file, or a directory's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Flush all files and directories below and including `root` to the disk."""
    for directory, _, files in os.walk(root):
        for name in files:
            sync(Path(directory, name))
        sync(Path(directory))
