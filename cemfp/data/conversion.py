"""Arrays of images checked, brought to uint8 or float32 in [0, 1], and kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cemfp.data.arrays import Arrays
from cemfp.data.cache import PARTS, RowWriter, find_or_make, finish, key_of
from cemfp.data.dataset import DataError
from cemfp.data.listing import Item, split
from cemfp.data.pictures import POLICY, as_pixels
from cemfp.data.spec import DataSpec

BLOCK = 1 << 24  # bytes that are converted at once
Convert = Callable[[np.ndarray], np.ndarray]


def order(wanted: tuple[str, ...], found: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the classes in the wanted order, if one is.

    Raises:
        DataError: The data set has a class that is not among them.
    """
    if strange := [label for label in found if wanted and label not in wanted]:
        raise DataError(
            f"expected the classes {', '.join(wanted[:8])}{', ...' if len(wanted) > 8 else ''}. "
            f"Received: {name} with {', '.join(strange[:5])}; add them to the file of --classes, "
            "or correct the spelling"
        )
    return wanted or found


def empty_classes(classes: Sequence[str], found: Sequence[str]) -> list[str]:
    """Return a remark on the classes that no image has."""
    empty = [name for name in classes if name not in found]
    return [f"classes without images: {', '.join(empty[:10])}"] if empty else []


def make_entry(spec: DataSpec, given: Arrays) -> str:
    """Check arrays, convert them, keep them, and return `cached:HASH`.

    Raises:
        DataError: Not images and as many labels, or values of no known range.
    """
    parts = {part: _images(given.name, x) for part, (x, _) in given.parts.items()}
    for part, (_, y) in given.parts.items():
        if len(parts[part]) != len(y) or not len(y):
            raise DataError(
                f"expected as many labels as images, and some, in {given.name}. Received: "
                f"{len(parts[part])} images, {len(y)} labels"
            )
    if len({x.shape[1:] for x in parts.values()}) > 1:
        raise DataError(f"expected one shape of images in {given.name}. Received: two")
    labels, classes = _labels({k: y for k, (_, y) in given.parts.items()}, given, spec)
    remarks = [*given.remarks]
    convert, shape, dtype = _conversion(given.name, list(parts.values()), spec, remarks)
    used = {classes[i] for y in labels.values() for i in np.unique(y)}
    remarks += empty_classes(classes, sorted(used))
    rows = _rows(labels, classes, spec)
    digest = hashlib.sha256()
    for part, source, index in rows:
        digest.update(f"{part}{dtype}{(len(index), *shape)}".encode())
        digest.update(labels[source][index].data)
        for block in _blocks(parts[source], index):
            digest.update(np.ascontiguousarray(convert(block)).data)
    key = key_of({"policy": POLICY, "arrays": digest.hexdigest(), "classes": classes})

    def make(directory: Path) -> None:
        """Write both parts and what was found."""
        for part, source, index in rows:
            with RowWriter(directory / f"{part}.npy", shape, dtype) as writer:
                for block in _blocks(parts[source], index):
                    writer.add(convert(block))
        whole = f"{next(iter(parts.values())).shape[1]} x {next(iter(parts.values())).shape[2]}"
        report = {
            "remarks": remarks,
            "sizes": {whole: sum(map(len, parts.values()))},
            "modes": {str(next(iter(parts.values())).dtype): sum(map(len, parts.values()))},
            "found": {},
            "converted": {},
            "skipped": [],
        }
        own = {part: labels[source][index] for part, source, index in rows}
        finish(directory, given.name, classes, own, {part: [] for part in PARTS}, report)

    return find_or_make(key, make)


def _images(name: str, images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 2, 3, 4):
        channels_first = images.ndim == 4 and images.shape[1] in (1, 3)
        raise DataError(
            f"expected images (n, h, w) or (n, h, w, c) of 1 to 4 channels in {name}. Received: "
            f"{images.shape}{'; move the channels to the end' if channels_first else ''}"
        )
    return images


