"""The job that trains a net: source, surrogate or reference, for whatever role."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from cemfp import precision
from cemfp.classifier import Classifier, ClassifierConfig
from cemfp.data import Dataset, Split, load
from cemfp.nets import NETS
from cemfp.roles import Origin, Role
from cemfp.store import Store
from cemfp.study.jobs import Job, Progress
from cemfp.training import Recipe, soft_targets, train

Labels = Literal["truth", "soft", "top1"]


@dataclasses.dataclass(frozen=True)
class Net:
    """Which net to build.

    Attributes:
        name: Name in `NETS`.
        arguments: Keyword arguments of its builder as (name, value) pairs.
    """

    name: str = "resnet20"
    arguments: tuple[tuple[str, int], ...] = ()

    def build(self, input_shape: tuple[int | None, ...], classes: int):  # type: ignore[no-untyped-def]
        """Return a fresh Keras model."""
        return NETS[self.name](input_shape, classes, **dict(self.arguments))


@dataclasses.dataclass(frozen=True)
class TrainNet(Job):
    """Train one classifier from scratch.

    Attributes:
        data: Name of the data set.
        recipe: How to train.
        seed: Decides initial weights, order, augmentation and which images an owner has.
        role: What the result may be used for.
        net: What to train.
        labels_from: The source that labels the images; without one the labels are the ground truth.
        labels: `truth`, or the source's answer: its probabilities (`soft`) or label (`top1`).
        images: Number of training images, drawn by `seed`; 0 takes them all.
    """

    kind: ClassVar[str] = "train"

    data: str
    recipe: Recipe
    seed: int
    role: str
    net: Net = Net()
    labels_from: TrainNet | None = None
    labels: Labels = "truth"
    images: int = 0

    def __post_init__(self) -> None:
        if (self.labels == "truth") != (self.labels_from is None):
            raise ValueError(
                "expected labels 'truth' without a source, 'soft' or 'top1' with one. Received: "
                f"{self.labels!r}, source {self.labels_from}"
            )

    @property
    def origin(self) -> Origin:
        """Where the labels come from."""
        if self.labels_from is not None:
            return Origin.SURROGATE
        return Origin.SOURCE if self.role == Role.SOURCE else Origin.REFERENCE

    def label(self) -> str:
        """Short name for people."""
        return f"{self.role} {self.origin} {self.net.name} seed {self.seed}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Train, measure the test accuracy, save the classifier."""
        dataset = load(self.data)
        split = dataset.train
        if self.images:
            split = split.sample(self.images, seed=self.seed)
        labels, source_sha256 = self._targets(store, split)
        model = train(
            lambda shape: self.net.build(shape, len(dataset.classes)),
            split.images,
            labels,
            self.recipe,
            seed=self.seed,
            progress=lambda done, total, text: progress(f"step {done}/{total}, {text}"),
        )
        classifier = Classifier(model, self._config(dataset, source_sha256))
        test = dataset.test
        accuracy = classifier.accuracy(test.images, test.labels)
        classifier.config.training["test_accuracy"] = accuracy
        classifier.save(out)

    def _targets(self, store: Store, split: Split) -> tuple[np.ndarray, str | None]:
        """Return the labels to learn, and the hash of the source that gave them."""
        if self.labels_from is None:
            return split.labels, None
        source = Classifier.load(store.get(self.labels_from.key()))
        logits = source.predict_logits(split.images)
        if self.labels == "top1":
            return logits.argmax(axis=1), source.weights_sha256
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = shifted / shifted.sum(axis=1, keepdims=True)
        return soft_targets(probabilities, source.classes), source.weights_sha256

    def _config(self, dataset: Dataset, source_sha256: str | None) -> ClassifierConfig:
        return ClassifierConfig(
            net=self.net.name,
            input_shape=dataset.input_shape,
            classes=len(dataset.classes),
            arguments=dict(self.net.arguments),
            role=self.role,
            origin=self.origin,
            training={
                "data": dataclasses.asdict(dataset.provenance),
                "images": self.images or len(dataset.train),
                "labels": self.labels,
                "source_sha256": source_sha256,
                "recipe": dataclasses.asdict(self.recipe),
                "precision": precision.choose(self.recipe.precision),
                "seed": self.seed,
            },
        )
