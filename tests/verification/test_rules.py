"""Whom a verdict is about: models. The fixed number, the sequential test, and what both need."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cemfp.verification import Decision, VerificationError, calibrate, verify
from cemfp.verification.rules import asking_order
from tests.verification.stand_ins import Model, make_fingerprint

COUNT = 60


@pytest.fixture(scope="module")
def calibrated():
    """Surrogates answer 50 to 58 of 60, references 4 to 12."""
    surrogates = [Model(right) for right in (50, 53, 55, 58)]
    references = [Model(right, "reference") for right in (4, 6, 9, 12)]
    return calibrate(make_fingerprint(COUNT), surrogates, references)


class Counted(Model):
    """A model that keeps which inputs it was asked, in order."""

    def __init__(self, right):
        super().__init__(right)
        self.asked = []

    def __call__(self, images):
        self.asked += np.rint(images[:, 0, 0, 0] * 255).astype(int).tolist()
        return super().__call__(images)


def test_a_copy_ranks_above_all_references(calibrated):
    verdict = verify(calibrated, Model(54))
    models = verdict.models
    assert verdict.decision is Decision.MATCH and models.rule == "rank"
    # One of 4 + 1: no smaller p-value with four references.
    assert models.p_value == models.smallest_rate == 0.2
    # None of four accused: 1 - 0.05^(1/4) = 0.527.
    assert models.bound_without_alarms == pytest.approx(0.527, abs=5e-4)
    assert models.statistic > 0 and models.beta_binomial_p_value < 1e-3
    assert (models.surrogates, models.references, models.alpha) == (4, 4, None)
    assert str(models) == (
        "p = 0.2 over 4 independent models (rank); m = 4 supports a false-alarm rate of at least "
        "20.0%, and with no false alarm among 4 it is below 52.7% (95 %)."
    )
    assert verdict.about_models == str(models)


def test_an_independent_model_ranks_among_them(calibrated):
    models = verify(calibrated, Model(6)).models
    # 6, 9 and 12 of the references hit at least as many inputs, and it itself: 4 of 5.
    assert models.p_value == 0.8 and models.statistic < 0
    assert models.beta_binomial_p_value > 0.3


def test_null_keys_go_with_the_verdict(calibrated):
    found = verify(calibrated, Model(54)).null_keys
    # Three labels, twenty times each: a key in another order is matched by chance, on a third.
    assert found.draws == 999 and found.p_value == 0.001
    assert found.mean_matches == pytest.approx(20, abs=0.5)


def test_a_copy_needs_few_queries(calibrated):
    suspect = Counted(54)
    verdict = verify(calibrated, suspect, alpha=0.05)
    assert verdict.decision is Decision.MATCH and verdict.queries < 20
    assert suspect.asked == asking_order(calibrated)[: verdict.queries].tolist()
    models = verdict.models
    assert models.rule == "e-process" and models.alpha == 0.05
    # It stops at E >= 1/alpha = 20, so that p = 1/E <= 0.05.
    assert models.statistic >= np.log(20) and models.p_value == pytest.approx(
        np.exp(-models.statistic)
    )
    assert verdict.interval == (0.0, 1.0)  # of a number that the answers chose nothing is claimed
    assert "1/alpha = 20" in verdict.reason and "m = 4 references" in verdict.reason
    assert "\n" not in verdict.reason and models.beta_binomial_p_value is None
    assert "(e-process); without that assumption m = 4 supports" in str(models)


def test_an_independent_model_is_cleared_in_few_queries(calibrated):
    verdict = verify(calibrated, Model(5), alpha=0.05)
    assert verdict.decision is Decision.NO_MATCH and verdict.queries < 20
    assert verdict.models.statistic <= -np.log(20) and "at most alpha = 0.05" in verdict.reason


def test_too_few_queries_are_inconclusive(calibrated):
    verdict = verify(calibrated, Model(54), alpha=0.001, max_queries=2)
    assert verdict.decision is Decision.INCONCLUSIVE and verdict.queries == 2
    assert "between alpha = 0.001 and 1/alpha = 1000" in verdict.reason
    assert 0 < verdict.models.p_value <= 1


def test_max_queries_takes_the_first_of_the_order(calibrated):
    suspect = Counted(54)
    verdict = verify(calibrated, suspect, max_queries=25)
    assert suspect.asked == sorted(asking_order(calibrated)[:25]) and verdict.queries == 25
    assert verdict.models.p_value == 0.2
    assert verify(calibrated, Model(54), max_queries=500).queries == COUNT


def test_the_order_is_the_fingerprints(calibrated):
    order = asking_order(calibrated)
    assert sorted(order) == list(range(COUNT)) and order.tolist() != list(range(COUNT))
    np.testing.assert_array_equal(order, asking_order(make_fingerprint(COUNT)))
    other = dataclasses.replace(make_fingerprint(COUNT), keys=(np.arange(COUNT) + 1) % 3)
    assert asking_order(other).tolist() != order.tolist()


def test_the_same_answers_give_the_same_verdict(calibrated):
    for options in ({}, {"alpha": 0.05}, {"max_queries": 30}):
        first, second = (verify(calibrated, Model(54), **options).to_dict() for _ in range(2))
        assert json.dumps(first) == json.dumps(second)


def test_files_of_earlier_versions_are_judged_as_before(calibrated):
    old = dataclasses.replace(calibrated, surrogate_hits=None, reference_hits=None)
    verdict, now = verify(old, Model(54)), verify(calibrated, Model(54))
    assert verdict.models is None and "cemfp calibrate now stores" in verdict.about_models
    assert (verdict.decision, verdict.reason) == (now.decision, now.reason)
    assert verdict.to_dict()["models"] is None
    with pytest.raises(VerificationError, match="calibrate it again"):
        verify(old, Model(54), alpha=0.05)


def test_a_sequential_test_needs_models_that_differ():
    one = calibrate(make_fingerprint(10), [Model(9)], [Model(2, "reference")])
    assert verify(one, Model(9)).models.p_value == 0.5
    with pytest.raises(VerificationError, match=r"at least 2 .* Received: 1 surrogates, 1 ref"):
        verify(one, Model(9), alpha=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, r"alpha in \(0, 0.5\)"),
        ({"alpha": 0.5}, r"alpha in \(0, 0.5\)"),
        ({"alpha": float("nan")}, r"alpha in \(0, 0.5\)"),
        ({"max_queries": 0}, "max_queries > 0"),
    ],
)
def test_options_out_of_range(calibrated, options, message):
    with pytest.raises(VerificationError, match=message):
        verify(calibrated, Model(54), **options)


def test_a_verdict_needs_no_tensorflow():
    code = (
        "import sys; from tests.verification.stand_ins import Model, make_fingerprint as make; "
        "from cemfp.verification import calibrate, verify; "
        "known = [Model(1, 'reference'), Model(2, 'reference')]; "
        "f = calibrate(make(9), [Model(8), Model(9)], known); "
        "verify(f, Model(9)); verify(f, Model(9), alpha=0.1); sys.exit('tensorflow' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