def _labels(
    raw: dict[str, np.ndarray], given: Arrays, spec: DataSpec
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return labels (n,) int64 of each part, and class names."""
    flat = {part: _flat(given.name, np.asarray(y)) for part, y in raw.items()}
    everything = np.concatenate(list(flat.values()))
    if everything.dtype.kind in "US":
        words = {part: y.astype(str) for part, y in flat.items()}
        found = tuple(sorted({str(word) for word in np.unique(everything.astype(str))}))
        classes = order(spec.classes or given.classes, found, given.name)
        places = {name: place for place, name in enumerate(classes)}
        return {k: np.array([places[w] for w in y], np.int64) for k, y in words.items()}, classes
    names, most = spec.classes or given.classes, int(everything.max())
    if everything.min() < 0 or (names and most >= len(names)):
        raise DataError(
            f"expected labels from 0 to {len(names) - 1 if names else 'the number of classes - 1'} "
            f"in {given.name}. Received: {everything.min()} to {most}"
        )
    if not names and (gaps := sorted(set(range(most)) - set(np.unique(everything).tolist()))):
        raise DataError(
            f"expected labels from 0 on, each with images, in {given.name}. Received: none of "
            f"{', '.join(map(str, gaps[:5]))} but {most}; start at 0, or name all with --classes"
        )
    if given.classes and spec.classes and given.classes != spec.classes:
        mapped = order(spec.classes, given.classes, given.name)
        turn = np.array([mapped.index(name) for name in given.classes])
        return {part: turn[y] for part, y in flat.items()}, mapped
    return flat, names or tuple(map(str, range(most + 1)))


def _flat(name: str, labels: np.ndarray) -> np.ndarray:
    """Return labels (n,), as numbers int64, from (n,), (n, 1) or one-hot rows."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "buif":
        if not np.all((labels == 0) | (labels == 1)) or not np.all(labels.sum(axis=1) == 1):
            raise DataError(f"expected one class of each image in {name}. Received: mixed labels")
        labels = labels.argmax(axis=1)
    if labels.ndim != 1 or labels.dtype.kind not in "buifUS":
        raise DataError(
            f"expected labels (n,), (n, 1) or one-hot (n, classes) in {name}. Received: "
            f"{labels.shape} of {labels.dtype}"
        )
    if labels.dtype.kind in "US":
        return labels
    if not np.all(labels == np.rint(labels)):
        raise DataError(f"expected whole numbers as labels in {name}. Received: fractions")
    return labels.astype(np.int64)


def _rows(
    labels: dict[str, np.ndarray], classes: tuple[str, ...], spec: DataSpec
) -> list[tuple[str, str, np.ndarray]]:
    """Return (part, part that was given, rows of that), for training and test."""
    if "" not in labels:
        return [(part, part, np.arange(len(labels[part]))) for part in PARTS]
    rows = [Item("", str(i), classes[y], Path()) for i, y in enumerate(labels[""])]
    parts = np.array([item.part for item in split(rows, spec.test_share, spec.seed)])
    return [(part, "", np.flatnonzero(parts == part)) for part in PARTS]


def _conversion(
    name: str, images: list[np.ndarray], spec: DataSpec, remarks: list[str]
) -> tuple[Convert, tuple[int, int, int], np.dtype]:
    """Return what makes blocks uint8, or float32 in [0, 1], with the shape of an image then."""
    convert, dtype = _to_range(name, images, remarks)
    height, width, channels = images[0].shape[1:]
    wanted = spec.channels or {2: 1, 4: 3}.get(channels, channels)
    shape = (*(spec.size or (height, width)), wanted)
    if shape == (height, width, channels):
        return convert, shape, dtype
    if dtype != np.uint8:
        raise DataError(
            f"expected images of 8 bits to resize or convert in {name}. Received: floats of "
            f"{(height, width, channels)} for {shape}; multiply by 255, round, make them uint8"
        )
    remarks.append(f"images of {(height, width, channels)} made {shape}")

    def reshape(block: np.ndarray) -> np.ndarray:
        levels = convert(block)
        levels = levels[..., 0] if channels == 1 else levels
        return np.stack([as_pixels(Image.fromarray(x), wanted, shape[:2])[0] for x in levels])

    return reshape, shape, dtype


def _to_range(name: str, images: list[np.ndarray], remarks: list[str]) -> tuple[Convert, np.dtype]:
    """Return what brings values to uint8, or to float32 in [0, 1], as their range says."""
    kind, itemsize = images[0].dtype.kind, images[0].dtype.itemsize
    if kind not in "buif":
        raise DataError(f"expected numbers as pixels in {name}. Received: {images[0].dtype}")
    if kind == "b":
        remarks.append("false and true made 0 and 255")
        return lambda x: x.astype(np.uint8) * np.uint8(255), np.dtype(np.uint8)
    low, high, whole = _range(images)
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0:
        hint = "; bring them from [-1, 1] to [0, 1] or to uint8" if low >= -1 and high <= 1 else ""
        raise DataError(
            f"expected pixels from 0 to 1 or 0 to 255 in {name}. "
            f"Received: {low:g} to {high:g}{hint}"
        )
    if kind in "ui" and itemsize == 2 and high > 255:
        remarks.append("16 bits made 8")
        return lambda x: np.rint(x / 257.0).astype(np.uint8), np.dtype(np.uint8)
    if high > 255 or (kind in "ui" and high <= 1) or (kind == "f" and high > 1 and not whole):
        raise DataError(
            f"expected pixels from 0 to 1, or whole ones from 0 to 255, in {name}. Received: "
            f"{images[0].dtype} up to {high:g}"
            f"{'; scaled before they were rounded?' if high <= 1 else ''}"
        )
    if kind == "f" and high <= 1.5 / 255:
        raise DataError(
            f"expected pixels from 0 to 1 in {name}. Received: at most {high:.2g}; divided by 255 "
            "twice?"
        )
    if kind == "f" and high <= 1:
        return lambda x: x.astype(np.float32), np.dtype(np.float32)
    if kind == "f":
        remarks.append("floats of whole numbers from 0 to 255 made uint8")
    return lambda x: x.astype(np.uint8), np.dtype(np.uint8)


def _range(images: list[np.ndarray]) -> tuple[float, float, bool]:
    """Return the lowest and the highest value, and whether all are whole; NaN for no number."""
    low, high, whole = np.inf, -np.inf, True
    for array in images:
        for block in _blocks(array, np.arange(len(array))):
            least, most = float(block.min()), float(block.max())
            if not (np.isfinite(least) and np.isfinite(most)):
                return np.nan, np.nan, False
            low, high = min(low, least), max(high, most)
            whole = whole and (block.dtype.kind != "f" or bool(np.all(block == np.rint(block))))
    return low, high, whole


def _blocks(images: np.ndarray, index: np.ndarray) -> Iterator[np.ndarray]:
    row = max(1, images[0].nbytes) if len(images) else 1
    step = max(1, BLOCK // row)
    for start in range(0, len(index), step):
        yield images[index[start : start + step]]
