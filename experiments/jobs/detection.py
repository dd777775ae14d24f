"""The jobs that train a thief's detector and let it look for fingerprints [Lukas21, Fig. 3b]."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cemfp.data import load
from cemfp.engine.jobs import Job, Progress
from cemfp.jobs.fingerprint import ROWS, MakeFingerprint
from cemfp.jobs.remove import load_fingerprint
from cemfp.models.classifier import Classifier
from cemfp.removal.detector import RECIPE, Detector, as_served, check_thief, train_detector
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class TrainDetector(Job):
    """Train one thief's detector: for one surrogate and one radius, for all fingerprints.

    Attributes:
        surrogate: A job whose result is a classifier: the thief's own copy.
        data: Name of the data set whose training images the thief has.
        epsilon: L-inf radius of the attacks on the [0, 1] scale.
        images: Number of training images, half of which are held out.
        seed: Decides images, attacks and training.
        recipe: How to train.
    """

    kind: ClassVar[str] = "detector"

    surrogate: Job
    data: str
    epsilon: float
    images: int
    seed: int
    recipe: Recipe = RECIPE

    def label(self) -> str:
        """Short name for people."""
        return f"detector epsilon {self.epsilon} seed {self.seed}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Attack the surrogate, train, judge the detector on its own task, save it."""
        detector = train_detector(
            Classifier.load(store.get(self.surrogate.key())),
            load(self.data).train.sample(self.images, seed=self.seed),
            epsilon=self.epsilon,
            recipe=self.recipe,
            seed=self.seed,
            progress=lambda done, total, text: progress(f"step {done}/{total}, {text}"),
        )
        detector.classifier.save(out)


@dataclasses.dataclass(frozen=True)
class DetectFingerprint(Job):
    """Let a detector tell fingerprints from test images, which it was not trained on.

    Attributes:
        detector: The thief's.
        fingerprints: What he looks for, each with a name.
        benign: Number of test images, drawn by the detector's seed; all, if there are fewer.
    """

    kind: ClassVar[str] = "detect"
    version: ClassVar[int] = 2
    heavy: ClassVar[bool] = False

    detector: TrainDetector
    fingerprints: tuple[tuple[str, MakeFingerprint], ...]
    benign: int = 1000

    def label(self) -> str:
        """Short name for people."""
        return f"detection by {self.detector.label()}"

    def dependencies(self) -> tuple[Job, ...]:
        """Return the detector, its surrogate and the fingerprints."""
        return (*super().dependencies(), self.detector.surrogate)

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: the detector's facts and own task, and what it does per fingerprint.

        `noise` is a control: benign images with random noise of at most one grey level. A detector
        that finds these sees any change of pixels, not adversarial ones. A fingerprint that its
        method could not make is `null`.
        """
        del progress  # a matter of seconds
        detector = Detector(Classifier.load(store.get(self.detector.key())))
        surrogate = Classifier.load(store.get(self.detector.surrogate.key()))
        test = load(self.detector.data).test
        benign = test.sample(min(self.benign, len(test)), seed=self.detector.seed).images
        found: dict[str, Any] = {}
        for name, job in self.fingerprints:
            fingerprint = load_fingerprint(store, job)
            if fingerprint is None:
                found[name] = None
                continue
            check_thief(surrogate, fingerprint.source_sha256)
            detection = detector.detect(fingerprint.inputs, benign)
            found[name] = {"epsilon": fingerprint.epsilon, **detection._asdict()}
        row = {
            "detector": detector.classifier.config.training,
            "surrogate": {"net": surrogate.config.net, "role": surrogate.role},
            "own_task": detector.own_task._asdict(),
            "noise": detector.detect(noisy(benign, self.detector.seed), benign)._asdict(),
            "fingerprints": found,
        }
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


def noisy(images: np.ndarray, seed: int) -> np.ndarray:
    """Return images as uint8, each value one grey level darker, the same, or one lighter."""
    noise = np.random.default_rng(seed).integers(-1, 2, images.shape)
    return np.clip(as_served(images).astype(np.int64) + noise, 0, 255).astype(np.uint8)
