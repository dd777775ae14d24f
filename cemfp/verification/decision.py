"""Is the suspect a copy? Its answers against the key, the threshold, and how sure one can be."""

from __future__ import annotations

import dataclasses

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.numerics import metrics
from cemfp.suspects import NoAnswer, Suspect, SuspectError, check_fits
from cemfp.suspects.feeding import fed_as
from cemfp.verification.asked import NOT_ASKED, Asked, check_asked
from cemfp.verification.null_keys import check_null_keys
from cemfp.verification.rules import NOTHING_CLAIMED, FixedNumber, Rule, Sequential, identity
from cemfp.verification.verdict import Decision, Verdict, VerificationError


def verify(
    fingerprint: Fingerprint,
    suspect: Suspect,
    *,
    threshold: float | None = None,
    confidence: float = 0.95,
    batch_size: int = 512,
    controls: int | None = None,
    alpha: float | None = None,
    max_queries: int | None = None,
) -> Verdict:
    """Ask a suspect the fingerprint's inputs and judge its answers.

    The verdict is a function of the fingerprint, the answers and the options alone.

    Args:
        fingerprint: Inputs, key and, unless a threshold is given, a calibration.
        suspect: Black box; if it tells its `input_shape` or `classes`, they must fit.
        threshold: Overrides the calibration's threshold; in (0, 1).
        confidence: Coverage of the interval, in (0, 1).
        batch_size: Images per question.
        controls: How many of the fingerprint's control images to ask first; all of them by
            default, 0 for none: then nobody notices a suspect that was asked in another range of
            numbers, and it looks innocent.
        alpha: Of a sequential test, in (0, 0.5): inputs are asked one by one until the evidence
            suffices. None asks a fixed number: that needs no assumption on how models differ, and
            leaves a rank among them, which a number chosen by the answers would not.
        max_queries: Ask at most so many inputs, the first in an order that a hash of the
            fingerprint fixes; all by default.

    Raises:
        VerificationError: There is no threshold, an option is out of its range, or the calibration
            does not suffice for `alpha`.
        SuspectError: The suspect does not fit or gave no usable answer.
    """
    limit, source = _threshold(fingerprint, threshold)
    rule = make_rule(fingerprint, threshold, confidence, alpha, max_queries)
    check_fits(suspect, fingerprint.inputs.shape[1:], fingerprint.classes)
    asked = _ask_controls(fingerprint, suspect, controls, batch_size)
    if asked.problem:
        return _not_understood(asked, limit, source, confidence)
    found = rule(suspect, batch_size)
    if found.decision is Decision.NO_MATCH and asked.convention is not None:
        # Hardly better on ordinary images: no reason to accuse, but none to acquit either.
        asked = _matches_otherwise(rule, fed_as(suspect, asked.convention), asked, batch_size)
        if asked.problem:
            return _not_understood(asked, limit, source, confidence)
    return Verdict(
        cae_accuracy=metrics.cae_accuracy(found.labels, found.keys),
        matches=found.matches,
        queries=len(found.keys),
        threshold=limit,
        threshold_source=source,
        interval=found.interval,
        confidence=confidence,
        asked=asked,
        decision=found.decision,
        reason=found.reason + _unchecked(found.decision, asked),
        models=found.models,
        null_keys=check_null_keys(found.labels, found.keys, seed=identity(fingerprint)),
    )


def make_rule(
    fingerprint: Fingerprint,
    threshold: float | None = None,
    confidence: float = 0.95,
    alpha: float | None = None,
    max_queries: int | None = None,
) -> Rule:
    """Return how a suspect is asked and judged; arguments and errors as in `verify`."""
    if max_queries is not None and max_queries < 1:
        raise VerificationError(f"Expected max_queries > 0. Received: {max_queries}.")
    most = min(len(fingerprint), max_queries or len(fingerprint))
    if alpha is None:
        return FixedNumber(fingerprint, most, _threshold(fingerprint, threshold)[0], confidence)
    return Sequential(fingerprint, most, alpha)


def _ask_controls(
    fingerprint: Fingerprint, suspect: Suspect, controls: int | None, batch_size: int
) -> Asked:
    images, labels = fingerprint.controls, fingerprint.control_labels
    if images is None or labels is None or controls == 0:
        return NOT_ASKED
    images, labels = images[:controls], labels[:controls]
    return check_asked(suspect, images, labels, fingerprint.classes, batch_size)


def _matches_otherwise(rule: Rule, fed: Suspect, asked: Asked, batch_size: int) -> Asked:
    """Return `asked`, with a problem if the suspect matches as it is fed now."""
    try:
        found = rule(fed, batch_size)
    except NoAnswer:
        raise
    except SuspectError:
        return dataclasses.replace(asked, queries=asked.queries + rule.most)
    queries = len(found.keys)
    asked = dataclasses.replace(asked, queries=asked.queries + queries)
    if found.decision is not Decision.MATCH:
        return asked
    return dataclasses.replace(
        asked,
        problem="it does not match as it is asked, but is right on more ordinary images if it is "
        f"fed otherwise, and then {found.matches} of {queries} answers are the key's",
        advice=f"add {asked.convention} if it wants that",
    )


def _not_understood(asked: Asked, limit: float, source: str, confidence: float) -> Verdict:
    """The verdict on a suspect whose answers mean nothing."""
    return Verdict(
        cae_accuracy=None,
        matches=0,
        queries=0,
        threshold=limit,
        threshold_source=source,
        interval=NOTHING_CLAIMED,
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
