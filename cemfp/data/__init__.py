"""Data sets as plain arrays with their provenance; `DATASETS` is the list of them."""

from __future__ import annotations

import functools
from collections.abc import Callable

from cemfp.data.cache import open_entry
from cemfp.data.cifar10 import load_cifar10
from cemfp.data.cinic10 import load_cinic10
from cemfp.data.dataset import DataError, Dataset, Provenance, Split, make_dataset, subset
from cemfp.data.digits import load_digits, load_turned_digits
from cemfp.data.imagenet32 import load_imagenet32, load_imagenet32_100
from cemfp.data.imagenet224 import load_imagenet224
from cemfp.data.own import make_entry
from cemfp.data.spec import DataSpec, read_classes
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


def load(data: DataSpec | str) -> Dataset:
    """Return a data set: one of `DATASETS`, or a user's own images; see `DataSpec`.

    A process reads each set once. Own images are converted the first time, and come as memory maps.

    Raises:
        DataError: No such set, its files are missing and cannot be downloaded, or are damaged.
    """
    return _load(data if isinstance(data, DataSpec) else DataSpec(data))


@functools.lru_cache(maxsize=2)
def _load(spec: DataSpec) -> Dataset:
    if spec.where in DATASETS:
        return DATASETS[spec.where]()
    return open_entry(job_name(spec))


def job_name(data: DataSpec | str) -> str:
    """Return the name that a job carries in its `data` field: it follows from the content.

    A name in `DATASETS` is its own; of own images it is `cached:HASH`, and they are converted if
    they were not yet. `load` takes both.

    Raises:
        DataError: As `load` does.
    """
    spec = data if isinstance(data, DataSpec) else DataSpec(data)
    return spec.where if spec.where in DATASETS else make_entry(spec, tuple(DATASETS))


__all__ = [
    "DATASETS",
    "DataError",
    "DataSpec",
    "Dataset",
    "Provenance",
    "Split",
    "job_name",
    "load",
    "make_dataset",
    "read_classes",
    "subset",
]
