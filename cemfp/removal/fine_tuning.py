"""Fine-tuning attacks: FTLL, FTAL, RTLL and RTAL [Lukas21, Sec. 5 and A.5].

The paper's "penultimate layer" is the classifier's dense layer, the last one; in our nets `head`.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
import tensorflow as tf

from cemfp.models.keras_models import last_dense, layers_of
from cemfp.removal.attack import Family, Stolen
from cemfp.removal.thief import Thief
from cemfp.training.recipe import Recipe

HEAD = "head"

# Small steps from a trained net: a large one would be a training from scratch. The bound on the
# gradient saves nets without batch norm, which a rate of 0.02 ruins otherwise.
GENTLE = Recipe(epochs=2, learning_rate=0.02, schedule="cosine", clip_norm=0.2)

TuningLabels = Literal["top1", "soft", "truth"]


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """Train the victim's own weights further.

    Attributes:
        labels: What to learn: the victim's label (`top1`, the paper's thief has no ground truth),
            its probabilities (`soft`: the loss is then least where it starts), or the ground
            `truth`.
    """

    family: ClassVar[Family] = "modification"
    needs: ClassVar[tuple[str, ...]] = ("weights", "images")
    recipe: ClassVar[Recipe | None] = GENTLE
    like_victim: ClassVar[bool] = True
    name: ClassVar[str]
    fresh_head: ClassVar[bool]
    head_only: ClassVar[bool]

    labels: TuningLabels = "top1"

    def __call__(self, thief: Thief) -> Stolen:
        """Tune the head or all layers, from the victim's head or a fresh one."""
        head = last_dense(thief.victim.model).name
        model = thief.train(
            thief.images.images,
            tuning_targets(thief, self.labels),
            build=thief.build_like_victim,
            initial=_start(thief, fresh_head=self.fresh_head),
            trainable=(lambda layer: layer.name == head) if self.head_only else None,
        )
        return Stolen(model, {"changed_layers": changed_layers(model, thief)})


@dataclasses.dataclass(frozen=True)
class FTLL(FineTuning):
    """Fine-tune the last layer only, from the victim's weights."""

    name, fresh_head, head_only = "ftll", False, True


@dataclasses.dataclass(frozen=True)
class FTAL(FineTuning):
    """Fine-tune all layers, from the victim's weights."""

    name, fresh_head, head_only = "ftal", False, False


@dataclasses.dataclass(frozen=True)
class RTLL(FineTuning):
    """Re-initialise the last layer and train it alone."""

    name, fresh_head, head_only = "rtll", True, True


@dataclasses.dataclass(frozen=True)
class RTAL(FineTuning):
    """Re-initialise the last layer and train all layers."""

    name, fresh_head, head_only = "rtal", True, False


def tuning_targets(thief: Thief, labels: TuningLabels) -> np.ndarray:
    """Return the labels (n,) or probabilities (n, C) that an owner of the weights tunes with.

    Whoever has the weights runs the victim himself: that is no query to anybody.
    """
    if labels == "truth":
        return thief.truth()
    before = thief.queries
    probabilities = thief.ask_transfer_set()
    thief.queries = before
    return probabilities if labels == "soft" else probabilities.argmax(axis=1)


def changed_layers(model: tf.keras.Model, thief: Thief) -> int:
    """Return the number of layers whose weights are no longer the victim's."""
    layers = zip(layers_of(model), layers_of(thief.victim.model), strict=True)
    return sum(
        any(
            not np.array_equal(mine, victims)
            for mine, victims in zip(own.get_weights(), other.get_weights(), strict=True)
        )
        for own, other in layers
    )


def _start(thief: Thief, *, fresh_head: bool) -> list[np.ndarray]:
    weights = thief.victim.model.get_weights()
    if not fresh_head:
        return weights
    tf.keras.utils.set_random_seed(thief.seed)
    model = thief.build_like_victim(thief.victim.input_shape)
    head = last_dense(model)
    fresh = head.get_weights()
    model.set_weights(weights)
    head.set_weights(fresh)
    return model.get_weights()
