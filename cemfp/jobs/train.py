"""The jobs that give a net: one trains it, one takes published weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cemfp.data import load
from cemfp.engine.jobs import Job, Progress
from cemfp.jobs.cost import size_of, training_flops
from cemfp.jobs.source import OwnSource, load_source
from cemfp.jobs.start import KeepStart
from cemfp.models.classifier import Classifier
from cemfp.models.pretrained import CLASSES, INPUT_SHAPE, PRETRAINED, load_pretrained
from cemfp.models.renewal import build_net, net_like
from cemfp.models.roles import Origin
from cemfp.models.source import Source
from cemfp.storage.files import canonical_json
from cemfp.storage.store import Store
from cemfp.training.from_scratch import Labels, Plan, train_classifier
from cemfp.training.loop import Watch
from cemfp.training.recipe import Recipe

ANSWERS = "answers.npy"


@dataclasses.dataclass(frozen=True)
class Net:
    """Which net to build.

    Attributes:
        name: Name in `NETS`, or `keras` with an architecture.
        arguments: Keyword arguments of its builder as (name, value) pairs.
        architecture: Canonical JSON of a net that is not in `NETS`; see `like`.
    """

    name: str = "resnet20"
    arguments: tuple[tuple[str, Any], ...] = ()
    architecture: str = dataclasses.field(default="", metadata={"omit_default": True})

    @classmethod
    def like(cls, classifier: Classifier) -> Net:
        """Return the net of `classifier`, to be trained anew."""
        name, arguments, architecture = net_like(classifier)
        text = "" if architecture is None else canonical_json(architecture)
        return cls(name, tuple(arguments.items()), text)

    def build(self, shape: tuple[int | None, ...], classes: int) -> Any:
        """Return the Keras model with fresh weights."""
        return build_net(self.name, dict(self.arguments), self.layers(), shape, classes)

    def layers(self) -> dict[str, Any] | None:
        """Return the architecture, if it is not one of `NETS`."""
        return json.loads(self.architecture) if self.architecture else None


@dataclasses.dataclass(frozen=True)
class LabelImages(Job):
    """Ask a source for its logits on all training images, once for all its surrogates.

    Attributes:
        data: Name of the data set.
        source: Who answers.
    """

    kind: ClassVar[str] = "labels"
    heavy: ClassVar[bool] = False

    data: str
    source: AnySource

    def label(self) -> str:
        """Short name for people."""
        return f"labels of {self.source.label()}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write the logits (n, C)."""
        dataset = load(self.data)
        source = load_source(store.get(self.source.key()))
        progress(f"{len(dataset.train)} images")
        # The images may be of other classes than the source's: it has to choose among its own.
        np.save(out / ANSWERS, source.predict_logits(dataset.train.images))


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
        transfer: Name of the images that the source labels, if other ones than those of `data`.
        start: Weights to start from, in place of fresh ones.
    """

    kind: ClassVar[str] = "train"

    data: str
    recipe: Recipe
    seed: int
    role: str
    net: Net = Net()
    labels_from: TrainNet | OwnSource | None = None
    labels: Labels = "truth"
    images: int = 0
    transfer: str = dataclasses.field(default="", metadata={"omit_default": True})
    start: KeepStart | None = dataclasses.field(default=None, metadata={"omit_default": True})

    def __post_init__(self) -> None:
        if self.transfer and self.labels_from is None:
            raise ValueError("expected a source that labels the images of `transfer`")
        if (self.labels == "truth") != (self.labels_from is None):
            raise ValueError(
                "expected labels 'truth' without a source, 'soft' or 'top1' with one. Received: "
                f"{self.labels!r}, source {self.labels_from}"
            )

    @property
    def origin(self) -> Origin:
        """Where the labels come from."""
        return self.plan().origin

    def label(self) -> str:
        """Short name for people."""
        return f"{self.role} {self.origin} {self.net.name} seed {self.seed}"

    def flops(self) -> float:
        """Return the floating-point operations of the training."""
        images = self.images or (size_of(self.transfer)[2] if self.transfer else 0)
        return training_flops(self.net, self.data, self.recipe, images)

    def dependencies(self) -> tuple[Job, ...]:
        """Return the source and its answers, and the weights to start from, where there are."""
        start = () if self.start is None else (self.start,)
        if self.labels_from is None:
            return start
        return self.labels_from, LabelImages(self.transfer or self.data, self.labels_from), *start

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Train, measure the test accuracy, save the classifier in float16."""
        trained, test = self.train(store, progress), load(self.data).test
        kept = trained.half()
        accuracy = kept.accuracy(test.images, test.labels)
        kept.config.training["test_accuracy_float16"] = accuracy
        kept.save(out)

    def train(self, store: Store, progress: Progress, watch: Watch | None = None) -> Classifier:
        """Return the trained classifier; `watch` is `training.train`'s."""
        source: Source | None = None
        answers = None
        if self.labels_from is not None:
            model, labels, *_ = self.dependencies()
            source = load_source(store.get(model.key()))
            answers = np.load(store.get(labels.key()) / ANSWERS, allow_pickle=False)
        dataset = load(self.data)
        if self.transfer:
            dataset = dataclasses.replace(dataset, train=load(self.transfer).train)
        return train_classifier(
            self.plan(),
            dataset,
            self.recipe,
            source,
            answers=answers,
            start=None if self.start is None else self.start.read(store),
            progress=lambda done, total, text: progress(f"step {done}/{total}, {text}"),
            watch=watch,
        )

    def plan(self) -> Plan:
        """Return what to train, without data and recipe."""
        arguments = dict(self.net.arguments)
        given = self.seed, self.role, self.labels, self.images, self.net.layers()
        return Plan(self.net.name, arguments, *given)


@dataclasses.dataclass(frozen=True)
class ImportNet(Job):
    """Take a net with published weights instead of training one [Wang21, Table 1].

    Attributes:
        name: Name in `PRETRAINED`.
        role: What the result may be used for.
        data: Name of the data set to measure the test accuracy on; empty for none.
        weights: A file with the weights; empty takes Keras' own, downloaded on first use.
        input_shape: Height, width and channels.
        classes: Number of classes.
    """

    kind: ClassVar[str] = "import"
    heavy: ClassVar[bool] = False

    name: str
    role: str
    data: str = ""
    weights: str = ""
    input_shape: tuple[int, int, int] = INPUT_SHAPE
    classes: int = CLASSES

    @property
    def net(self) -> Net:
        """The net of `NETS` that has these weights."""
        return Net(PRETRAINED[self.name].net)

    def label(self) -> str:
        """Short name for people."""
        return f"{self.role} published {self.name}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Read the weights, measure the test accuracy, save the classifier."""
        progress(f"weights of {self.name}")
        net = load_pretrained(
            self.name,
            weights=Path(self.weights) if self.weights else None,
            role=self.role,
            input_shape=self.input_shape,
            classes=self.classes,
        )
        if self.data:
            test = load(self.data).test
            net.config.training["test_accuracy"] = net.accuracy(test.images, test.labels)
        net.save(out)


Model = TrainNet | ImportNet
AnySource = TrainNet | ImportNet | OwnSource
