"""The jobs that attack a source, and that judge what the attacks leave behind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cemfp.data import load
from cemfp.data.dataset import Split
from cemfp.engine.jobs import Job, Progress
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.cost import INPUT_GRADIENT, TRAINING, training_flops
from cemfp.jobs.fingerprint import FINGERPRINT, NOTHING, ROWS, MakeFingerprint, load_classifiers
from cemfp.jobs.start import KeepStart
from cemfp.jobs.train import ANSWERS, AnySource, LabelImages, Net, TrainNet
from cemfp.models.classifier import Classifier, UnknownLayers
from cemfp.numerics import metrics
from cemfp.removal import SUMMARY, Removal, Thief, remove
from cemfp.storage.files import read_json, write_atomic
from cemfp.storage.store import Store
from cemfp.suspects import Suspect, answer_labels, open_suspect
from cemfp.suspects.transforms import through
from cemfp.training.recipe import Recipe

# Attack -> trainings' worth of one pass over the images; the others take one.
_FACTORS = {"ftll": 0.4, "rtll": 0.4, "quantize": 0.0, "tflite-int8": 0.0, "weight-noise": 0.0}


@dataclasses.dataclass(frozen=True)
class RemoveFingerprint(Job):
    """One removal attack on a source.

    Attributes:
        attack: One of `REMOVALS` with its hyper-parameters.
        victim: The model under attack.
        data: The victim's data set.
        recipe: How the thief trains; ignored by attacks that do not.
        seed: Decides every random choice of the thief.
        net: What the thief trains, unless the attack keeps the victim's net.
        transfer_set: Data set whose training images the thief has; empty means the victim's.
        count: Size of a random part of it; 0 means all.
        pretrained: A net trained on other images, for transfer learning.
        start: Public weights that an extraction attack starts from, in place of fresh ones.
    """

    kind: ClassVar[str] = "remove"

    attack: Any
    victim: AnySource
    data: str
    recipe: Recipe
    seed: int
    net: Net = dataclasses.field(default_factory=Net)
    transfer_set: str = ""
    count: int = 0
    pretrained: TrainNet | None = None
    start: KeepStart | None = dataclasses.field(default=None, metadata={"omit_default": True})

    def label(self) -> str:
        """Short name for people."""
        return f"{self.attack.name} {self.net.name} {self.transfer_set} seed {self.seed}"

    def flops(self) -> float:
        """Return the floating-point operations of the attack, as far as it trains."""
        data, name = self.transfer_set or self.data, self.attack.name
        once = training_flops(self.net, data, self.recipe, self.count)
        if name == "advtrain":  # each step of PGD is a gradient with respect to the input
            return once * (1 + self.attack.steps * INPUT_GRADIENT / TRAINING)
        return once * _FACTORS.get(name, 1.0)

    @property
    def answers(self) -> LabelImages:
        """The victim's answers on the transfer set, shared by all thieves."""
        return LabelImages(self.transfer_set or self.data, self.victim)

    def dependencies(self) -> tuple[Job, ...]:
        """Return the victim, its answers, the pre-trained net and the weights to start from."""
        optional = (self.pretrained, self.start)
        return self.victim, self.answers, *(job for job in optional if job is not None)

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Attack, measure, save model and summary."""
        answers = np.load(store.get(self.answers.key()) / ANSWERS, allow_pickle=False)
        dataset = load(self.data)
        images = load(self.transfer_set).train if self.transfer_set else dataset.train
        if self.count:
            chosen = np.random.default_rng([self.seed, 0]).permutation(len(images))[: self.count]
            images, answers = images.take(chosen), answers[chosen]
        thief = Thief(
            victim=load_classifiers(store, [self.victim])[0],
            dataset=dataset,
            recipe=self.recipe,
            seed=self.seed,
            images=images,
            transfer_set=self.transfer_set,
            net=self.net.name,
            arguments=dict(self.net.arguments),
            architecture=self.net.layers(),
            answers=answers,
            pretrained=self._pretrained(store),
            start=None if self.start is None else self.start.read(store),
            progress=lambda done, total, text: progress(f"step {done}/{total}, {text}"),
        )
        _half(remove(self.attack, thief), dataset.test).save(out)

    def _pretrained(self, store: Store) -> Classifier | None:
        if self.pretrained is None:
            return None
        return Classifier.load(store.get(self.pretrained.key()))


def _half(removal: Removal, test: Split) -> Removal:
    """Return the outcome as it is kept: in float16, where it is a classifier directory."""
    net = removal.classifier
    if not isinstance(net, Classifier):
        return removal
    try:
        kept = net.half()
    except UnknownLayers:
        return removal
    accuracy = {"test_accuracy_float16": kept.accuracy(test.images, test.labels)}
    return Removal(kept, {**removal.summary, **accuracy})


@dataclasses.dataclass(frozen=True)
class JudgeRemoval(Job):
    """Ask what one attack left behind for its answers to fingerprints.

    Attributes:
        removal: The attack.
        fingerprints: What to ask, each with a name.
    """

    kind: ClassVar[str] = "judge"
    heavy: ClassVar[bool] = False

    removal: RemoveFingerprint
    fingerprints: tuple[tuple[str, MakeFingerprint], ...]

    def label(self) -> str:
        """Short name for people."""
        return f"judge {self.removal.label()}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: the attack's summary and `cae_accuracy` by name of fingerprint."""
        del progress  # a matter of seconds
        directory = store.get(self.removal.key())
        asked = {name: load_fingerprint(store, job) for name, job in self.fingerprints}
        row = {**read_json(directory / SUMMARY), "cae_accuracy": _judge(directory, asked)}
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


