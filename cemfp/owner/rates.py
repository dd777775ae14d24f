"""What trainings and fingerprints cost on this machine: a few timed steps of the real ones."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from cemfp.data import Dataset
from cemfp.fingerprint.cem import CEM
from cemfp.fingerprint.models import Models
from cemfp.jobs.train import Net
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.roles import Origin, Role
from cemfp.models.source import Source
from cemfp.owner.schedule import Rates
from cemfp.training.loop import STEPS_PER_CALL, train
from cemfp.training.recipe import Recipe

TIMED_CALLS = 3  # of the training's; the first of them compiles
CRAFTED_AT_ONCE, CRAFTING_STEPS = 64, 4
PROCESS_SECONDS = 8.0  # that a worker takes to be there
BYTES_PER_WEIGHT = 2  # kept in float16


def measure(
    source: Source,
    dataset: Dataset,
    nets: Sequence[Net],
    other: Net,
    recipe: Recipe,
    candidates: int,
) -> Rates:
    """Time some steps of each net's training, and of the fingerprint method on fresh nets.

    Args:
        source: The model to protect.
        dataset: Its images.
        nets: What surrogates and references are.
        other: What a thief takes who does not know the architecture.
        recipe: How they are trained.
        candidates: Images that the fingerprint method works on at once.
    """
    timed = [_training(net, dataset, recipe) for net in nets]
    starts, steps, sizes = (float(np.mean(column)) for column in zip(*timed, strict=True))
    theirs = steps if other in nets else _training(other, dataset, recipe)[1]
    return Rates(
        start=PROCESS_SECONDS + starts,
        step=steps,
        steps_per_epoch=max(1, len(dataset.train) // recipe.batch_size),
        crafting=_crafting(source, dataset, nets[0], candidates),
        size=sizes,
        other=theirs / steps,
    )


def _training(net: Net, dataset: Dataset, recipe: Recipe) -> tuple[float, float, float]:
    """Return seconds until the first steps are made, seconds of a step, bytes of the net."""
    count = min(len(dataset.train), recipe.batch_size * STEPS_PER_CALL)
    split = dataset.train.sample(count, seed=0)
    calls = -(-count // recipe.batch_size // STEPS_PER_CALL) or 1
    short = dataclasses.replace(recipe, epochs=-(-TIMED_CALLS // calls))
    moments = [(0, time.perf_counter())]
    model = train(
        lambda shape: net.build(shape, len(dataset.classes)),
        split.images,
        split.labels,
        short,
        seed=0,
        progress=lambda done, total, text: moments.append((done, time.perf_counter())),
    )
    (first_steps, first), (last_steps, last) = moments[1], moments[-1]
    step = (last - first) / max(last_steps - first_steps, 1)
    start = max(first - moments[0][1] - step * first_steps, 0.0)
    return start, step, float(BYTES_PER_WEIGHT * model.count_params())


def _crafting(source: Source, dataset: Dataset, net: Net, candidates: int) -> float:
    """Return the seconds of a step for each member; what nets answer costs the same untrained."""
    surrogate, reference = (
        Classifier(
            net.build(dataset.input_shape, len(dataset.classes)),
            ClassifierConfig(
                net.name,
                dataset.input_shape,
                len(dataset.classes),
                role=Role.DEFENDER,
                origin=origin,
            ),
        )
        for origin in (Origin.SURROGATE, Origin.REFERENCE)
    )
    count = min(candidates, CRAFTED_AT_ONCE, len(dataset.test))
    images = dataset.test.take(np.arange(count)).floats()
    moments: list[float] = []
    CEM(steps=CRAFTING_STEPS)(
        images,
        Models(source, [surrogate], [reference]),
        seed=0,
        progress=lambda done, total, text: moments.append(time.perf_counter()),
    )
    step = (moments[-1] - moments[0]) / (len(moments) - 1)
    return step / 2 * candidates / count
