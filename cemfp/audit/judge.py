"""The audit as a whole: what a judge has, what is asked, which checks follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from cemfp.audit.checks import AuditError, Check
from cemfp.audit.commitment import Papers, check_commitment
from cemfp.audit.independents import check_independents, check_references, check_strangers
from cemfp.audit.inputs import check_inputs
from cemfp.audit.keys import check_keys
from cemfp.audit.rule import check_candidates, check_rule
from cemfp.data import Dataset
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.numerics.agreement import does_task
from cemfp.suspects import Suspect, answer_labels, check_fits, layers

TASK_IMAGES = 500  # that tell whether a model does its task


@dataclasses.dataclass(frozen=True)
class Judge:
    """What a judge has of his own, and what the owner handed over.

    Attributes:
        dataset: The data set that the owner names, from where everybody gets it.
        source: The owner's model; a black box suffices.
        independents: Models for the task that the owner had no hand in, by name.
        secret: Of the fingerprint's rule.
        record: All candidates that were tried.
        papers: What shows when the fingerprint was fixed.
        parts: Other parts of a fingerprint that was split, a reserve say.
    """

    dataset: Dataset
    source: Suspect | None = None
    independents: Mapping[str, Suspect] = dataclasses.field(default_factory=dict)
    secret: bytes | None = None
    record: Fingerprint | None = None
    papers: Papers | None = None
    parts: Sequence[Fingerprint] = ()


def audit(fingerprint: Fingerprint, judge: Judge) -> list[Check]:
    """Make every check of a fingerprint.

    Raises:
        AuditError: A model does not do the task as it is asked, an independent is one of the
            owner's, or the data set has images or classes of another kind.
        SuspectError: A model gave no usable answer.
    """
    _check_data(fingerprint, judge.dataset)
    check_strangers(fingerprint, {n: _hash(m) for n, m in judge.independents.items()})
    for name, model in judge.independents.items():
        _check_task(name, model, fingerprint, judge.dataset)
    source, classes = judge.source, fingerprint.classes
    ask, answers = None, None
    if source is not None:
        _check_task("the source", source, fingerprint, judge.dataset)

        def ask(images: np.ndarray) -> np.ndarray:
            return answer_labels(source, images, classes)

        answers = ask(fingerprint.inputs)
    others = {
        name: answer_labels(model, fingerprint.inputs, classes)
        for name, model in judge.independents.items()
    }
    dataset, secret = judge.dataset, judge.secret
    return [
        check_commitment(fingerprint, judge.papers),
        check_inputs(fingerprint, dataset),
        check_keys(fingerprint, answers, _hash(source)),
        check_rule(fingerprint, dataset, secret),
        check_candidates(fingerprint, dataset, secret, judge.record, ask, judge.parts),
        check_independents(fingerprint, others),
        check_references(fingerprint, others),
    ]


def _check_data(fingerprint: Fingerprint, dataset: Dataset) -> None:
    shape, classes = tuple(fingerprint.inputs.shape[1:]), fingerprint.classes
    if tuple(dataset.input_shape) != shape or len(dataset.classes) != classes:
        raise AuditError(
            f"expected images of shape {shape} in {classes} classes, as the fingerprint has. "
            f"Received: {dataset.provenance.name} with {tuple(dataset.input_shape)} in "
            f"{len(dataset.classes)}"
        )


def _check_task(name: str, model: Suspect, fingerprint: Fingerprint, dataset: Dataset) -> None:
    """Refuse a model that is asked in the wrong scale, or does something else: it says nothing."""
    check_fits(model, fingerprint.inputs.shape[1:], fingerprint.classes)
    test = dataset.test.sample(min(TASK_IMAGES, len(dataset.test)), seed=0)
    answers = answer_labels(model, test.floats(), fingerprint.classes)
    if not does_task(answers, test.labels):
        raise AuditError(
            f"{name}: expected a model for {dataset.provenance.name}. Received: one that is right "
            f"on {np.mean(answers == test.labels):.1%} of {len(test)} test images, hardly more "
            "than chance; see whether it wants its images in another way (--scale)"
        )


def _hash(model: Suspect | None) -> str | None:
    """Return the hash of the weights of a model that says it."""
    if model is None:
        return None
    return next((h for part in layers(model) if (h := getattr(part, "weights_sha256", None))), None)
