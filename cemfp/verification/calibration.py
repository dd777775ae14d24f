"""Where to draw the line: the threshold of a fingerprint, from models that are known.

The models used here have the role `calibration`: they neither helped to make the fingerprint nor
appear in any result, so that the threshold is not fitted to what it will be judged on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cemfp.fingerprint.artifact import Calibration, Fingerprint
from cemfp.models.roles import CALIBRATION_ROLES, Origin, require_origin, require_roles
from cemfp.suspects import answer_labels, check_fits, matched

if TYPE_CHECKING:
    from cemfp.models.classifier import Classifier

MIDPOINT = "midpoint between the highest reference and the lowest surrogate"
YOUDEN = "highest balanced accuracy on the calibration models, which overlap"


class CalibrationError(ValueError):
    """No threshold follows from the models given."""


def calibrate(
    fingerprint: Fingerprint,
    surrogates: Sequence[Classifier],
    references: Sequence[Classifier],
    *,
    batch_size: int = 512,
) -> Fingerprint:
    """Score calibration models, and return the fingerprint with what follows stored.

    Stored are the scores, the threshold, and which inputs each model answered with the key.

    Args:
        fingerprint: Stays as it is; an earlier calibration is replaced in the copy.
        surrogates: Calibration models with labels from the source.
        references: Calibration models with labels from elsewhere.
        batch_size: Images per question.

    Raises:
        RoleError: A model has another role than `calibration`, or the wrong origin.
        CalibrationError: A group is empty, a model occurs twice or is the source, or the scores do
            not separate surrogates from references at all.
        SuspectError: A model does not fit the fingerprint or gives no usable answer.
    """
    models = [*surrogates, *references]
    require_roles(models, CALIBRATION_ROLES, "calibration")
    require_origin(surrogates, [Origin.SURROGATE], "calibration, surrogates")
    require_origin(references, [Origin.REFERENCE], "calibration, references")
    hashes = [model.weights_sha256 for model in models]
    if not surrogates or not references or len(set(hashes)) != len(hashes):
        raise CalibrationError(
            "Expected at least one surrogate and one reference, each given once. Received: "
            f"{len(surrogates)} surrogates, {len(references)} references, "
            f"{len(hashes) - len(set(hashes))} repeated."
        )
    if fingerprint.source_sha256 in hashes:
        raise CalibrationError(
            "Expected copies and strangers of the source. Received: the source itself among them; "
            "its answers are the key."
        )
    hits = np.array([_hits(fingerprint, model, batch_size) for model in models])
    scores = [float(score) for score in hits.mean(axis=1)]
    above, below = tuple(scores[: len(surrogates)]), tuple(scores[len(surrogates) :])
    threshold, rule = choose_threshold(above, below)
    calibration = Calibration(
        surrogate_scores=above,
        reference_scores=below,
        threshold=threshold,
        rule=rule,
        surrogate_sha256=tuple(hashes[: len(surrogates)]),
        reference_sha256=tuple(hashes[len(surrogates) :]),
        queries=len(fingerprint),
    )
    return dataclasses.replace(
        fingerprint,
        calibration=calibration,
        surrogate_hits=hits[: len(surrogates)],
        reference_hits=hits[len(surrogates) :],
    )


def choose_threshold(
    surrogate_scores: Sequence[float], reference_scores: Sequence[float]
) -> tuple[float, str]:
    """Threshold for "score >= threshold means surrogate", and the rule that gave it.

    If every surrogate scores above every reference: the midpoint of the gap, as far from either
    group as can be. Otherwise, of the midpoints between neighbouring scores, the one with the
    highest balanced accuracy (Youden's J); among equals the highest, which accuses fewest.

    Args:
        surrogate_scores: CAEAcc of each surrogate (K,), in [0, 1].
        reference_scores: CAEAcc of each reference (L,), in [0, 1].

    Raises:
        CalibrationError: No threshold does better than chance.
    """
    above, below = np.asarray(surrogate_scores), np.asarray(reference_scores)
    if above.min() > below.max():
        return float((above.min() + below.max()) / 2), MIDPOINT
    scores = np.unique(np.concatenate([above, below]))
    candidates = (scores[:-1] + scores[1:]) / 2
    youden = [np.mean(above >= t) - np.mean(below >= t) for t in candidates]
    # Shares of small groups differ by rounding only; 1e-9 is far below one model's share.
    best = [t for t, j in zip(candidates, youden, strict=True) if j >= max(youden) - 1e-9]
    if not best or max(youden) <= 1e-9:
        raise CalibrationError(
            "Expected surrogates that score above references. Received: surrogates "
            f"{above.min():.2f} to {above.max():.2f}, references {below.min():.2f} to "
            f"{below.max():.2f}; this fingerprint does not tell them apart, make another."
        )
    return float(best[-1]), YOUDEN


def _hits(fingerprint: Fingerprint, model: Classifier, batch_size: int) -> np.ndarray:
    """Return whether the model answers the key of each input (n,), bool."""
    check_fits(model, fingerprint.inputs.shape[1:], fingerprint.classes)
    asked = matched(model, fingerprint.class_names)
    labels = answer_labels(asked, fingerprint.inputs, fingerprint.classes, batch_size)
    return labels == fingerprint.keys
