"""From a data set and a recipe to a classifier that knows where it came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from cemfp.data import Dataset
from cemfp.data.names import in_order
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.renewal import build_net
from cemfp.models.roles import Origin, Role
from cemfp.models.source import Source
from cemfp.models.start import Named, share_of
from cemfp.numerics import precision
from cemfp.training.loop import Progress, Watch, soft_targets, train
from cemfp.training.recipe import Recipe

Labels = Literal["truth", "soft", "top1"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to train, and for what; everything but data, labelling model and recipe.

    Attributes:
        net: Name in `NETS`, or `keras` with an architecture.
        arguments: Keyword arguments of its builder.
        seed: Decides initial weights, order, augmentation and which images an owner has.
        role: What the result may be used for; see `models.roles.Role`.
        labels: `truth`, or another classifier's answer: its probabilities (`soft`) or its label
            (`top1`).
        images: Number of training images, drawn by `seed`; 0 takes them all.
        architecture: Of a net that is not in `NETS`; see `models.renewal.net_like`.
    """

    net: str
    arguments: Mapping[str, Any]
    seed: int
    role: str
    labels: Labels = "truth"
    images: int = 0
    architecture: dict[str, Any] | None = None

    @property
    def origin(self) -> Origin:
        """Where the labels come from."""
        if self.labels != "truth":
            return Origin.SURROGATE
        return Origin.SOURCE if self.role == Role.SOURCE else Origin.REFERENCE


def train_classifier(
    plan: Plan,
    dataset: Dataset,
    recipe: Recipe,
    labels_from: Source | None = None,
    *,
    answers: np.ndarray | None = None,
    start: Named | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Classifier:
    """Train a net from scratch, measure its test accuracy, and record how it was made.

    Args:
        plan: What to train.
        dataset: Where images and the ground truth come from.
        recipe: How to train.
        labels_from: The classifier that labels the images, unless the plan takes the truth.
        answers: Its logits (n, C) on the whole training split, if they are known already.
        start: Weights of layers by name to start from, in place of fresh ones; see `models.start`.
        progress: Called as (steps done, steps in all, text).
        watch: See `training.loop.train`.

    Raises:
        ValueError: `labels_from` is missing or superfluous, or does not fit the data set; or the
            weights to start from are another net's.
        TrainingDiverged: The loss is no longer a number.
    """
    if (plan.labels == "truth") != (labels_from is None):
        raise ValueError(
            "expected labels 'truth' without a classifier, 'soft' or 'top1' with one. Received: "
            f"{plan.labels!r} and {labels_from}"
        )
    if labels_from is not None:
        dataset = in_order(dataset, labels_from.class_names)
    split = dataset.train
    if plan.images:
        split = split.sample(plan.images, seed=plan.seed)
    targets = split.labels
    if labels_from is not None:
        if answers is None or plan.images:
            answers = answer(labels_from, split.images, len(dataset.classes))
        targets = as_targets(answers, plan.labels)

    def build(shape: tuple[int | None, ...]) -> tf.keras.Model:
        given = plan.net, plan.arguments, plan.architecture, shape, len(dataset.classes)
        net = build_net(*given)
        if start is not None:
            share_of(start, net, "the weights to start from")
        return net

    model = train(
        build,
        split.images,
        targets,
        recipe,
        seed=plan.seed,
        progress=progress,
        watch=watch,
    )
    config = _config(plan, dataset, recipe, labels_from)
    classifier = Classifier(model, config)
    accuracy = classifier.accuracy(dataset.test.images, dataset.test.labels)
    config.training["test_accuracy"] = accuracy
    return classifier


def answer(classifier: Source, images: np.ndarray, classes: int) -> np.ndarray:
    """Return the logits (n, C) of `classifier`, which has to know the data set's classes.

    Raises:
        ValueError: It has another number of classes than the data set.
    """
    if classifier.classes != classes:
        raise ValueError(
            f"expected a classifier of {classes} classes to label the images. "
            f"Received: {classifier}, which has {classifier.classes}"
        )
    return classifier.predict_logits(images)


def as_targets(logits: np.ndarray, labels: Labels) -> np.ndarray:
    """Return what a thief learns: probabilities (n, C) for `soft`, labels (n,) for `top1`."""
    if labels == "top1":
        return logits.argmax(axis=1)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return soft_targets(shifted / shifted.sum(axis=1, keepdims=True), logits.shape[1])


def _config(
    plan: Plan, dataset: Dataset, recipe: Recipe, labels_from: Source | None
) -> ClassifierConfig:
    return ClassifierConfig(
        net=plan.net,
        input_shape=dataset.input_shape,
        classes=len(dataset.classes),
        arguments=dict(plan.arguments),
        role=plan.role,
        origin=plan.origin,
        training={
            "data": dataclasses.asdict(dataset.provenance),
            "images": plan.images or len(dataset.train),
            "labels": plan.labels,
            "source_sha256": None if labels_from is None else labels_from.weights_sha256,
            "recipe": dataclasses.asdict(recipe),
            # An architecture says its own precision, which `net_like` makes float32.
            "precision": "float32" if plan.architecture else precision.choose(recipe.precision),
            "seed": plan.seed,
        },
        class_names=dataset.classes,
    )
