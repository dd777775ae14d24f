"""Scores and intervals against values worked by hand."""

import numpy as np
import pytest

from cemfp.numerics import metrics


def test_cae_accuracy_by_hand():
    assert metrics.cae_accuracy([1, 2, 3, 4], [1, 2, 0, 4]) == 0.75


@pytest.mark.parametrize(("predictions", "key"), [([], []), ([1], [1, 1]), ([[1]], [[1]])])
def test_cae_accuracy_refuses_shapes(predictions, key):
    with pytest.raises(ValueError, match="Expected predictions and key"):
        metrics.cae_accuracy(predictions, key)


# Three surrogates, two references, four inputs with targets 0 1 2 3.
TARGET = [0, 1, 2, 3]
SURROGATES = [[0, 1, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
REFERENCES = [[0, 0, 0, 3], [1, 0, 0, 3]]


def test_transfer_by_hand():
    np.testing.assert_allclose(metrics.transfer(SURROGATES, TARGET), [1, 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(metrics.transfer(REFERENCES, TARGET), [1 / 2, 0, 0, 1])


def test_confer_by_hand():
    # [1 * 1/2, 2/3 * 1, 1/3 * 1, 0 * 0]
    np.testing.assert_allclose(
        metrics.confer(SURROGATES, REFERENCES, TARGET), [1 / 2, 2 / 3, 1 / 3, 0]
    )


@pytest.mark.parametrize("predictions", [[0, 1], np.zeros((0, 4)), [[0, 1]]])
def test_transfer_refuses_shapes(predictions):
    with pytest.raises(ValueError, match="Expected predictions"):
        metrics.transfer(predictions, TARGET)


def test_uniqueness_is_signed():
    assert metrics.uniqueness(0.25, 0.75) == -0.5


def test_summary_by_hand():
    # Mean 3; squared deviations 4 + 1 + 9 = 14, over n - 1 = 2 gives a variance of 7.
    result = metrics.summary([1, 2, 6])
    assert result == {"n": 3, "mean": 3.0, "std": pytest.approx(7**0.5), "min": 1.0, "max": 6.0}


def test_summary_of_one_value_knows_no_spread():
    assert metrics.summary([0.5])["std"] is None


@pytest.mark.parametrize("values", [[], [np.nan], [[1.0]]])
def test_summary_refuses(values):
    with pytest.raises(ValueError, match="Expected values"):
        metrics.summary(values)


def test_roc_auc_by_hand():
    # Pairs: .9 beats .8, .1; .8 ties .8, beats .1; .05 loses twice: (2 + 1.5 + 0) / 6.
    assert metrics.roc_auc([0.9, 0.8, 0.05], [0.8, 0.1]) == pytest.approx(3.5 / 6)


def test_roc_auc_direction():
    assert metrics.roc_auc([0.9, 1.0], [0.1, 0.2]) == 1.0
    assert metrics.roc_auc([0.1, 0.2], [0.9, 1.0]) == 0.0


def test_roc_curve_by_hand():
    curve = metrics.roc_curve([0.9, 0.3], [0.5])
    np.testing.assert_allclose(curve.true_positive_rate, [0, 0.5, 0.5, 1])
    np.testing.assert_allclose(curve.false_positive_rate, [0, 0, 1, 1])
    np.testing.assert_allclose(curve.thresholds, [np.inf, 0.9, 0.5, 0.3])


def test_bootstrap_degenerates_when_the_scores_separate():
    assert metrics.roc_auc_interval([0.9, 1.0], [0.1, 0.2], seed=0) == (1.0, 1.0)


def test_bootstrap_against_its_exact_distribution():
    # One reference at 0.5, surrogates 0.9 and 0.1: a resample draws the winner 0, 1 or 2 times
    # with chance 1/4, 1/2, 1/4, so the 40 % interval (30th to 70th percentile) is [.5, .5] and
    # the 60 % one (20th to 80th) is [0, 1].
    arguments = ([0.9, 0.1], [0.5])
    assert metrics.roc_auc_interval(*arguments, 0.4, seed=1) == (0.5, 0.5)
    assert metrics.roc_auc_interval(*arguments, 0.6, seed=1) == (0.0, 1.0)


def test_bootstrap_counts_ties_half():
    assert metrics.roc_auc_interval([0.5], [0.5, 0.5], seed=0) == (0.5, 0.5)


def test_bootstrap_resamples_both_groups_and_repeats_with_its_seed():
    surrogates, references = [0.9, 0.6, 0.5], [0.55, 0.2, 0.7]
    first = metrics.roc_auc_interval(surrogates, references, seed=3)
    assert first == metrics.roc_auc_interval(surrogates, references, seed=3)
    assert first.low < metrics.roc_auc(surrogates, references) < first.high
    # Swapping the groups mirrors the AUC.
    mirrored = metrics.roc_auc_interval(references, surrogates, seed=3)
    assert mirrored.low == pytest.approx(1 - first.high, abs=0.05)


@pytest.mark.parametrize(("count", "bound"), [(1, 0.05), (5, 0.05**0.2), (10, 0.05**0.1)])
def test_lower_bound_of_separated_scores(count, bound):
    # All m pairs won: the p with p^m = 0.05.
    scores = np.linspace(0.6, 0.9, count)
    assert metrics.roc_auc_lower_bound(scores, scores - 0.5) == pytest.approx(bound)


def test_lower_bound_counts_ties_as_lost_and_never_exceeds_the_auc():
    assert metrics.roc_auc_lower_bound([0.5, 0.5], [0.5, 0.5]) == 0.0


def test_lower_bound_covers_the_true_auc():
    # Scores U(0,1) + 0.2 against U(0,1): AUC = 1 - 0.8^2 / 2 = 0.68.
    rng = np.random.default_rng(0)
    held = [
        metrics.roc_auc_lower_bound(rng.random(6) + 0.2, rng.random(8)) <= 0.68 for _ in range(400)
    ]
    assert np.mean(held) >= 0.93


def test_clopper_pearson_by_hand():
    # All of n: the lower end solves p^n = 0.025. None of n: 1 minus that.
    assert metrics.clopper_pearson(10, 10) == (pytest.approx(0.025**0.1), 1.0)
    assert metrics.clopper_pearson(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    # One of two at 50 %: p^2 = 1/4 above, (1 - p)^2 = 1/4 below.
    assert metrics.clopper_pearson(1, 2, 0.5) == (
        pytest.approx(1 - 0.75**0.5),
        pytest.approx(0.75**0.5),
    )


@pytest.mark.parametrize("counts", [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_clopper_pearson_refuses_counts(counts):
    with pytest.raises(ValueError, match="successes"):
        metrics.clopper_pearson(*counts)


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="confidence"):
        metrics.clopper_pearson(1, 2, confidence)
    with pytest.raises(ValueError, match="confidence"):
        metrics.roc_auc_interval([1], [0], confidence, seed=0)
    with pytest.raises(ValueError, match="confidence"):
        metrics.roc_auc_lower_bound([1], [0], confidence)


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf, 0]])
def test_scores_must_be_finite_and_present(bad):
    for function in (metrics.roc_auc, metrics.roc_curve, metrics.roc_auc_lower_bound):
        with pytest.raises(ValueError, match="surrogate scores"):
            function(bad, [0.5])
        with pytest.raises(ValueError, match="reference scores"):
            function([0.5], bad)
