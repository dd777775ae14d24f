"""Where downloaded files lie, and how they get there."""

from __future__ import annotations

import hashlib
import http.client
import os
import secrets
import urllib.request
from pathlib import Path

from cemfp.data.dataset import DataError
from cemfp.storage.files import sync

CHUNK = 1 << 20


def data_directory() -> Path:
    """Return `CEMFP_DATA_DIR`, else `~/.cache/cemfp/data`."""
    return Path(os.environ.get("CEMFP_DATA_DIR") or "~/.cache/cemfp/data").expanduser()


def download(url: str, path: Path, *, md5: str, title: str) -> None:
    """Write what lies at `url` to `path`, which is afterwards whole or not there.

    Shows a progress bar where standard error is a terminal.

    Args:
        url: Where the file is.
        path: Where it goes; its directory is made.
        md5: Published checksum, 32 hexadecimal digits.
        title: What people call the file's content.

    Raises:
        DataError: No network, no room, or something else lies at `url`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        received = _copy(url, temporary, title)
        if received != md5:
            raise OSError(f"expected a file with MD5 {md5}. Received: {received}")
        sync(temporary)
        os.replace(temporary, path)
    except (OSError, http.client.HTTPException) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{title} is not in {path.parent} and could not be downloaded ({reason}). Connect to "
            f"the network once, or put {path.name} there; CEMFP_DATA_DIR names another directory."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _copy(url: str, path: Path, title: str) -> str:
    """Write `url` to `path` and return its MD5."""
    from tqdm import tqdm

    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(url, timeout=15) as reply:
        path.parent.mkdir(parents=True, exist_ok=True)
        size = int(reply.headers.get("Content-Length") or 0) or None
        # disable=None: shown only where there is a terminal
        bar = tqdm(desc=title, total=size, unit="B", unit_scale=True, leave=False, disable=None)
        with bar, open(path, "wb") as file:
            while chunk := reply.read(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
    return digest.hexdigest()