@dataclasses.dataclass(frozen=True)
class JudgeTransform(Job):
    """Ask the source itself behind an input transform: a thief who changes the queries.

    Attributes:
        victim: The model behind the transform.
        transform: NAME=STRENGTH, see `suspects.transforms`; empty for none.
        data: Where test images come from.
        images: Number of test images for the accuracy, the first ones.
        fingerprints: What to ask, each with a name.
    """

    kind: ClassVar[str] = "transform"
    heavy: ClassVar[bool] = False

    victim: TrainNet
    transform: str
    data: str
    images: int
    fingerprints: tuple[tuple[str, MakeFingerprint], ...]

    def label(self) -> str:
        """Short name for people."""
        return f"transform {self.transform or 'none'}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: `test_accuracy`, and `cae_accuracy` by name of fingerprint."""
        del progress  # a matter of seconds
        suspect: Suspect = Classifier.load(store.get(self.victim.key())).predict_labels
        if self.transform:
            suspect = through(suspect, self.transform, seed=self.victim.seed)
        asked = {name: load_fingerprint(store, job) for name, job in self.fingerprints}
        test = load(self.data).test
        test = test.take(np.arange(min(self.images, len(test))))
        row = {
            "transform": self.transform or "none",
            "test_images": len(test),
            "test_accuracy": float(np.mean(suspect(test.floats()) == test.labels)),
            "cae_accuracy": {name: _cae_accuracy(suspect, f) for name, f in asked.items()},
        }
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


def load_fingerprint(store: Store, job: Job) -> Fingerprint | None:
    """Return the fingerprint that `job` made; None if nothing passed its filters."""
    made = store.get(job.key())
    return None if (made / NOTHING).is_file() else Fingerprint.load(made / FINGERPRINT)


def _judge(directory: Path, asked: Mapping[str, Fingerprint | None]) -> dict[str, float | None]:
    """Return the CAEAcc of the model in `directory` for each fingerprint."""
    some = next(fingerprint for fingerprint in asked.values() if fingerprint is not None)
    suspect = open_suspect(str(directory), input_shape=some.inputs.shape[1:], classes=some.classes)
    return {name: _cae_accuracy(suspect, fingerprint) for name, fingerprint in asked.items()}


def _cae_accuracy(suspect: Suspect, fingerprint: Fingerprint | None) -> float | None:
    if fingerprint is None:
        return None
    answers = answer_labels(suspect, fingerprint.inputs, fingerprint.classes)
    return metrics.cae_accuracy(answers, fingerprint.keys)
