"""Is the suspect a copy? Its answers against the key, the threshold, and how sure one can be."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.numerics import metrics
from cemfp.numerics.metrics import Interval
from cemfp.suspects import NoAnswer, Suspect, SuspectError, answer_labels, check_fits
from cemfp.suspects.feeding import fed_as
from cemfp.verification.asked import NOT_ASKED, Asked, check_asked


class VerificationError(ValueError):
    """A suspect cannot be judged with what was given."""


class Decision(enum.StrEnum):
    """The three possible outcomes."""

    MATCH = "match"
    NO_MATCH = "no match"
    INCONCLUSIVE = "inconclusive"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a suspect answered, and what follows.

    Attributes:
        cae_accuracy: Share of queries answered with the key [Lukas21, eq. 7]; None if it was not
            asked any.
        matches: Number of such queries.
        queries: Number of queries.
        threshold: CAEAcc from which a suspect counts as a surrogate.
        threshold_source: "calibration" or "given".
        interval: Clopper-Pearson interval of the CAEAcc over queries. It covers the choice of
            the queries, not how much one surrogate or reference differs from the next.
        confidence: Coverage of the interval.
        asked: How the suspect answered the control images.
        decision: Inconclusive if the interval contains the threshold, or if the suspect was not
            asked what it understands.
        reason: The decision's reason, for people, in one line.
    """

    cae_accuracy: float | None
    matches: int
    queries: int
    threshold: float
    threshold_source: str
    interval: Interval
    confidence: float
    asked: Asked
    decision: Decision
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-able."""
        return {
            **dataclasses.asdict(self),
            "interval": list(self.interval),
            "asked": self.asked.to_dict(),
            "decision": str(self.decision),
        }


def verify(
    fingerprint: Fingerprint,
    suspect: Suspect,
    *,
    threshold: float | None = None,
    confidence: float = 0.95,
    batch_size: int = 512,
    controls: int | None = None,
) -> Verdict:
    """Ask a suspect the fingerprint's inputs and judge its answers.

    Args:
        fingerprint: Inputs, key and, unless a threshold is given, a calibration.
        suspect: Black box; if it tells its `input_shape` or `classes`, they must fit.
        threshold: Overrides the calibration's threshold; in (0, 1).
        confidence: Coverage of the interval, in (0, 1).
        batch_size: Images per question.
        controls: How many of the fingerprint's control images to ask first; all of them by
            default, 0 for none: then nobody notices a suspect that was asked in another range of
            numbers, and it looks innocent.

    Raises:
        VerificationError: There is no threshold, or it is outside (0, 1).
        SuspectError: The suspect does not fit or gave no usable answer.
    """
    limit, source = _threshold(fingerprint, threshold)
    check_fits(suspect, fingerprint.inputs.shape[1:], fingerprint.classes)
    asked = _ask_controls(fingerprint, suspect, controls, batch_size)
    if asked.problem:
        return _not_understood(fingerprint, asked, limit, source, confidence)
    labels = answer_labels(suspect, fingerprint.inputs, fingerprint.classes, batch_size)
    matches = int(np.sum(labels == fingerprint.keys))
    queries = len(fingerprint)
    interval = metrics.clopper_pearson(matches, queries, confidence)
    decision = decide(interval, limit)
    if decision is Decision.NO_MATCH and asked.convention is not None:
        # Hardly better on ordinary images: no reason to accuse, but none to acquit either.
        fed = fed_as(suspect, asked.convention)
        asked = _matches_otherwise(fingerprint, fed, asked, limit, confidence, batch_size)
        if asked.problem:
            return _not_understood(fingerprint, asked, limit, source, confidence)
    return Verdict(
        cae_accuracy=metrics.cae_accuracy(labels, fingerprint.keys),
        matches=matches,
        queries=queries,
        threshold=limit,
        threshold_source=source,
        interval=interval,
        confidence=confidence,
        asked=asked,
        decision=decision,
        reason=_reason(decision, matches, queries, limit, interval, confidence)
        + _unchecked(decision, asked),
    )


def _ask_controls(
    fingerprint: Fingerprint, suspect: Suspect, controls: int | None, batch_size: int
) -> Asked:
    images, labels = fingerprint.controls, fingerprint.control_labels
    if images is None or labels is None or controls == 0:
        return NOT_ASKED
    images, labels = images[:controls], labels[:controls]
    return check_asked(suspect, images, labels, fingerprint.classes, batch_size)


def _matches_otherwise(
    fingerprint: Fingerprint,
    fed: Suspect,
    asked: Asked,
    limit: float,
    confidence: float,
    batch_size: int,
) -> Asked:
    """Return `asked`, with a problem if the suspect matches as it is fed now."""
    queries = len(fingerprint)
    asked = dataclasses.replace(asked, queries=asked.queries + queries)
    try:
        labels = answer_labels(fed, fingerprint.inputs, fingerprint.classes, batch_size)
    except NoAnswer:
        raise
    except SuspectError:
        return asked
    matches = int(np.sum(labels == fingerprint.keys))
    if decide(metrics.clopper_pearson(matches, queries, confidence), limit) is not Decision.MATCH:
        return asked
    return dataclasses.replace(
        asked,
        problem="it does not match as it is asked, but is right on more ordinary images if it is "
        f"fed otherwise, and then {matches} of {queries} answers are the key's",
        advice=f"add {asked.convention} if it wants that",
    )


def _not_understood(
    fingerprint: Fingerprint, asked: Asked, limit: float, source: str, confidence: float
) -> Verdict:
    """The verdict on a suspect whose answers mean nothing."""
    return Verdict(
        cae_accuracy=None,
        matches=0,
        queries=0,
        threshold=limit,
        threshold_source=source,
        interval=Interval(0.0, 1.0),
        confidence=confidence,
        asked=asked,
        decision=Decision.INCONCLUSIVE,
        reason=f"The suspect was not asked what it understands: {asked.problem}; {asked.advice}.",
    )


def _unchecked(decision: Decision, asked: Asked) -> str:
    """What an acquittal without control images does not say."""
    if decision is Decision.MATCH:
        return ""
    if asked.untried:
        return (
            " Not all common ranges of numbers were tried before the budget was spent: this may "
            "also be a copy that takes its images in another one."
        )
    if asked.controls:
        return ""
    return (
        " No control images were asked: this is also what a copy looks like that takes its images "
        "in another range of numbers."
    )


def decide(interval: Interval, threshold: float) -> Decision:
    """Match above the threshold, no match below it, inconclusive if it is in the interval."""
    if interval.low > threshold:
        return Decision.MATCH
    if interval.high < threshold:
        return Decision.NO_MATCH
    return Decision.INCONCLUSIVE


def _threshold(fingerprint: Fingerprint, given: float | None) -> tuple[float, str]:
    if given is not None:
        if not 0 < given < 1:
            raise VerificationError(f"Expected a threshold in (0, 1). Received: {given}.")
        return float(given), "given"
    if fingerprint.calibration is None:
        raise VerificationError(
            "Expected a calibrated fingerprint or a threshold. Received: neither. Calibrate the "
            "fingerprint (cemfp calibrate) or pass --threshold; there is no universal value."
        )
    return fingerprint.calibration.threshold, "calibration"


def _reason(
    decision: Decision,
    matches: int,
    queries: int,
    threshold: float,
    interval: Interval,
    confidence: float,
) -> str:
    relation = {
        Decision.MATCH: "lies above",
        Decision.NO_MATCH: "lies below",
        Decision.INCONCLUSIVE: "contains",
    }
    text = (
        f"{matches} of {queries} answers are the key's; the {confidence:.0%} interval over queries "
        f"[{interval.low:.3f}, {interval.high:.3f}] {relation[decision]} the threshold "
        f"{threshold:.3f}"
    )
    if decision is not Decision.INCONCLUSIVE:
        return f"{text}."
    return f"{text}{_too_few(queries, threshold, confidence)}."


def _too_few(queries: int, threshold: float, confidence: float) -> str:
    """Says which decisions this few queries can never reach, whatever the suspect answers."""
    all_right = metrics.clopper_pearson(queries, queries, confidence)
    all_wrong = metrics.clopper_pearson(0, queries, confidence)
    impossible = []
    if decide(all_right, threshold) is not Decision.MATCH:
        impossible.append("a match")
    if decide(all_wrong, threshold) is not Decision.NO_MATCH:
        impossible.append("no match")
    if not impossible:
        return ""
    return f"; {queries} queries are too few to show {' or '.join(impossible)}, use more"
