"""Handwritten digits, 8 x 8, embedded in scikit-learn: the data set that needs no network."""

from __future__ import annotations

import numpy as np

from cemfp.data.dataset import Dataset, Split, make_dataset

TRAIN_SIZE = 1200


def load_digits() -> Dataset:
    """Return the 1,797 digits, grey levels 0..16 scaled to [0, 1]: 1,200 to train on, 597 to test.

    The split is fixed, so that a result names the same images everywhere. A small set on which
    every well-trained net answers alike: give each owner its own 100 to 200 labelled images, or
    nothing tells two models apart.
    """
    return _make("digits", quarter_turns=0, note="stand in for the paper's CIFAR-10")


def load_turned_digits() -> Dataset:
    """Return the same digits, each turned by a quarter: images of another kind that are at hand.

    With them a demonstration has attacks that use images of other origin, CINIC-10 and ImageNet32
    in the paper.
    """
    note = "turned by 90 degrees stand in for the paper's CINIC-10 and ImageNet32"
    return _make("digits-turned", quarter_turns=1, note=note)


def _make(name: str, *, quarter_turns: int, note: str) -> Dataset:
    import sklearn.datasets  # slow to import, and a suspect on a server needs none of it

    raw = sklearn.datasets.load_digits()
    images = (raw.images[..., None] / 16.0).astype(np.float32)
    images = np.rot90(images, quarter_turns, axes=(1, 2))
    labels = raw.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    everything = Split(images[order], labels[order])
    return make_dataset(
        name,
        everything.take(np.arange(TRAIN_SIZE)),
        everything.take(np.arange(TRAIN_SIZE, len(labels))),
        tuple(str(digit) for digit in range(10)),
        stand_in=True,
        note=f"scikit-learn's 8 x 8 digits {note}",
    )
