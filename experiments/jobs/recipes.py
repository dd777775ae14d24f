"""The job that measures a recipe: accuracy and processor time, with tricks that others report.

The tricks here are no fields of `Recipe`: the table of `experiments.recipes` says what each gives.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from cemfp.data import load
from cemfp.engine.jobs import Job, Progress
from cemfp.jobs.cost import training_flops
from cemfp.jobs.fingerprint import ROWS
from cemfp.jobs.train import TrainNet
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.keras_models import layers_of
from cemfp.models.nets import NETS
from cemfp.numerics import precision
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.training.loop import train

_PATCH_IMAGES = 5_000


@dataclasses.dataclass(frozen=True)
class Tricks:
    """What a recipe has no field for.

    Attributes:
        whiten: Fix the first convolution to the whitening directions of the training images'
            patches, each with both signs (Page 2018; Jordan 2024).
        identity: Start every residual block as the identity: its last batch norm scales by 0.
        average: Decay of an average of the weights, per 16 steps, that the net ends with; 0: none.
        statistics: Momentum of batch norm's running statistics; 0: the net's own.
    """

    whiten: bool = False
    identity: bool = False
    average: float = 0.0
    statistics: float = 0.0


@dataclasses.dataclass(frozen=True)
class MeasureRecipe(Job):
    """Train one net and measure it; the net itself is not kept.

    Attributes:
        training: What to train; on the ground truth.
        tricks: On top of its recipe.
    """

    kind: ClassVar[str] = "recipe"

    training: TrainNet
    tricks: Tricks = Tricks()

    def label(self) -> str:
        """Short name for people."""
        recipe = self.training.recipe
        return f"recipe {recipe.optimizer} {recipe.epochs} epochs seed {self.training.seed}"

    def flops(self) -> float:
        """Return the floating-point operations of the training."""
        return self.training.flops()

    def dependencies(self) -> tuple[Job, ...]:
        """Return nothing: the training is done here, not looked up."""
        return ()

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: recipe, tricks, test accuracy, core-seconds, operations."""
        del store
        job, data = self.training, load(self.training.data)

        def build(shape: tuple[int | None, ...]) -> tf.keras.Model:
            net = NETS[job.net.name](shape, len(data.classes), **dict(job.net.arguments))
            return _with_tricks(net, self.tricks, data.train.images)

        average = _Average(self.tricks.average)
        begun = time.process_time()
        model = train(
            build,
            data.train.images,
            data.train.labels,
            job.recipe,
            seed=job.seed,
            progress=lambda done, total, text: progress(f"step {done}/{total}, {text}"),
            watch=average if self.tricks.average else None,
        )
        core_seconds = time.process_time() - begun
        config = ClassifierConfig(
            job.net.name, data.input_shape, len(data.classes), dict(job.net.arguments)
        )
        row: dict[str, Any] = {
            "data": dataclasses.asdict(data.provenance),
            "net": job.net.name,
            "seed": job.seed,
            "recipe": dataclasses.asdict(job.recipe),
            "tricks": dataclasses.asdict(self.tricks),
            "precision": precision.choose(job.recipe.precision),
            "core_seconds": core_seconds,
            "flops": training_flops(job.net, job.data, job.recipe, job.images),
            "test_accuracy": Classifier(model, config).accuracy(data.test.images, data.test.labels),
        }
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


class _Average:
    """A `Watch` that averages weights and puts the average into the net at the end."""

    def __init__(self, decay: float) -> None:
        self.decay, self.weights = decay, [np.zeros(0)]

    def __call__(self, done: int, total: int, model: tf.keras.Model) -> None:
        """Take the weights in; after the last step give the average back."""
        now = model.get_weights()
        if done == 0:
            self.weights = now
        pairs = zip(self.weights, now, strict=True)
        self.weights = [self.decay * old + (1 - self.decay) * new for old, new in pairs]
        if done == total:
            model.set_weights(self.weights)


def _with_tricks(net: tf.keras.Model, tricks: Tricks, images: np.ndarray) -> tf.keras.Model:
    """Change a fresh net in place."""
    layers = layers_of(net)
    if tricks.statistics:
        for layer in layers:
            if isinstance(layer, tf.keras.layers.BatchNormalization):
                layer.momentum = tricks.statistics
    if tricks.identity:
        for layer in layers:
            if isinstance(layer, tf.keras.layers.Add):
                last = layer.inbound_nodes[0].inbound_layers[0]  # behind it comes the shortcut
                last.gamma.assign(tf.zeros_like(last.gamma))
    if tricks.whiten:
        first = next(layer for layer in layers if isinstance(layer, tf.keras.layers.Conv2D))
        first.set_weights([whitening_filters(images, first.kernel.shape.as_list())])
        first.trainable = False
    return net


def whitening_filters(images: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a kernel of `shape` whose outputs on the images' patches are uncorrelated.

    Half the filters are the patches' principal directions, scaled to unit variance; the other half
    are their negatives, so that the ReLU behind loses nothing.

    Args:
        images: (n, h, w, c) uint8.
        shape: Height, width, channels in, channels out (even).
    """
    height, width, channels, filters = shape
    some = images[np.random.default_rng(0).permutation(len(images))[:_PATCH_IMAGES]]
    patches = tf.image.extract_patches(
        some.astype(np.float32) / 255.0,
        (1, height, width, 1),
        strides=(1, 3, 3, 1),
        rates=(1, 1, 1, 1),
        padding="VALID",
    )
    patches = tf.reshape(patches, (-1, height * width * channels)).numpy()
    values, vectors = np.linalg.eigh(np.cov(patches.T))
    chosen = np.argsort(values)[::-1][: filters // 2]
    directions = vectors[:, chosen] / np.sqrt(values[chosen] + 1e-4)
    kernel = directions.reshape(height, width, channels, -1)
    return np.concatenate([kernel, -kernel], axis=3).astype(np.float32)
