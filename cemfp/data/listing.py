"""Which image files a folder holds, of which classes and parts: by their names alone."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cemfp.data.dataset import DataError
from cemfp.data.pictures import SUFFIXES

TRAIN, TEST = "train", "test"
UNLABELLED = "unlabelled"  # the class of images whose classes nobody knows
TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation")  # the first that is there
IGNORED = {".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX", ".ipynb_checkpoints"}


@dataclasses.dataclass(frozen=True)
class Item:
    """An image file.

    Attributes:
        part: `train` or `test`; empty where it is still to be decided.
        name: Path below the folder, with slashes.
        label: Its class.
        path: Where it is.
    """

    part: str
    name: str
    label: str
    path: Path


@dataclasses.dataclass(frozen=True)
class Listing:
    """The image files of a data set, in the order of their names.

    Attributes:
        items: The files.
        classes: Class names in the order of the label indices.
        remarks: What was found besides, and left out.
        missing: Files that were promised and are not there.
    """

    items: tuple[Item, ...]
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def list_folder(root: Path) -> Listing:
    """List a folder with one sub-folder for each class, or such folders for each part.

    Classes are in the order of their names as strings, as Keras has them. Links to files and to
    folders of classes are followed, wherever they lead; links to folders further down are not.

    Raises:
        DataError: No such folders, a class without images, or another class in one part.
    """
    remarks = Remarks()
    parts = _parts(root, remarks)
    items = [item for part, folder in parts for item in _of_part(root, part, folder, remarks)]
    own = {part: {item.label for item in items if item.part == part} for part, _ in parts}
    classes = sorted({item.label for item in items})
    if len(classes) < 2:
        raise DataError(
            f"expected a folder with a folder of images for each of two or more classes, with a "
            f"CSV file of file names and labels, or with images.npy and labels.npy. Received: "
            f"{root} with {len(classes)}{_alike(root)}"
        )
    for part, labels in own.items():
        if strange := sorted(labels - own[parts[0][0]]):
            raise DataError(
                f"expected classes that have training images. Received: {', '.join(strange[:5])}, "
                f"in the {part} part only"
            )
    if all(name.isdecimal() for name in classes) and classes != sorted(classes, key=int):
        remarks.add("classes are numbers in the order of strings, as Keras has them (0, 1, 10, 2)")
    return Listing(
        tuple(sorted(items, key=lambda i: (i.name, i.part))), tuple(classes), remarks.all()
    )


def list_unlabelled(root: Path) -> Listing:
    """List all images in and below a folder, of one class that says nothing.

    Raises:
        DataError: There are not two.
    """
    remarks = Remarks()
    found = sorted(images_below(root, root, remarks))
    if len(found) < 2:
        raise DataError(f"expected images in {root} or below. Received: {len(found)}")
    items = (Item("", p.relative_to(root).as_posix(), UNLABELLED, p) for p in found)
    return Listing(tuple(items), (UNLABELLED,), remarks.all())


def split(items: Sequence[Item], share: float, seed: int) -> list[Item]:
    """Return the items with a part each: of every class the same share for the test.

    Only `seed`, class and name decide, by their hash: neither the order nor the machine does. A
    class of one image has none for the test.
    """
    by_class: dict[str, list[Item]] = collections.defaultdict(list)
    for item in items:
        by_class[item.label].append(item)
    tests: set[str] = set()
    for label, own in by_class.items():
        names = sorted((item.name for item in own), key=lambda n: _draw(seed, label, n))
        count = min(max(1, round(share * len(own))), len(own) - 1)
        tests.update(names[:count])
    return [dataclasses.replace(i, part=TEST if i.name in tests else TRAIN) for i in items]


class Remarks:
    """Sentences, and counts of things that were left out with an example of each."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._left_out: dict[str, list[str]] = {}

    def add(self, sentence: str) -> None:
        """Say something."""
        self._said.append(sentence)

    def left_out(self, kind: str, name: str) -> None:
        """Count one thing."""
        self._left_out.setdefault(kind, []).append(name)

    def all(self) -> tuple[str, ...]:
        """Everything, each kind once."""
        counts = (
            f"left out: {len(names)} {kind} ({', '.join(sorted(names)[:3])}"
            f"{', ...' if len(names) > 3 else ''})"
            for kind, names in sorted(self._left_out.items())
        )
        return (*self._said, *counts)


def images_below(root: Path, folder: Path, remarks: Remarks) -> Iterator[Path]:
    """Yield the image files in and below `folder`; say what else is there."""
    for directory, folders, files in os.walk(folder):
        here = Path(directory)
        for name in list(folders):
            kind = _unwanted(name) or ("linked folders" if (here / name).is_symlink() else "")
            if kind:
                remarks.left_out(kind, (here / name).relative_to(root).as_posix())
                folders.remove(name)
        for name in files:
            kind = _unwanted(name)
            if not kind and Path(name).suffix.lower() not in SUFFIXES:
                kind = f"files {Path(name).suffix.lower() or 'without an ending'}"
            if kind:
                remarks.left_out(kind, (here / name).relative_to(root).as_posix())
            else:
                yield here / name


def _parts(root: Path, remarks: Remarks) -> list[tuple[str, Path]]:
    """Return (part, folder): two if the folder has both, else one without a name."""
    names = {path.name.lower(): path for path in _folders(root)}
    train = next((names[name] for name in TRAIN_FOLDERS if name in names), None)
    tests = [names[name] for name in TEST_FOLDERS if name in names]
    if train is None or not tests or not all(any(_folders(f)) for f in (train, tests[0])):
        return [("", root)]
    for other in _folders(root):
        if other not in (train, tests[0]) and not _unwanted(other.name):
            remarks.left_out("folders beside train and test", other.name)
    return [(TRAIN, train), (TEST, tests[0])]


def _of_part(root: Path, part: str, folder: Path, remarks: Remarks) -> Iterator[Item]:
    """Yield the images of each class folder in `folder`."""
    for path in sorted(folder.iterdir()):
        if kind := _unwanted(path.name) or ("" if path.is_dir() else "files outside of classes"):
            remarks.left_out(kind, path.relative_to(root).as_posix())
            continue
        images = list(images_below(root, path, remarks))
        if not images:
            raise DataError(
                f"expected images of each class. Received: {path} without any; remove the folder, "
                "or put images there"
            )
        for image in images:
            yield Item(part, image.relative_to(root).as_posix(), path.name, image)


def _folders(root: Path) -> Iterable[Path]:
    return (path for path in sorted(root.iterdir()) if path.is_dir() and not _unwanted(path.name))


def _unwanted(name: str) -> str:
    """Why a name is never an image's or a class's; empty if it may be."""
    return "hidden or system files" if name.startswith(".") or name in IGNORED else ""


def _alike(root: Path) -> str:
    """Hint at the folder further down that may be meant."""
    inner = [path for path in _folders(root) if len(list(_folders(path))) > 1]
    return f"; is {inner[0]} meant?" if len(inner) == 1 else ""


def _draw(seed: int, label: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{label}\0{name}".encode("utf-8", "surrogateescape")).digest()
