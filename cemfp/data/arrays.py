"""Images that come as arrays: from files, or from a function; they are not looked at yet."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from cemfp.data.cache import PARTS
from cemfp.data.dataset import DataError, Dataset
from cemfp.data.listing import TEST, TRAIN

IMAGES, LABELS = "images.npy", "labels.npy"
Pair = tuple[np.ndarray, np.ndarray]

_KEYS = (
    {TRAIN: ("x_train", "y_train"), TEST: ("x_test", "y_test")},
    {TRAIN: ("train_images", "train_labels"), TEST: ("test_images", "test_labels")},
    {"": ("images", "labels")},
    {"": ("x", "y")},
)
_CLASS_KEYS = ("classes", "class_names", "label_names")


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """What somebody handed over.

    Attributes:
        name: What to call it.
        parts: Images and labels of `train` and `test`, or of one part named ``.
        classes: Class names if they came along.
        remarks: What was found besides.
    """

    name: str
    parts: dict[str, Pair]
    classes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def from_npz(path: Path) -> Arrays:
    """Read an `.npz` file of `images` and `labels`, or of Keras' `x_train`, `y_train`, ...

    Raises:
        DataError: It has no such arrays, or one of Python objects, which is never loaded.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names = {name.lower(): name for name in file.files}
            chosen = next(
                (k for k in _KEYS if {n for p in k.values() for n in p} <= set(names)), None
            )
            if chosen is None:
                raise DataError(
                    f"expected arrays images and labels, or x_train, y_train, x_test and y_test, "
                    f"in {path}. Received: {', '.join(file.files[:8]) or 'none'}"
                )
            parts = {part: (file[names[x]], file[names[y]]) for part, (x, y) in chosen.items()}
            given = next((names[key] for key in _CLASS_KEYS if key in names), None)
            classes = () if given is None else tuple(str(name) for name in file[given].ravel())
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"expected an .npz file of numbers. Received: {path} ({error})") from error
    return Arrays(path.stem, parts, classes)


def from_pair(folder: Path) -> Arrays:
    """Read `images.npy` and `labels.npy`; the images are not copied into memory.

    Raises:
        DataError: One is missing or holds Python objects.
    """
    try:
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / LABELS, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"expected {IMAGES} and {LABELS}, arrays of numbers, in {folder}. Received: {error}"
        ) from error
    return Arrays(folder.resolve().name, {"": (images, labels)})


def from_python(target: str) -> Arrays:
    """Call `module:function` of the current directory or the Python path.

    It returns (images, labels), ((images, labels), (images, labels)) for training and test, or a
    `Dataset`.

    Raises:
        DataError: There is no such function, it raises, or returns something else.
    """
    return from_value(target.replace(":", "."), _call(target))


def from_value(name: str, made: Any) -> Arrays:
    """Take (images, labels), such pairs for training and test, or a `Dataset`.

    Raises:
        DataError: It is something else.
    """
    if isinstance(made, Dataset):
        parts = {part: getattr(made, part) for part in PARTS}
        pairs = {part: (own.images, own.labels) for part, own in parts.items()}
        return Arrays(made.provenance.name, pairs, made.classes)
    if isinstance(made, tuple | list) and len(made) == 2:
        if all(isinstance(part, tuple | list) and len(part) == 2 for part in made):
            pairs = dict(zip(PARTS, made, strict=True))
            return Arrays(name, {k: (np.asarray(x), np.asarray(y)) for k, (x, y) in pairs.items()})
        return Arrays(name, {"": (np.asarray(made[0]), np.asarray(made[1]))})
    raise DataError(
        f"expected (images, labels), two of them, or a Dataset from {name}. "
        f"Received: {type(made).__name__}"
    )


def _call(target: str) -> Any:
    module_name, _, function_name = target.partition(":")
    if not module_name or not function_name.isidentifier():
        raise DataError(f"expected python:module:function. Received: python:{target}")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
        if not callable(function):
            raise DataError(f"expected a function {function_name} in {module_name}. Received: none")
        return function()
    except DataError:
        raise
    except Exception as error:  # foreign code fails in any way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"expected images from python:{target}. "
            f"Received: {type(error).__name__}: {reason[:200]}"
        ) from error
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(here)
