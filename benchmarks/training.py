"""Training ResNet20 on 32 x 32 images: the package's loop against Keras `Model.fit`.

The images are random bytes: speed does not depend on what they show. The package's loop flips and
crops every image; `Model.fit` is spared that. Studies and `protect` train as many nets at once as
there are cores, with a thread each: the last two rows have the images of all of them.
"""

from __future__ import annotations

import functools
import os
from typing import Literal

import numpy as np
import tensorflow as tf

from benchmarks.harness import Progress, Repeat, Section, Variant, turns
from cemfp.models.nets import NETS
from cemfp.numerics import precision as precisions
from cemfp.training import loop as training
from cemfp.training.recipe import Recipe

SHAPE, CLASSES, BATCH = (32, 32, 3), 10, 128
CORES = os.cpu_count() or 1
IMAGES = BATCH * training.STEPS_PER_CALL  # one repeat, for either


def sections(quick: bool) -> list[Section]:
    """Return the comparison; `quick` has fewer rounds."""
    variants = [
        Variant("Keras fit, float32", functools.partial(_prepare_fit, "float32")),
        Variant("cemfp, float32", functools.partial(prepare_train, "float32")),
        Variant("cemfp, auto", functools.partial(prepare_train, "auto")),
        *(
            Variant(
                f"cemfp, {name}, a net on each core", functools.partial(_prepare_one, name), CORES
            )
            for name in ("float32", "auto")
        ),
    ]
    if precisions.computes("bfloat16"):
        fit = functools.partial(_prepare_fit, "mixed_bfloat16")
        variants.insert(1, Variant("Keras fit, bfloat16", fit))
    title = f"Training ResNet20, batch {BATCH}, synthetic images"
    return [Section(title, "images", tuple(variants), 2 if quick else 5)]


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, *SHAPE), np.uint8)
    return images, rng.integers(0, CLASSES, IMAGES)


def _prepare_fit(policy: str) -> Repeat:
    images, labels = _data()
    images = images.astype(np.float32) / 255.0
    with precisions.policy(policy):
        model = NETS["resnet20"](SHAPE, CLASSES)
    model.compile(
        tf.keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def repeat() -> float:
        model.fit(images, labels, batch_size=BATCH, verbose=0)
        return IMAGES

    return repeat


def prepare_train(precision: str, optimizer: Literal["sgd", "muon"] = "sgd") -> Repeat:
    """Return a call that trains for `STEPS_PER_CALL` steps; the first has been made."""
    # Many epochs: the loop is stopped by the end of the process. A low rate, so that noise as
    # labels cannot make it diverge.
    recipe = Recipe(
        epochs=10_000,
        batch_size=BATCH,
        learning_rate=0.01,
        optimizer=optimizer,
        precision=precision,
    )

    def run(progress: Progress) -> None:
        images, labels = _data()
        build = functools.partial(NETS["resnet20"], classes=CLASSES)
        training.train(build, images, labels, recipe, seed=0, progress=progress)

    return turns(run, IMAGES)


def _prepare_one(precision: str) -> Repeat:
    """One of as many nets as there are cores."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    return prepare_train(precision)
