"""The job that keeps a net as it was before the end of its training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from cemfp.data import load
from cemfp.engine.jobs import Progress
from cemfp.jobs.train import TrainNet
from cemfp.models.roles import Role
from cemfp.storage.store import Store


@dataclasses.dataclass(frozen=True)
class Snapshot(TrainNet):
    """The net of a `TrainNet` of the same fields at a part of its steps.

    A defender has it for nothing; here the training is made once more for each snapshot, so that
    the final net keeps its key.

    Attributes:
        at: Share of the steps that are made, in (0, 1); the schedule is that of the whole training.
    """

    kind: ClassVar[str] = "snapshot"

    at: float = 0.5

    def label(self) -> str:
        """Short name for people."""
        return f"{super().label()} after {self.at:.0%} of its steps"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Train, take the weights of the step, measure their accuracy, save them in float16."""
        weights: list[np.ndarray] = []

        def watch(done: int, total: int, model: tf.keras.Model) -> None:
            if not weights and done >= self.at * total:
                weights.extend(model.get_weights())

        taken, test = self.train(store, progress, watch), load(self.data).test
        taken.model.set_weights(weights)
        taken.config.training["snapshot"] = self.at
        taken.config.training["test_accuracy"] = taken.accuracy(test.images, test.labels)
        kept = taken.half()
        kept.config.training["test_accuracy_float16"] = kept.accuracy(test.images, test.labels)
        kept.save(out)


def with_snapshots(nets: tuple[TrainNet, ...], shares: tuple[float, ...]) -> tuple[TrainNet, ...]:
    """Return each of the defender's nets, then its snapshots at `shares` of its steps."""
    found: list[TrainNet] = []
    for net in nets:
        if net.role != Role.DEFENDER.value:
            raise ValueError(f"expected nets of the defender. Received: {net.label()}")
        fields = {field.name: getattr(net, field.name) for field in dataclasses.fields(net)}
        found += [net, *(Snapshot(**fields, at=share) for share in shares)]
    return tuple(found)
