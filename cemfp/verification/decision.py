"""Is the suspect a copy? Its answers against the key, the threshold, and how sure one can be."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.numerics import metrics
from cemfp.numerics.metrics import Interval
from cemfp.suspects import Suspect, answer_labels, check_fits


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
        cae_accuracy: Share of queries answered with the key [Lukas21, eq. 7].
        matches: Number of such queries.
        queries: Number of queries.
        threshold: CAEAcc from which a suspect counts as a surrogate.
        threshold_source: "calibration" or "given".
        interval: Clopper-Pearson interval of the CAEAcc over queries. It covers the choice of
            the queries, not how much one surrogate or reference differs from the next.
        confidence: Coverage of the interval.
        decision: Inconclusive if the interval contains the threshold.
        reason: The decision's reason, for people, in one line.
    """

    cae_accuracy: float
    matches: int
    queries: int
    threshold: float
    threshold_source: str
    interval: Interval
    confidence: float
    decision: Decision
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-able."""
        return {
            **dataclasses.asdict(self),
            "interval": list(self.interval),
            "decision": str(self.decision),
        }


def verify(
    fingerprint: Fingerprint,
    suspect: Suspect,
    *,
    threshold: float | None = None,
    confidence: float = 0.95,
    batch_size: int = 512,
) -> Verdict:
    """Ask a suspect the fingerprint's inputs and judge its answers.

    Args:
        fingerprint: Inputs, key and, unless a threshold is given, a calibration.
        suspect: Black box; if it tells its `input_shape` or `classes`, they must fit.
        threshold: Overrides the calibration's threshold; in (0, 1).
        confidence: Coverage of the interval, in (0, 1).
        batch_size: Images per question.

    Raises:
        VerificationError: There is no threshold, or it is outside (0, 1).
        SuspectError: The suspect does not fit or gave no usable answer.
    """
    limit, source = _threshold(fingerprint, threshold)
    check_fits(suspect, fingerprint.inputs.shape[1:], fingerprint.classes)
    labels = answer_labels(suspect, fingerprint.inputs, fingerprint.classes, batch_size)
    matches = int(np.sum(labels == fingerprint.keys))
    queries = len(fingerprint)
    interval = metrics.clopper_pearson(matches, queries, confidence)
    decision = decide(interval, limit)
    return Verdict(
        cae_accuracy=metrics.cae_accuracy(labels, fingerprint.keys),
        matches=matches,
        queries=queries,
        threshold=limit,
        threshold_source=source,
        interval=interval,
        confidence=confidence,
        decision=decision,
        reason=_reason(decision, matches, queries, limit, interval, confidence),
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
