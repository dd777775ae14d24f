"""Classes matched by their names: the same names in another order never become another task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cemfp.data.dataset import DataError, Dataset, Split, make_dataset


def places(own: Sequence[str], wanted: Sequence[str]) -> tuple[int, ...] | None:
    """Return for each name of `own` its index in `wanted`; None if some are not there.

    Raises:
        DataError: Some are there and some are not, of as many on both sides.
    """
    index = {name: place for place, name in enumerate(wanted)}
    strange = [name for name in own if name not in index]
    if strange and len(strange) < len(own) == len(wanted):
        raise DataError(
            f"expected the classes {', '.join(wanted[:8])}{', ...' if len(wanted) > 8 else ''}. "
            f"Received: {', '.join(strange[:5])} in their place; name the classes alike"
        )
    return None if strange or not own else tuple(index[name] for name in own)


def in_order(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return the data set with its labels in the order `names`, those of a model.

    It may have fewer classes. One whose names say nothing of the model's stays as it is, and so
    does any with a model without names.

    Raises:
        DataError: See `places`.
    """
    if not names or tuple(names) == dataset.classes:
        return dataset
    turned = places(dataset.classes, names)
    if turned is None:
        return dataset
    labels = np.array(turned, np.int64)
    train, test = (
        Split(split.images, labels[split.labels]) for split in (dataset.train, dataset.test)
    )
    made_from = dataset.provenance
    note = "classes in the model's order"
    return make_dataset(
        made_from.name,
        train,
        test,
        tuple(names),
        stand_in=made_from.stand_in,
        note=f"{made_from.note}; {note}" if made_from.note else note,
    )
