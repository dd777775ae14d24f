"""A user's own images as a data set, converted once and kept in the cache."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cemfp.data import arrays, conversion
from cemfp.data.cache import PARTS, RowWriter, facts, find_or_make, finish, key_of
from cemfp.data.dataset import DataError
from cemfp.data.listing import (
    TEST,
    TRAIN,
    Item,
    Listing,
    list_folder,
    list_unlabelled,
    split,
)
from cemfp.data.pictures import POLICY, Damaged, Look, decode, look, strict_decoding
from cemfp.data.spec import CACHED, PYTHON, TFDS, DataSpec
from cemfp.data.table import list_table, table_of
from cemfp.data.tfds_any import from_tfds

AT_ONCE = 256  # images that are decoded before they are written


def make_entry(spec: DataSpec, names: tuple[str, ...] = ()) -> str:
    """Convert what `spec` names unless the cache has it, and return its name, `cached:HASH`.

    Args:
        spec: What, and how.
        names: Those that the user may have meant; for a message.

    Raises:
        DataError: Nothing of the kind is there, or more files are damaged than `spec` allows.
    """
    if spec.where.startswith(CACHED):
        return spec.where
    if spec.where.startswith(PYTHON):
        return conversion.make_entry(spec, arrays.from_python(spec.where.removeprefix(PYTHON)))
    if spec.where.startswith(TFDS):
        return conversion.make_entry(spec, from_tfds(spec.where.removeprefix(TFDS), spec))
    path = Path(spec.where).expanduser()
    if path.is_file() and path.suffix.lower() == ".npz":
        return conversion.make_entry(spec, arrays.from_npz(path))
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
        return _of_files(spec, path.parent, list_table(path))
    if not path.is_dir():
        raise DataError(
            f"expected a data set among {', '.join(names)}, a folder, an .npz or CSV file, "
            f"tfds:NAME or python:module:function. Received: {spec.where!r}"
            f"{', which is not there' if not path.exists() else ''}"
        )
    if spec.unlabelled:
        return _of_files(spec, path, list_unlabelled(path))
    if (path / arrays.IMAGES).is_file():
        return conversion.make_entry(spec, arrays.from_pair(path))
    table = table_of(path)
    return _of_files(spec, path, list_table(table) if table else list_folder(path))


def _of_files(spec: DataSpec, root: Path, listing: Listing) -> str:
    """Look at each file, choose one shape, convert, write."""
    name = root.resolve().name
    classes = conversion.order(spec.classes, listing.classes, name)
    with strict_decoding():
        looks, broken = _look_at(listing.items)
        broken = [(missing, "named, but not there") for missing in listing.missing] + broken
        _check_damaged(broken, spec, root)
        size, channels = _shape(looks, spec, root)
        items = _with_parts([item for item in listing.items if item.name in looks], spec)
        key = key_of(
            {
                "policy": POLICY,
                "size": size,
                "channels": channels,
                "classes": classes,
                "skipped": sorted(name for name, _ in broken),
                "items": [[i.part, i.name, i.label, looks[i.name].sha256] for i in items],
            }
        )
        report = {
            "remarks": [*listing.remarks, *conversion.empty_classes(classes, listing.classes)],
            "sizes": _counts("{} x {}".format(*x.size) for x in looks.values()),
            "modes": _counts(x.mode for x in looks.values()),
            "found": _counts(itertools.chain(*(x.remarks for x in looks.values()))),
        }

        def make(directory: Path) -> None:
            _write(directory, name, items, classes, size, channels, report, broken)

        entry = find_or_make(key, make)
    skipped = facts(entry)["report"]["skipped"]
    _check_damaged([(s["name"], s["why"]) for s in skipped], spec, root)
    return entry


def _write(
    directory: Path,
    name: str,
    items: Sequence[Item],
    classes: tuple[str, ...],
    size: tuple[int, int],
    channels: int,
    report: dict[str, Any],
    broken: list[tuple[str, str]],
) -> None:
    """Write an entry."""
    labels: dict[str, list[int]] = {part: [] for part in PARTS}
    names: dict[str, list[str]] = {part: [] for part in PARTS}
    converted: collections.Counter[str] = collections.Counter()
    broken = list(broken)
    with contextlib.ExitStack() as stack:
        writers = {
            part: stack.enter_context(
                RowWriter(directory / f"{part}.npy", (*size, channels), np.uint8)
            )
            for part in PARTS
        }
        for item, made in _in_threads(items, lambda i: _try(decode, i.path, channels, size)):
            if isinstance(made, Damaged):
                broken.append((item.name, str(made)))
                continue
            image, done = made
            converted.update(done)
            writers[item.part].add(image[None])
            labels[item.part].append(classes.index(item.label))
            names[item.part].append(item.name)
    skipped = [{"name": name, "why": why} for name, why in broken]
    finish(
        directory,
        name,
        classes,
        labels,  # type: ignore[arg-type]
        names,
        {**report, "converted": dict(sorted(converted.items())), "skipped": skipped},
    )


def _look_at(items: Sequence[Item]) -> tuple[dict[str, Look], list[tuple[str, str]]]:
    """Return what the files say, by name, and (name, reason) of those that are no images."""
    looks, broken = {}, []
    for item, found in _in_threads(items, lambda i: _try(look, i.path)):
        if isinstance(found, Damaged):
            broken.append((item.name, str(found)))
        else:
            looks[item.name] = found
    return looks, broken


def _in_threads(items: Sequence[Item], function: Any) -> Iterator[tuple[Item, Any]]:
    """Yield (item, function(item)) in order, some at a time: Pillow decodes without the lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), AT_ONCE):
            some = items[start : start + AT_ONCE]
            yield from zip(some, pool.map(function, some), strict=True)


