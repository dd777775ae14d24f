"""What a data set is: images, labels, class names and where they came from."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

ROWS_AT_ONCE = 256


class DataError(ValueError):
    """A data set is missing, incomplete or not what it should be; the message says what to do."""


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images and their ground-truth labels.

    Attributes:
        images: (n, h, w, c), either uint8 or float32 in [0, 1]. Eight-bit sets stay uint8, a
            quarter of the memory.
        labels: (n,) int64 class indices.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise DataError(
                "expected images (n, h, w, c) and as many labels. "
                f"Received: images {self.images.shape}, labels {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def floats(self) -> np.ndarray:
        """Return the images as float32 in [0, 1]."""
        if self.images.dtype == np.uint8:
            return self.images.astype(np.float32) / np.float32(255)
        return self.images.astype(np.float32, copy=False)

    def take(self, indices: np.ndarray) -> Split:
        """Return the rows `indices`, in that order."""
        return Split(self.images[indices], self.labels[indices])

    def sample(self, count: int, *, seed: int) -> Split:
        """Return `count` rows drawn without replacement."""
        if not 0 < count <= len(self):
            raise DataError(f"expected a sample of 1 to {len(self)} images. Received: {count}")
        return self.take(np.random.default_rng(seed).permutation(len(self))[:count])

    def of_classes(self, kept: Sequence[int]) -> Split:
        """Return the rows of the classes `kept`, labelled by their places in it."""
        places = np.full(max(max(kept), self.labels.max(initial=0)) + 1, -1, np.int64)
        places[list(kept)] = np.arange(len(kept))
        labels = places[self.labels]
        rows = labels >= 0
        return Split(self.images if rows.all() else self.images[rows], labels[rows])


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where numbers come from: printed beside every result.

    Attributes:
        name: Name of the data set in `DATASETS`, or of the folder or file of own images.
        train_size, test_size: Number of images.
        sha256: Hash over both splits' shapes, pixels and labels.
        stand_in: Whether the images replace the set that the paper used.
        note: What a reader has to know, in a sentence; may be empty.
    """

    name: str
    train_size: int
    test_size: int
    sha256: str
    stand_in: bool
    note: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split of the same classes.

    Attributes:
        train, test: The splits.
        classes: Class names; their order gives the label indices.
        provenance: Name, sizes, content hash, stand-in or not.
    """

    train: Split
    test: Split
    classes: tuple[str, ...]
    provenance: Provenance

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def make_dataset(
    name: str,
    train: Split,
    test: Split,
    classes: tuple[str, ...],
    *,
    stand_in: bool = False,
    note: str = "",
) -> Dataset:
    """Build a `Dataset` and hash its content."""
    digest = hashlib.sha256()
    for array in (train.images, train.labels, test.images, test.labels):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        # Piece by piece: an array may be a memory map of more than the memory.
        for start in range(0, len(array), ROWS_AT_ONCE):
            digest.update(np.ascontiguousarray(array[start : start + ROWS_AT_ONCE]).data)
    provenance = Provenance(name, len(train), len(test), digest.hexdigest(), stand_in, note)
    return Dataset(train, test, classes, provenance)


def subset(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return the images of the classes `names` alone; their order gives the new label indices.

    Raises:
        DataError: No name, a name twice, or a class that the data set does not have.
    """
    unknown = [name for name in names if name not in dataset.classes]
    if unknown or not names or len(set(names)) != len(names):
        raise DataError(
            f"expected classes of {dataset.provenance.name}, each once. Received: "
            f"{', '.join(unknown or names) or 'none'}; it has {', '.join(dataset.classes[:10])}"
            f"{', ...' if len(dataset.classes) > 10 else ''}"
        )
    kept = [dataset.classes.index(name) for name in names]
    made_from = dataset.provenance
    note = f"{len(names)} of {len(dataset.classes)} classes"
    return make_dataset(
        made_from.name,
        dataset.train.of_classes(kept),
        dataset.test.of_classes(kept),
        tuple(names),
        stand_in=made_from.stand_in,
        note=f"{made_from.note}; {note}" if made_from.note else note,
    )
