"""The job that follows a training: accuracy and CAEAcc step by step [Lukas21, Fig. 4e]."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from cemfp.data import Split, load
from cemfp.engine.jobs import Job, Progress
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import ROWS, MakeFingerprint
from cemfp.jobs.remove import load_fingerprint
from cemfp.jobs.train import TrainNet
from cemfp.numerics import metrics
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store

TEST_IMAGES = 2_000  # enough for a curve: a standard error of one point


@dataclasses.dataclass(frozen=True)
class FollowTraining(Job):
    """Train a net once more and measure it on the way.

    Attributes:
        model: What to train; the same seed gives the same training.
        fingerprint: What to ask.
        points: Number of measurements.
    """

    kind: ClassVar[str] = "curve"

    model: TrainNet
    fingerprint: MakeFingerprint
    points: int = 10

    def label(self) -> str:
        """Short name for people."""
        return f"curve of {self.model.label()}"

    def flops(self) -> float:
        """Return the floating-point operations of the training."""
        return self.model.flops()

    def dependencies(self) -> tuple[Job, ...]:
        """Return what the training needs, and the fingerprint; not the trained model itself."""
        return (*self.model.dependencies(), self.fingerprint)

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: what the model is, and `step`, `test_accuracy`, `cae_accuracy`."""
        fingerprint = load_fingerprint(store, self.fingerprint)
        if fingerprint is None:
            raise ValueError("expected a fingerprint. Received: none, nothing passed the filters")
        points: list[dict[str, Any]] = []
        test = load(self.model.data).test
        test = test.take(np.arange(min(TEST_IMAGES, len(test))))
        self.model.train(store, progress, watch=_follow(points, self.points, test, fingerprint))
        row = {
            "origin": self.model.origin.value,
            "role": self.model.role,
            "seed": self.model.seed,
            "epsilon": fingerprint.epsilon,
            "inputs": len(fingerprint),
            "test_images": len(test),
            "points": points,
        }
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


def _follow(
    points: list[dict[str, Any]], wanted: int, test: Split, fingerprint: Fingerprint
) -> Callable[[int, int, tf.keras.Model], None]:
    """Return a function that appends a measurement now and then, and after the last step."""
    images = test.floats()

    def watch(done: int, total: int, model: tf.keras.Model) -> None:
        """Measure, if it is time to."""
        if done < total and done < len(points) * total / wanted:
            return
        points.append(
            {
                "step": done,
                "steps": total,
                "test_accuracy": float(np.mean(_labels(model, images) == test.labels)),
                "cae_accuracy": metrics.cae_accuracy(
                    _labels(model, fingerprint.inputs), fingerprint.keys
                ),
            }
        )

    return watch


def _labels(model: tf.keras.Model, images: np.ndarray) -> np.ndarray:
    parts = [model(images[i : i + 500], training=False).numpy() for i in range(0, len(images), 500)]
    return np.concatenate(parts).argmax(axis=1)
