"""Pruning attacks: magnitude pruning while tuning, and fine-pruning of dormant channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import tensorflow as tf

from cemfp.models.classifier import Classifier
from cemfp.models.nets import NETS
from cemfp.removal.attack import Family, Stolen
from cemfp.removal.fine_tuning import GENTLE, HEAD, TuningLabels, tuning_targets
from cemfp.removal.kernels import kernels, values
from cemfp.removal.thief import RemovalError, Thief
from cemfp.training.loop import loss_gradients
from cemfp.training.recipe import Recipe

Scope = Literal["global", "layer"]
SCOPES = ("global", "layer")

# (steps done, steps in all, the model) to one mask per kernel, or None to keep those in force.
ChooseMasks = Callable[[int, int, tf.keras.Model], list[np.ndarray] | None]


@dataclasses.dataclass(frozen=True)
class Prune:
    """Zero the smallest weights, a few more each time, and tune the others in between.

    Iterative magnitude pruning with the schedule of [Zhu17, Eq. 1]. Kernels only: biases and
    batch norm stay whole. A weight that is gone stays exactly zero.

    Attributes:
        sparsity: Share of all kernel weights that are zero at the end, in (0, 1).
        scope: `global` ranks all weights of the net together, `layer` those of each kernel.
        labels: What to learn while tuning; see `FineTuning`.
        ramp: Share of the steps over which the sparsity grows, in (0, 1]; the rest only tunes.
        updates: How often weights are taken away; training reports every 16 steps, so that a short
            one does several at once.
    """

    name: ClassVar[str] = "prune"
    family: ClassVar[Family] = "modification"
    needs: ClassVar[tuple[str, ...]] = ("weights", "images")
    recipe: ClassVar[Recipe | None] = GENTLE
    like_victim: ClassVar[bool] = True

    sparsity: float = 0.8
    scope: Scope = "global"
    labels: TuningLabels = "top1"
    ramp: float = 0.75
    updates: int = 20

    def __post_init__(self) -> None:
        _check(self.sparsity, self.scope)
        if not 0 < self.ramp <= 1 or self.updates < 1:
            raise RemovalError(
                f"expected ramp in (0, 1] and updates >= 1. Received: {self.ramp}, {self.updates}"
            )

    def __call__(self, thief: Thief) -> Stolen:
        """Tune the victim's weights under masks that grow."""
        model = train_masked(thief, self.labels, self.schedule())
        return Stolen(model, {**zero_shares(values(model)), "scope": self.scope})

    def schedule(self) -> ChooseMasks:
        """Return which weights are due to go, step by step; good for one training."""
        made = -1

        def choose(done: int, total: int, model: tf.keras.Model) -> list[np.ndarray] | None:
            nonlocal made
            due = int(min(1.0, done / (self.ramp * total)) * self.updates)
            if due == made:
                return None
            made = due
            sparsity = sparsity_at(due / self.updates, self.sparsity)
            return magnitude_mask(values(model), sparsity, self.scope)

        return choose


@dataclasses.dataclass(frozen=True)
class FinePruning:
    """Cut off the channels that clean images leave dormant, then tune [Liu18, Sec. 3.2].

    A channel of the last feature map is cut off where the head reads it, which holds for nets with
    shortcuts and concatenations, too; the filters that feed it stay in the file, without effect.

    Attributes:
        share: Share of the last feature map's channels to cut off, in (0, 1): those with the
            lowest mean activation on the transfer images.
        labels: What to learn while tuning; see `FineTuning`.
    """

    name: ClassVar[str] = "fine-pruning"
    family: ClassVar[Family] = "modification"
    needs: ClassVar[tuple[str, ...]] = ("weights", "images")
    recipe: ClassVar[Recipe | None] = GENTLE
    like_victim: ClassVar[bool] = True

    share: float = 0.5
    labels: TuningLabels = "top1"

    def __post_init__(self) -> None:
        _check(self.share)

    def __call__(self, thief: Thief) -> Stolen:
        """Find the dormant channels, cut them off, tune with them off."""
        if thief.victim.config.net not in NETS:
            raise RemovalError(
                "expected a classifier directory, whose head reads the last feature map. "
                "Received: a Keras model; prune takes one"
            )
        activity = channel_activity(thief.victim, thief.images.images)
        dormant = np.argsort(activity, kind="stable")[: round(self.share * len(activity))]

        def choose(done: int, total: int, model: tf.keras.Model) -> list[np.ndarray] | None:
            if done:
                return None
            masks = [np.ones(kernel.shape, bool) for kernel in values(model)]
            masks[_head_place(model)][dormant] = False
            return masks

        model = train_masked(thief, self.labels, choose)
        cut = int(np.sum(np.all(model.get_layer(HEAD).kernel.numpy() == 0, axis=1)))
        return Stolen(model, {"channels": len(activity), "channel_sparsity": cut / len(activity)})


