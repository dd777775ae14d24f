"""Candidates: what a method made of the starting images; and the fingerprint of those chosen."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from cemfp.data import Dataset
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.models import Method
from cemfp.fingerprint.rule import RuleRecord
from cemfp.models.source import Source

CONTROLS = 50  # ordinary images in a fingerprint
# In place of a data set's provenance.
NO_DATA = {"name": "none", "note": "made from noise, without data", "stand_in": False}


class Candidates(NamedTuple):
    """What a method made of the starting images, before any filter.

    Attributes:
        starts: Starting images (n, h, w, c), float32 in [0, 1].
        truth: Their ground-truth labels (n,); the random target labels of noise.
        inputs: Perturbed images (n, h, w, c), rounded to 8 bits if asked for.
        keys: The source's label of each (n,).
        confer: Conferrability on the defender's models (n,) [Lukas21, Eq. 2]; None without them.
        precision: Number format of the method's gradients, if it is one that chooses.
    """

    starts: np.ndarray
    truth: np.ndarray
    inputs: np.ndarray
    keys: np.ndarray
    confer: np.ndarray | None
    precision: str | None = None

    def where(self, mask: np.ndarray) -> Candidates:
        """Return the candidates where `mask` (n,) is true, or with the indices `mask`."""
        confer = None if self.confer is None else self.confer[mask]
        starts, truth, inputs, keys = (array[mask] for array in self[:4] if array is not None)
        return Candidates(starts, truth, inputs, keys, confer, self.precision)


def describe(
    made: Candidates,
    method: Method,
    source: Source,
    dataset: Dataset | None,
    settings: dict[str, Any],
    *,
    quantize: bool,
    missing: dict[int, int] | None = None,
    rule: RuleRecord | None = None,
) -> Fingerprint:
    """Return the fingerprint of candidates that were chosen, all of them, in their order.

    Args:
        made: The candidates.
        method: What made them.
        source: What answers the key.
        dataset: Where the starting images come from.
        settings: How they were made and chosen, besides the method's own; with the `seed`.
        quantize: Whether they were rounded to 8 bits.
        missing: See `selection.Shortfall`.
        rule: What drew them, if that was a rule.
    """
    data_free = method.starts == "noise"
    settings = settings | ({} if made.precision is None else {"precision": made.precision})
    return Fingerprint(
        inputs=made.inputs,
        keys=made.keys,
        classes=source.classes,
        method=method.name,
        parameters=dataclasses.asdict(method) | settings,  # type: ignore[call-overload]
        source_sha256=source.weights_sha256,
        data=NO_DATA if dataset is None else dataclasses.asdict(dataset.provenance),
        epsilon=method.epsilon,
        eight_bit=quantize and method.domain == "image",
        domain=method.domain,
        # The seed gives the noise back.
        originals=None if data_free else made.starts,
        true_labels=None if data_free else made.truth,
        conferrability=made.confer,
        source_input=dataclasses.asdict(source.convention),
        class_names=source.class_names or _names(source, dataset),
        shortfall=missing or {},
        rule=rule,
        **_controls(source, dataset, made.starts, seed=settings["seed"]),
    )


def _names(source: Source, dataset: Dataset | None) -> tuple[str, ...]:
    """Return the names of the data set's classes, if they are the source's."""
    if dataset is None or len(dataset.classes) != source.classes:
        return ()
    return dataset.classes


def _controls(
    source: Source, dataset: Dataset | None, starts: np.ndarray, *, seed: int
) -> dict[str, Any]:
    """Return the control images with the source's labels and the truth: random test images.

    Those that the fingerprint itself starts from are left out: a suspect that is asked both shall
    learn nothing of the one from the other.
    """
    if dataset is None:
        return {}
    drawn = np.random.default_rng([seed, 1]).permutation(len(dataset.test))
    split = dataset.test.take(drawn[: CONTROLS + len(starts)])
    started = {start.tobytes() for start in np.ascontiguousarray(starts)}
    images = split.floats()
    new = [i for i, image in enumerate(images) if image.tobytes() not in started][:CONTROLS]
    if not new:
        return {}
    return {
        "controls": images[new],
        "control_labels": source.predict_labels(images[new]),
        "control_truth": split.labels[new],
    }
