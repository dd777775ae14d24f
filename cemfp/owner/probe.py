"""How the owner's model wants its images: found by asking it labelled ones in every common way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from cemfp.data import Dataset
from cemfp.models.convention import COMMON, Convention
from cemfp.models.source import Source
from cemfp.numerics.agreement import does_task, first_as_good
from cemfp.suspects import SuspectError

# Labelled images in each convention; for a black box each is a query.
ASKED, ASKED_OF_OWN = 40, 400


class NotItsTask(ValueError):
    """A model is right on hardly more than chance, however it is asked."""


class Probed(NamedTuple):
    """What was found.

    Attributes:
        convention: The first in which the model is as often right as in any, but for chance.
        source: The model, fed so.
        words: What to tell people: "right on 93.6 % with [0, 255]; 10.0 % with [0, 1]".
    """

    convention: Convention
    source: Source
    words: str


def probe(
    name: str,
    open_as: Callable[[Convention], Source],
    dataset: Dataset,
    given: Convention | None = None,
    count: int = ASKED,
) -> Probed:
    """Ask a model some labelled test images in each common convention, or in the one given.

    Args:
        name: What the model is called in messages.
        open_as: Returns the model, fed as the convention says.
        dataset: Its images and their labels.
        given: The convention, if it is known.
        count: Images to ask in each.

    Raises:
        NotItsTask: It takes images of another shape, or is right on hardly more than chance in all.
    """
    test = dataset.test.sample(min(count, len(dataset.test)), seed=0)
    channels = dataset.input_shape[-1]
    tried = {name: c for name, c in COMMON.items() if c.fits(channels)}
    if given is not None:
        tried = {str(given): given}
    sources = {key: open_as(convention) for key, convention in tried.items()}
    for source in sources.values():
        _check_shape(name, source.input_shape, dataset)
    answers = {key: _labels(source, test.images) for key, source in sources.items()}
    correct = {k: labels == test.labels for k, labels in answers.items() if labels is not None}
    right = {key: float(each.mean()) for key, each in correct.items()}
    best = list(correct)[first_as_good(list(correct.values()))] if correct else ""
    labels = answers.get(best)
    if labels is None or not does_task(labels, test.labels):
        found = "; ".join(f"{share:.0%} with {key}" for key, share in right.items()) or "no answers"
        raise NotItsTask(
            f"{name}: expected a model that does the task of {dataset.provenance.name}. Received: "
            f"right on hardly more than chance ({found}); see whether the classes are in its order "
            "(--classes), or name --scale and --offset"
        )
    others = sorted((k for k in right if k != best), key=lambda key: -right[key])[:2]
    words = "; ".join([f"right on {right[best]:.1%} with {best}"] + [
        f"{right[key]:.1%} with {key}" for key in others
    ])  # fmt: skip
    return Probed(tried[best], sources[best], f"{words} ({len(test)} test images)")


def _check_shape(name: str, wanted: Sequence[int | None], dataset: Dataset) -> None:
    given = dataset.input_shape
    if any(side not in (None, own) for side, own in zip(wanted, given, strict=True)):
        raise NotItsTask(
            f"{name}: expected images of shape {tuple(wanted)}, which the model takes. Received: "
            f"{dataset.provenance.name} with {given}"
        )


def _labels(source: Source, images: np.ndarray) -> np.ndarray | None:
    """Return the answers (n,); None where a model does not take such numbers."""
    try:
        return source.predict_labels(images)
    except (SuspectError, ValueError):
        return None
