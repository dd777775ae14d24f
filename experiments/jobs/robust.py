"""The job that measures adversarial training: accuracy, robust accuracy, processor time."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from cemfp.attacks import art_attacks
from cemfp.data import Split, load
from cemfp.engine.jobs import Job, Progress
from cemfp.jobs.fingerprint import ROWS
from cemfp.jobs.train import TrainNet
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.numerics import precision
from cemfp.removal.adversarial_training import AdversarialTraining, adversarial_gradients
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.training.loop import loss_gradients, train

RADII = (2 / 255, 8 / 255)
STEPS, STEP = 20, 0.25  # of the measuring attack; a step as a share of epsilon


@dataclasses.dataclass(frozen=True)
class MeasureRobust(Job):
    """Train one net on the ground truth, plainly or adversarially, and attack it; it is not kept.

    Attributes:
        training: What to train.
        against: The attack inside each training step; None trains plainly.
        attacked: Test images that are attacked, the first ones.
    """

    kind: ClassVar[str] = "robust"

    training: TrainNet
    against: AdversarialTraining | None
    attacked: int

    def label(self) -> str:
        """Short name for people."""
        how = "plain" if self.against is None else f"{self.against.steps} PGD steps"
        return f"robust training, {how}, seed {self.training.seed}"

    def flops(self) -> float:
        """Return the floating-point operations of the training; a PGD step is two thirds of one."""
        inside = 0 if self.against is None else self.against.steps
        return self.training.flops() * (1 + 2 / 3 * inside)

    def dependencies(self) -> tuple[Job, ...]:
        """Return nothing: the training is done here, not looked up."""
        return ()

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: accuracy plain and under PGD, core-seconds, settings."""
        del store
        job, data, against = self.training, load(self.training.data), self.against

        def build(shape: tuple[int | None, ...]) -> tf.keras.Model:
            return job.net.build(shape, len(data.classes))

        begun = time.process_time()
        model = train(
            build,
            data.train.images,
            data.train.labels,
            job.recipe,
            seed=job.seed,
            progress=lambda done, total, text: progress(f"step {done}/{total}, {text}"),
            gradients=adversarial_gradients(against, seed=job.seed) if against else loss_gradients,
        )
        core_seconds = time.process_time() - begun
        config = ClassifierConfig(job.net.name, data.input_shape, len(data.classes))
        net = Classifier(model, config)
        some = data.test.take(np.arange(min(self.attacked, len(data.test))))
        row: dict[str, Any] = {
            "data": dataclasses.asdict(data.provenance),
            "seed": job.seed,
            "recipe": dataclasses.asdict(job.recipe),
            "against": against and dataclasses.asdict(against),
            "precision": precision.choose(job.recipe.precision),
            "core_seconds": core_seconds,
            "test_accuracy": net.accuracy(data.test.images, data.test.labels),
            "attacked": len(some),
            "robust_accuracy": [right_under_art(net, some, radius, job.seed) for radius in RADII],
            "radii": RADII,
        }
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


def right_under_art(net: Classifier, split: Split, epsilon: float, seed: int) -> float:
    """Return the share of images that keep their true label under ART's PGD of 20 steps.

    Args:
        net: Under attack, white box.
        split: Images and their ground truth.
        epsilon: L-inf radius on the [0, 1] scale; a step is a quarter of it.
        seed: Decides the random start.
    """
    moved = art_attacks.pgd(
        split.floats(),
        split.labels,
        net,
        epsilon,
        seed,
        iterations=STEPS,
        step_size=STEP * epsilon,
    )
    return float(np.mean(net.predict_labels(moved) == split.labels))
