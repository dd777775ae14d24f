"""How to train: the numbers that a training is described by."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import tensorflow as tf

SCHEDULES = ("one-cycle", "cosine", "constant")
OPTIMIZERS = ("sgd", "muon", "adam")

# A field that came later stays out of a job's key at its default: results from before stay valid.
_LATER = {"omit_default": True}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train: everything but data, labels, net and seed.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images per step; a set smaller than this is one batch.
        learning_rate: Peak of the schedule.
        schedule: `one-cycle` (linear up during `warmup`, linear down to 0), `cosine` (no warm-up)
            or `constant`.
        warmup: Share of the steps on the way up, for `one-cycle`.
        momentum: Nesterov momentum of SGD.
        weight_decay: L2 penalty on kernels, coupled to the gradient except in `adam`; biases and
            batch norm are free of it.
        clip_norm: Upper bound of the gradient's global norm; 0 switches it off.
        flip: Whether to mirror half the images left to right.
        pad: Zero pixels around the image, out of which a random crop is taken; 0 switches it off.
        crop: Side of the training crops in pixels; 0 means the image's own side. A net that pools
            globally learns most of its task on crops of 3/4 the side at half the cost.
        full_size: Share of the steps, the last ones, on crops of the image's own side after `crop`.
        precision: `auto` probes; or a name in `precision.POLICIES`.
        optimizer: `sgd`, or `muon`: convolutions without a bias step along the orthogonalised
            momentum of their gradient; see `training.updates`. A short training gets further.
            `adam` (with decoupled decay) trains nets without batch norm, transformers say; its
            learning rates are near 1e-3.
        muon_rate: Peak step of Muon's kernels; the schedule scales it as it does the learning rate.
        label_smoothing: Share of a label's probability that is spread over all classes.
            Probabilities that another model answered stay as they are.
    """

    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 0.2
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    warmup: float = 0.25
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip_norm: float = 0.0
    flip: bool = True
    pad: int = 4
    crop: int = 0
    full_size: float = 0.25
    precision: str = "auto"
    optimizer: Literal["sgd", "muon", "adam"] = dataclasses.field(default="sgd", metadata=_LATER)
    muon_rate: float = dataclasses.field(default=0.1, metadata=_LATER)
    label_smoothing: float = dataclasses.field(default=0.0, metadata=_LATER)

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or min(self.learning_rate, self.muon_rate) <= 0:
            raise ValueError(
                "expected epochs >= 1, batch_size >= 1, learning_rate > 0 and muon_rate > 0. "
                "Received: "
                f"{self.epochs}, {self.batch_size}, {self.learning_rate}, {self.muon_rate}"
            )
        for name, known in (("schedule", SCHEDULES), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"expected {name} among {', '.join(known)}. Received: {getattr(self, name)!r}"
                )
        if min(self.crop, self.pad) < 0 or not (0 <= self.warmup <= 1 and 0 <= self.full_size <= 1):
            raise ValueError(
                "expected crop >= 0, pad >= 0, warmup and full_size in [0, 1]. Received: "
                f"{self.crop}, {self.pad}, {self.warmup}, {self.full_size}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"expected label_smoothing in [0, 1). Received: {self.label_smoothing}"
            )

    def rate(self, progress: tf.Tensor) -> tf.Tensor:
        """Return the learning rate at `progress`, the share of steps already made, in [0, 1]."""
        return self.learning_rate * self.share(progress)

    def share(self, progress: tf.Tensor) -> tf.Tensor:
        """Return the schedule at `progress` as a share of its peak."""
        if self.schedule == "constant":
            return tf.ones_like(progress)
        if self.schedule == "cosine":
            return 0.5 * (1.0 + tf.cos(np.pi * progress))
        up = progress / max(self.warmup, 1e-6)
        down = (1.0 - progress) / max(1.0 - self.warmup, 1e-6)
        return tf.maximum(tf.minimum(up, down), 0.0)