class Masks:
    """Keeps chosen kernel weights at zero through a training: its `gradients` and `watch` hooks.

    At the moment a weight is taken away its velocity is not zero. Hence every step begins by
    zeroing again what momentum moved, and no loss, statistic or final weight ever sees it.
    """

    def __init__(self, choose: ChooseMasks) -> None:
        self.choose = choose
        self.masks: list[tf.Variable] = []

    def watch(self, done: int, total: int, model: tf.keras.Model) -> None:
        """Renew the masks if it is time, and apply them."""
        if not self.masks:
            self.masks = [tf.Variable(tf.ones(k.shape), trainable=False) for k in kernels(model)]
        # A weight that momentum moved must not come back for its size.
        self._apply(model)
        chosen = self.choose(done, total, model)
        if chosen is not None:
            for mask, new in zip(self.masks, chosen, strict=True):
                mask.assign(new.astype(np.float32))
            self._apply(model)

    def gradients(
        self, model: tf.keras.Model, images: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return loss and gradients of the masked net, zero for weights that are gone."""
        self._apply(model)
        loss, gradients = loss_gradients(model, images, targets)
        masks = iter(self.masks)
        return loss, [g * next(masks) if len(g.shape) > 1 else g for g in gradients]

    def _apply(self, model: tf.keras.Model) -> None:
        for kernel, mask in zip(kernels(model), self.masks, strict=True):
            kernel.assign(kernel * mask)


def train_masked(thief: Thief, labels: TuningLabels, choose: ChooseMasks) -> tf.keras.Model:
    """Tune the victim's weights under the masks that `choose` gives; return the tuned net."""
    masks = Masks(choose)
    return thief.train(
        thief.images.images,
        tuning_targets(thief, labels),
        build=thief.build_like_victim,
        initial=thief.victim.model.get_weights(),
        gradients=masks.gradients,
        watch=masks.watch,
    )


def zero_shares(arrays: list[np.ndarray]) -> dict[str, Any]:
    """Return the measured share of zeros over all kernels, and by kernel."""
    zeros = [int(np.sum(kernel == 0)) for kernel in arrays]
    # Named by place and shape: Keras's own names depend on what else was built before.
    per_layer = {
        f"{place:02d} {'x'.join(map(str, kernel.shape))}": zeros[place] / kernel.size
        for place, kernel in enumerate(arrays)
    }
    size = sum(kernel.size for kernel in arrays)
    return {"sparsity": sum(zeros) / size, "sparsity_per_layer": per_layer}


def sparsity_at(progress: float, final: float, initial: float = 0.0) -> float:
    """Return the sparsity after a share `progress` of the ramp [Zhu17, Eq. 1]."""
    return final + (initial - final) * (1.0 - progress) ** 3


def magnitude_mask(
    arrays: list[np.ndarray], sparsity: float, scope: Scope = "global"
) -> list[np.ndarray]:
    """Return which weights survive magnitude pruning; needs no data.

    Args:
        arrays: Kernels, weights of any shapes.
        sparsity: Share that goes, in [0, 1]: exactly round(sparsity * size) weights, the smallest.
        scope: Over all kernels together (`global`), or in each (`layer`).

    Returns:
        Boolean arrays of the kernels' shapes, True for weights that stay.
    """
    if scope == "layer":
        return [magnitude_mask([kernel], sparsity)[0] for kernel in arrays]
    sizes = np.abs(np.concatenate([kernel.ravel() for kernel in arrays]))
    stays = np.ones(len(sizes), bool)
    gone = round(sparsity * len(sizes))
    if gone:
        stays[np.argpartition(sizes, gone - 1)[:gone]] = False
    parts = np.split(stays, np.cumsum([kernel.size for kernel in arrays])[:-1])
    return [part.reshape(kernel.shape) for part, kernel in zip(parts, arrays, strict=True)]


def channel_activity(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Return the mean activation (c,) of each channel of the last feature map.

    Args:
        classifier: Its net pools the last feature map globally into the layer `head`, as all of
            `NETS` do.
        images: (n, h, w, c), uint8 or float32 in [0, 1].
    """
    model = classifier.model
    features = tf.keras.Model(model.input, model.get_layer(HEAD).input)
    # The classifier's own prediction is batch by batch and takes either kind of image.
    pooled = Classifier(features, classifier.config).predict_logits(images)
    return pooled.mean(axis=0, dtype=np.float64)


def _head_place(model: tf.keras.Model) -> int:
    head = model.get_layer(HEAD).kernel
    return next(place for place, kernel in enumerate(kernels(model)) if kernel is head)


def _check(share: float, scope: str = "global") -> None:
    if not 0 < share < 1 or scope not in SCOPES:
        raise RemovalError(
            f"expected a share in (0, 1) and scope {' or '.join(SCOPES)}. "
            f"Received: {share}, {scope!r}"
        )
