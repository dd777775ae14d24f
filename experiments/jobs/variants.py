"""The job that says what a variant of the images costs, and what a thief's detector sees in it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from cemfp.attacks import ATTACKS
from cemfp.data import load
from cemfp.engine.jobs import Job, Progress
from cemfp.jobs.fingerprint import ROWS
from cemfp.jobs.train import TrainNet
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS
from cemfp.numerics import ops
from cemfp.removal.detector import ARGUMENTS, NET, RECIPE, Detector
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.suspects.transforms import jpeg
from cemfp.training.loop import train
from experiments.jobs.detection import noisy

QUALITY = 75
_SHORTER = dataclasses.replace(RECIPE, epochs=8)


@dataclasses.dataclass(frozen=True)
class MeasureVariant(Job):
    """Measure a net's accuracy with and without JPEG, and two detectors on its data.

    A detector learns to tell changed training images from the same images unchanged, and is asked
    about test images. The first learns FGM on the net. The second goes on from there with random
    noise of one grey level: from fresh weights none of this length learnt that, on any images.

    Attributes:
        model: The net, trained on the variant; its data is what is measured.
        epsilon: L-inf radius of FGM on the [0, 1] scale.
        images: Training images of a detector.
        asked: Test images that it is asked about.
        seed: Decides images, noise and the detectors' training.
    """

    kind: ClassVar[str] = "image variant"
    # 1 had a detector that fell back to chance at a higher rate, 2 one of noise from fresh weights.
    version: ClassVar[int] = 3

    model: TrainNet
    epsilon: float
    images: int
    asked: int
    seed: int = 0

    def label(self) -> str:
        """Short name for people."""
        return f"detectors on {self.model.data}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`."""
        net, data = Classifier.load(store.get(self.model.key())), load(self.model.data)
        shown = data.train.sample(self.images, seed=self.seed).images
        asked = data.test.sample(self.asked, seed=self.seed).images
        with_noise = {"shown": noisy(shown, self.seed), "asked": noisy(asked, self.seed + 1)}
        attacked = {"shown": self._fgm(net, shown), "asked": self._fgm(net, asked)}
        by_fgm = self._detector(shown, attacked["shown"], progress, "FGM")
        by_noise = self._detector(shown, with_noise["shown"], progress, "noise", by_fgm)
        test = data.test
        squeezed = jpeg(test.floats(), QUALITY)
        row: dict[str, Any] = {
            "data": dataclasses.asdict(data.provenance),
            "recipe": dataclasses.asdict(self.model.recipe),
            "precision": net.config.training["precision"],
            "seed": self.model.seed,
            "test_accuracy": net.accuracy(test.images, test.labels),
            "test_accuracy_behind_jpeg": net.accuracy(squeezed, test.labels),
            "grey_levels_changed_by_jpeg": float(np.abs(squeezed - test.floats()).mean() * 255),
            "epsilon": self.epsilon,
            "images": self.images,
            "asked": self.asked,
            "noise_seen_by_noise_detector": by_noise.detect(with_noise["asked"], asked)._asdict(),
            "fgm_seen_by_fgm_detector": by_fgm.detect(attacked["asked"], asked)._asdict(),
            "noise_seen_by_fgm_detector": by_fgm.detect(with_noise["asked"], asked)._asdict(),
        }
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())

    def _fgm(self, net: Classifier, images: np.ndarray) -> np.ndarray:
        starts = images.astype(np.float32) / np.float32(255)
        made = ATTACKS["fgm"](starts, net.predict_labels(starts), net, self.epsilon, self.seed)
        rounded = ops.quantize(tf.constant(made), tf.constant(starts), self.epsilon).numpy()
        return np.rint(255.0 * rounded).astype(np.uint8)

    def _detector(
        self,
        benign: np.ndarray,
        changed: np.ndarray,
        progress: Progress,
        what: str,
        start: Detector | None = None,
    ) -> Detector:
        model = train(
            lambda shape: NETS[NET](shape, 2, **ARGUMENTS),
            np.concatenate([benign, changed]),
            np.repeat([0, 1], [len(benign), len(changed)]),
            _SHORTER,
            seed=self.seed,
            initial=None if start is None else start.classifier.model.get_weights(),
            progress=lambda done, total, text: progress(f"{what}: step {done}/{total}, {text}"),
        )
        return Detector(
            Classifier(model, ClassifierConfig(NET, model.input_shape[1:], 2, dict(ARGUMENTS)))
        )
