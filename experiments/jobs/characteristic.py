"""The jobs of the second paper: fingerprints of the base model, and what other models answer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from cemfp.data import load
from cemfp.engine.jobs import Job, Progress
from cemfp.ensemble.noisy import under_noise
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.characteristic import low_frequency_share
from cemfp.jobs.fingerprint import ROWS, MakeFingerprint
from cemfp.jobs.remove import RemoveFingerprint, load_fingerprint
from cemfp.jobs.train import Model
from cemfp.models.classifier import Classifier
from cemfp.models.roles import Role, require_roles
from cemfp.numerics import metrics, ops
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store

LARGEST_BAND = 3  # of which low frequencies' energy is reported


Asked = tuple[tuple[str, MakeFingerprint], ...]


@dataclasses.dataclass(frozen=True)
class AskModels(Job):
    """Ask many models for their answers to many fingerprints of one source.

    Attributes:
        models: Models to ask, each with the name of its group.
        fingerprints: What to ask, each with a name.
    """

    kind: ClassVar[str] = "ask"
    heavy: ClassVar[bool] = False

    models: tuple[tuple[str, Model | RemoveFingerprint], ...]
    fingerprints: Asked

    def label(self) -> str:
        """Short name for people."""
        return f"ask {len(self.models)} models {len(self.fingerprints)} fingerprints"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: the facts of each fingerprint, and the answers of each model."""
        asked = {name: load_fingerprint(store, job) for name, job in self.fingerprints}
        found = {name: made for name, made in asked.items() if made is not None}
        models = []
        for number, (group, job) in enumerate(self.models):
            progress(f"model {number + 1}/{len(self.models)}: {group}")
            model = Classifier.load(store.get(job.key()))
            # Who judges a fingerprint has not helped to make it.
            require_roles([model], [Role.SOURCE, Role.EVALUATION, Role.ATTACKER], "answering")
            models.append(_answers(group, model, found))
        facts = {
            name: {"inputs": 0} if made is None else _facts(made) for name, made in asked.items()
        }
        row = {"fingerprints": facts, "models": models}
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


@dataclasses.dataclass(frozen=True)
class ShowExamples(Job):
    """Inputs of several fingerprints for the same labels, for a gallery [Wang21, Fig. 1].

    Attributes:
        fingerprints: Whose inputs, each with a name.
        count: Labels, the first ones; the first input of each.
    """

    kind: ClassVar[str] = "examples"
    heavy: ClassVar[bool] = False

    fingerprints: Asked
    count: int = 6

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: rounded grey levels by name of fingerprint and by label."""
        del progress  # a matter of a second
        rows = {}
        for name, job in self.fingerprints:
            made = load_fingerprint(store, job)
            if made is not None:
                levels = np.rint(255 * made.inputs).astype(int)
                first = {label: np.flatnonzero(made.keys == label) for label in range(self.count)}
                rows[name] = {str(k): levels[i[0]].tolist() for k, i in first.items() if len(i)}
        write_atomic(out / ROWS, json.dumps({"examples": rows}).encode())


@dataclasses.dataclass(frozen=True)
class FrequencySaliency(Job):
    """Which frequencies of images the source's loss depends on [Wang21, Fig. 2a].

    Attributes:
        model: The net.
        data: Name of the data set whose test images are taken.
        images: How many, drawn by `seed`.
        seed: Decides which.
    """

    kind: ClassVar[str] = "saliency"
    heavy: ClassVar[bool] = False

    model: Model
    data: str
    images: int = 1_000
    seed: int = 0

    def label(self) -> str:
        """Short name for people."""
        return f"saliency of {self.model.net.name}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: the mean absolute gradient in each DCT coefficient (h, w, c)."""
        dataset = load(self.data)
        split = dataset.test.sample(min(self.images, len(dataset.test)), seed=self.seed)
        model = Classifier.load(store.get(self.model.key()))
        progress(f"{len(split)} images")
        found = frequency_saliency(model, split.floats(), split.labels)
        row = {
            "data": dataclasses.asdict(dataset.provenance),
            "images": len(split),
            "net": model.config.net,
            "saliency": found.tolist(),
        }
        write_atomic(out / ROWS, json.dumps(row).encode())


def frequency_saliency(
    model: Classifier, images: np.ndarray, labels: np.ndarray, *, batch_size: int = 100
) -> np.ndarray:
    """Return the mean over images of |d loss / d DCT coefficient| (h, w, c).

    The transform is orthonormal: the gradient in the coefficients is the transform of the gradient
    in the pixels.

    Args:
        model: The net.
        images: (n, h, w, c), float32 in [0, 1].
        labels: Their classes (n,).
        batch_size: Images at a time.
    """
    loss_gradient = under_noise(model, 0.0, precision="float32")
    size = tf.function(
        lambda x, y: tf.abs(ops.dct(loss_gradient(x, y, tf.constant([0, 0]))[1])),
        reduce_retracing=True,
    )
    total = np.zeros(images.shape[1:])
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        total += size(tf.constant(images[part]), tf.constant(labels[part])).numpy().sum(axis=0)
    return total / len(images)


def uniqueness_rows(
    row: dict[str, Any], names: Sequence[str], kept: Sequence[str], others: str
) -> dict[str, dict[str, Any]]:
    """Return what the answers to some fingerprints of one kind say [Wang21, Sec. 3].

    Args:
        row: What `AskModels` wrote.
        names: Names of the fingerprints, made of different noise; their answers are pooled.
        kept: Groups that should be recognised: pruned models, say.
        others: The group that should not.

    Returns:
        Summaries of the accuracy of each group, and under `uniqueness <group>` the score: its mean
        is robustness minus transferability, its deviation that of the two means together.
    """
    groups: dict[str, list[float]] = {}
    for model in row["models"]:
        known = [model["cae_accuracy"][name] for name in names if name in model["cae_accuracy"]]
        groups.setdefault(model["group"], []).extend(known)
    found: dict[str, dict[str, Any]] = {
        group: dict(metrics.summary(values)) for group, values in groups.items()
    }
    transferability = found[others]
    for group in kept:
        robustness = found[group]
        found[f"uniqueness {group}"] = {
            "n": robustness["n"],
            "mean": metrics.uniqueness(robustness["mean"], transferability["mean"]),
            "std": float(np.hypot(robustness["std"] or 0.0, transferability["std"] or 0.0)),
        }
    return found


def _answers(group: str, model: Classifier, asked: dict[str, Fingerprint]) -> dict[str, Any]:
    return {
        "group": group,
        "role": model.role,
        "net": model.config.net,
        "arguments": model.config.arguments,
        "seed": model.config.training["seed"],
        "weights_sha256": model.weights_sha256,
        "test_accuracy": model.config.training["test_accuracy"],
        "sparsity": model.config.training.get("facts", {}).get("sparsity"),
        "cae_accuracy": {
            name: metrics.cae_accuracy(model.predict_labels(made.inputs), made.keys)
            for name, made in asked.items()
        },
    }


def _facts(made: Fingerprint) -> dict[str, Any]:
    band = min(LARGEST_BAND, *made.inputs.shape[1:3])
    return {
        "method": made.method,
        "inputs": len(made),
        "domain": made.domain,
        "parameters": made.parameters,
        "data": made.data,
        "lowest": float(made.inputs.min()),
        "highest": float(made.inputs.max()),
        "low_frequency_share": low_frequency_share(made.inputs, band),
    }
