"""Converted images on disk, filed under the hash of what they were made from.

An entry holds `train.npy`, `test.npy`, their labels, `names.json` (which file each row was) and
`meta.json`. It appears under its name when it is whole, and is opened as memory maps: a data set
may be larger than the memory. The place is a `Store`, so that two processes never disturb each
other, and what one that was killed left is removed by the next that writes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from cemfp.data.dataset import DataError, Dataset, Provenance, Split, make_dataset
from cemfp.data.spec import CACHED
from cemfp.storage.files import canonical_json, hash_bytes, read_json
from cemfp.storage.store import CorruptEntry, MissingEntry, Store

PARTS = ("train", "test")
META, NAMES = "meta.json", "names.json"


def cache() -> Store:
    """Return the store in `CEMFP_DATA_CACHE`, else in `~/.cache/cemfp/data/converted`."""
    place = os.environ.get("CEMFP_DATA_CACHE") or "~/.cache/cemfp/data/converted"
    return Store(Path(place).expanduser())


def key_of(description: Any) -> str:
    """Return the 64 hexadecimal digits of what an entry is made from."""
    return hash_bytes(canonical_json(description).encode())


def open_entry(name: str) -> Dataset:
    """Return the data set `cached:HASH`; its images are memory maps.

    Raises:
        DataError: It is not in the cache, or was damaged.
    """
    key = name.removeprefix(CACHED)
    try:
        entry = cache().get(key)
        meta = read_json(entry / META)
    except MissingEntry as error:
        raise DataError(
            f"expected converted images in {cache().root} (CEMFP_DATA_CACHE). Received: {name}, "
            "which is not there; name the folder it was made from once more"
        ) from error
    except (CorruptEntry, ValueError, OSError) as error:
        if isinstance(error, CorruptEntry):
            _discard(key)
        raise DataError(f"{name}: {error}; name the folder it was made from once more") from error
    splits = {
        part: Split(
            np.load(entry / f"{part}.npy", mmap_mode="r", allow_pickle=False),
            np.load(entry / f"{part}_labels.npy", allow_pickle=False),
        )
        for part in PARTS
    }
    provenance = Provenance(**meta["provenance"])
    return Dataset(splits["train"], splits["test"], tuple(meta["classes"]), provenance)


def facts(name: str) -> dict[str, Any]:
    """Return what the entry `cached:HASH` says of itself, without its images.

    That is `classes`, `provenance`, `shape` of an image, and the `report` of what was found.

    Raises:
        DataError: It is not in the cache.
    """
    try:
        return dict(read_json(_entry(name) / META))
    except (OSError, ValueError) as error:
        raise DataError(
            f"expected converted images in {cache().root} (CEMFP_DATA_CACHE). Received: {name} "
            f"({error})"
        ) from error


def row_names(name: str) -> dict[str, list[str]]:
    """Return the file that each row of `train` and `test` was; empty where there were none."""
    return dict(read_json(_entry(name) / NAMES))


def _entry(name: str) -> Path:
    key = name.removeprefix(CACHED)
    if not re.fullmatch("[0-9a-f]{64}", key):
        raise DataError(f"expected {CACHED} and 64 hexadecimal digits. Received: {name}")
    return cache().root / "objects" / key[:2] / key


def find_or_make(key: str, make: Callable[[Path], None]) -> str:
    """Return `cached:KEY`, made by `make(directory)` unless a good entry is there.

    Of several processes one makes it and the others wait.
    """
    store = cache()
    with store.lock(key):
        if not store.has(key):
            store.sweep()
            with store.write(key, "converted images") as directory:
                make(directory)
    return CACHED + key


def _discard(key: str) -> None:
    """Move a damaged entry aside, so that it is made again when it is next asked for."""
    store = cache()
    with store.lock(key):
        try:
            store.get(key)
        except CorruptEntry:
            store.discard(key)
        except MissingEntry:
            pass


class RowWriter:
    """Writes rows of one shape and type to an `.npy` file; how many is known at the end."""

    def __init__(self, path: Path, shape: Sequence[int], dtype: Any) -> None:
        self._shape, self._dtype, self.count = tuple(shape), np.dtype(dtype), 0
        self._file = open(path, "wb")  # noqa: SIM115 (it is the context manager)
        self._head()

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # The header leaves room for the number of rows, so that its length stays.
        self._file.seek(0)
        self._head()
        self._file.close()

    def add(self, rows: np.ndarray) -> None:
        """Write rows (n, *shape)."""
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self.count += len(rows)

    def _head(self) -> None:
        described = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.count, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, described)


def finish(
    directory: Path,
    name: str,
    classes: tuple[str, ...],
    labels: dict[str, Iterable[int]],
    names: dict[str, list[str]],
    report: dict[str, Any],
) -> None:
    """Complete an entry whose images are written: labels, names, content hash, report.

    Raises:
        DataError: A part has no image.
    """
    splits = {}
    for part in PARTS:
        own = np.array(list(labels[part]), np.int64)
        np.save(directory / f"{part}_labels.npy", own)
        if not len(own):
            raise DataError(f"expected {part} images in {name}. Received: none that can be read")
        images = np.load(directory / f"{part}.npy", mmap_mode="r", allow_pickle=False)
        splits[part] = Split(images, own)
    made = make_dataset(name, splits["train"], splits["test"], classes)
    meta = {
        "classes": list(classes),
        "shape": list(made.input_shape),
        "provenance": dataclasses.asdict(made.provenance),
        "report": report,
    }
    (directory / META).write_text(json.dumps(meta, indent=2))
    (directory / NAMES).write_text(json.dumps(names))
