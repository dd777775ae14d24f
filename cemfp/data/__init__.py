"""Data sets as plain arrays with their provenance; `DATASETS` is the list of them."""

from __future__ import annotations

import functools
from collections.abc import Callable

from cemfp.data.cifar10 import load_cifar10
from cemfp.data.cinic10 import load_cinic10
from cemfp.data.dataset import DataError, Dataset, Provenance, Split, make_dataset, subset
from cemfp.data.digits import load_digits, load_turned_digits
from cemfp.data.imagenet32 import load_imagenet32, load_imagenet32_100
from cemfp.data.imagenet224 import load_imagenet224
from cemfp.data.variants import variants_of

DATASETS: dict[str, Callable[[], Dataset]] = {
    "digits": load_digits,
    "digits-turned": load_turned_digits,
    "cifar10": load_cifar10,
    "cinic10": load_cinic10,
    "imagenet32": load_imagenet32,
    "imagenet32-100": load_imagenet32_100,
    "imagenet224": load_imagenet224,
    **variants_of("cifar10", load_cifar10),
}


@functools.lru_cache(maxsize=2)
def load(name: str) -> Dataset:
    """Return the data set `name`; a process reads each set once.

    Raises:
        DataError: No such set, or its files are missing and cannot be downloaded.
    """
    if name not in DATASETS:
        raise DataError(f"expected a data set among {', '.join(DATASETS)}. Received: {name!r}")
    return DATASETS[name]()


__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Provenance",
    "Split",
    "load",
    "make_dataset",
    "subset",
]
