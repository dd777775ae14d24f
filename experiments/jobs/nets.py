"""The job that says what a trained net is: size, speed, accuracy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import ClassVar

from cemfp.engine.jobs import Job, Progress
from cemfp.jobs.fingerprint import ROWS
from cemfp.jobs.train import TrainNet
from cemfp.models.classifier import Classifier
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store


@dataclasses.dataclass(frozen=True)
class DescribeNet(Job):
    """Count a trained net's parameters.

    Attributes:
        model: The training.
    """

    kind: ClassVar[str] = "net"
    heavy: ClassVar[bool] = False

    model: TrainNet

    def label(self) -> str:
        """Short name for people."""
        return f"describe {self.model.label()}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: net, parameters, training images a second, test accuracy.

        The rate is over the whole job: start, compilation and test are part of it.
        """
        del progress  # a matter of seconds
        classifier = Classifier.load(store.get(self.model.key()))
        config = classifier.config
        seen = config.training["images"] * self.model.recipe.epochs
        seconds = store.manifest(self.model.key())["took_seconds"]
        row = {
            "net": config.net,
            "arguments": config.arguments,
            "parameters": int(classifier.model.count_params()),
            "images_per_second": seen / seconds,
            "seconds": seconds,
            "test_accuracy": config.training["test_accuracy"],
            "seed": self.model.seed,
            "recipe": config.training["recipe"],
            "precision": config.training["precision"],
            "data": config.training["data"],
        }
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())
