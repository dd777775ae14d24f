"""Which images a user means: a name, a folder, a file, and how they are to be read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cemfp.data.dataset import DataError

CACHED, TFDS, PYTHON = "cached:", "tfds:", "python:"


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """Images and how they are read. For a name in `DATASETS` all but `where` stays as it is.

    Attributes:
        where: A name in `DATASETS`; a folder with a sub-folder for each class, with a CSV file of
            file names and labels, or with `images.npy` and `labels.npy`; an `.npz` or CSV file;
            `tfds:NAME[:SPLIT]`; `python:module:function`; `cached:HASH`.
        size: Height and width that images are resized to; None where all have one size.
        classes: Class names in the order of the label indices; empty for the order of the names.
        test_share: Share of each class that becomes the test split, where none is given.
        seed: Decides which; together with the names alone.
        max_damaged: How many files may be no readable image. They are left out and named.
        channels: 1 or 3; 0 for 1 if all images are grey, else 3.
        unlabelled: Take all images in and below a folder as training images of no known class.
    """

    where: str
    size: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()
    test_share: float = 0.2
    seed: int = 0
    max_damaged: int = 0
    channels: int = 0
    unlabelled: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise DataError(f"expected a test share in (0, 1). Received: {self.test_share}")
        if len(set(self.classes)) != len(self.classes):
            raise DataError(f"expected each class once. Received: {', '.join(self.classes)}")
        if self.size is not None and min(self.size) < 1:
            raise DataError(f"expected a height and a width above 0. Received: {self.size}")
        if self.channels not in (0, 1, 3):
            raise DataError(f"expected 1 or 3 channels. Received: {self.channels}")

    def __str__(self) -> str:
        return self.where

    @property
    def plain(self) -> bool:
        """Whether nothing but `where` was set."""
        return self == DataSpec(self.where)


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the class names in a text file, one in a line: the model's order of classes.

    Raises:
        DataError: It cannot be read, or has fewer than two names, or one twice.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"expected a text file of class names. Received: {path} ({error})"
        ) from error
    names = [line.strip() for line in lines if line.strip()]
    if len(names) < 2 or len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(
            f"expected a class name in each line, each once. Received: {path} with {len(names)} "
            f"names{', twice: ' + ', '.join(twice[:5]) if twice else ''}"
        )
    return tuple(names)
