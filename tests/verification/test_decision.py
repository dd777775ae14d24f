"""Verdicts: the threshold's source, the interval, the three decisions, and their reasons."""

import json

import numpy as np
import pytest

from cemfp.numerics.metrics import Interval
from cemfp.suspects import SuspectError
from cemfp.verification import Decision, VerificationError, calibrate, decide, verify
from tests.verification.stand_ins import Model, make_fingerprint


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [
        (0.6, 0.9, Decision.MATCH),
        (0.1, 0.4, Decision.NO_MATCH),
        (0.4, 0.6, Decision.INCONCLUSIVE),
        (0.5, 0.6, Decision.INCONCLUSIVE),
        (0.4, 0.5, Decision.INCONCLUSIVE),
    ],
)
def test_decision_by_hand(low, high, decision):
    assert decide(Interval(low, high), 0.5) is decision


@pytest.mark.parametrize(
    ("right", "decision"), [(100, "match"), (0, "no match"), (72, "inconclusive")]
)
def test_verdicts(right, decision):
    verdict = verify(make_fingerprint(100), Model(right), threshold=0.7)
    assert verdict.decision == decision
    assert (verdict.matches, verdict.queries) == (right, 100)
    assert verdict.cae_accuracy == right / 100
    assert (verdict.threshold, verdict.threshold_source) == (0.7, "given")
    assert f"{right} of 100 answers" in verdict.reason
    assert "interval over queries" in verdict.reason and "\n" not in verdict.reason


def test_interval_is_clopper_pearson():
    verdict = verify(make_fingerprint(10), Model(10), threshold=0.5)
    assert verdict.interval == (pytest.approx(0.025**0.1), 1.0)
    narrower = verify(make_fingerprint(10), Model(10), threshold=0.5, confidence=0.5)
    assert narrower.interval.low == pytest.approx(0.25**0.1)


def test_few_queries_say_what_they_cannot_show():
    # Five of five: the lower end is 0.025^(1/5) = 0.478 < 0.7. None of five: upper end 0.522.
    verdict = verify(make_fingerprint(5), Model(5), threshold=0.7)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert "5 queries are too few to show a match, use more" in verdict.reason
    verdict = verify(make_fingerprint(5), Model(5), threshold=0.5)
    assert "too few to show a match or no match" in verdict.reason
    verdict = verify(make_fingerprint(100), Model(72), threshold=0.7)
    assert "too few" not in verdict.reason


def test_threshold_comes_from_the_calibration_unless_given():
    fingerprint = calibrate(make_fingerprint(100), [Model(90)], [Model(30, "reference")])
    verdict = verify(fingerprint, Model(95))
    assert (verdict.threshold, verdict.threshold_source) == (pytest.approx(0.6), "calibration")
    assert verdict.decision is Decision.MATCH
    assert verify(fingerprint, Model(95), threshold=0.95).threshold == 0.95


def test_without_threshold_there_is_no_verdict_and_no_query():
    def suspect(images):
        raise AssertionError("asked before the threshold was known")

    with pytest.raises(VerificationError, match="cemfp calibrate"):
        verify(make_fingerprint(), suspect)


@pytest.mark.parametrize("threshold", [0, 1, -1, 70, float("nan")])
def test_threshold_range(threshold):
    with pytest.raises(VerificationError, match="threshold in"):
        verify(make_fingerprint(), Model(3), threshold=threshold)


def test_confidence_range():
    with pytest.raises(ValueError, match="confidence"):
        verify(make_fingerprint(), Model(3), threshold=0.5, confidence=95)


def test_a_misfit_is_found_before_any_query():
    class Misfit(Model):
        input_shape = (32, 32, 3)

        def __call__(self, images):
            raise AssertionError("asked although it does not fit")

    with pytest.raises(SuspectError, match="inputs of shape"):
        verify(make_fingerprint(), Misfit(3), threshold=0.5)


def test_a_broken_suspect_is_an_error_not_a_verdict():
    with pytest.raises(SuspectError, match="NaN"):
        verify(make_fingerprint(), lambda x: np.full((len(x), 3), np.nan), threshold=0.5)


def test_verdict_is_json():
    verdict = verify(make_fingerprint(100), Model(100), threshold=0.5)
    fields = json.loads(json.dumps(verdict.to_dict()))
    assert fields["decision"] == "match" and fields["interval"][1] == 1.0
    assert fields["matches"] == 100