def _try(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Damaged as error:
        return error


def _with_parts(items: Sequence[Item], spec: DataSpec) -> list[Item]:
    given = {item.part for item in items}
    if "" in given:
        # What has no labels tests nothing: one image is the test part that a data set has to have.
        return split(items, 0.0 if spec.unlabelled else spec.test_share, spec.seed)
    if given == {TRAIN}:
        raise DataError(f"expected test images, too. Received: {spec.where} with a training part")
    if given == {TEST}:
        raise DataError(f"expected training images. Received: {spec.where} with a test part only")
    return list(items)


def _shape(looks: dict[str, Look], spec: DataSpec, root: Path) -> tuple[tuple[int, int], int]:
    """Return height and width, and channels."""
    if not looks:
        raise DataError(f"expected images in {root}. Received: none that can be read")
    sizes = collections.Counter(found.size for found in looks.values())
    if spec.size is None and len(sizes) > 1:
        common = ", ".join(f"{h}x{w} ({n})" for (h, w), n in sizes.most_common(3))
        raise DataError(
            f"expected images of one size in {root}. Received: {len(sizes)} sizes, most often "
            f"{common}; add --image-size HxW to resize them"
        )
    grey = all(found.grey for found in looks.values())
    return spec.size or next(iter(sizes)), spec.channels or (1 if grey else 3)


def _check_damaged(broken: list[tuple[str, str]], spec: DataSpec, root: Path) -> None:
    if len(broken) > spec.max_damaged:
        first = "; ".join(f"{name}: {why}" for name, why in broken[:3])
        raise DataError(
            f"expected {'no' if not spec.max_damaged else f'at most {spec.max_damaged}'} damaged "
            f"files in {root}. Received: {len(broken)} ({first}{'; ...' if len(broken) > 3 else ''}"
            f"); repair or remove them, or leave them out with --max-damaged {len(broken)}"
        )


def _counts(values: Any) -> dict[str, int]:
    return dict(collections.Counter(values).most_common(20))
