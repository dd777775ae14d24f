"""P-values over models: by hand, exchangeable for any answers, and uniform where they should be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cemfp.verification.hit_rates import Beta
from cemfp.verification.null_models import (
    beta_binomial_p_value,
    bound_without_alarms,
    rank_p_value,
    references_needed,
    scores_among,
    smallest_rate,
)


def test_rank_by_hand():
    # 2 of 4 references score at least 3, and the suspect itself: 3/5.
    assert rank_p_value([1, 3, 5, 2], 3) == 3 / 5
    assert rank_p_value([1, 2], 9) == 1 / 3  # no smaller with two references
    assert rank_p_value([0.1 + 0.2], 0.3) == 1.0  # a tie but for rounding


def test_rates_that_references_support():
    assert smallest_rate(4) == 0.2 and smallest_rate(19) == pytest.approx(0.05)
    # 1 - 0.05^(1/m)
    bounds = [round(100 * bound_without_alarms(m), 1) for m in (18, 59, 299)]
    assert bounds == [15.3, 5.0, 1.0] and bound_without_alarms(0) == 1.0
    assert references_needed(0.05) == (19, 59) and references_needed(0.01) == (99, 299)
    for rate in (0.05, 0.01):
        rank, bound = references_needed(rate)
        assert smallest_rate(rank) <= rate + 1e-12 and bound_without_alarms(bound) <= rate
        assert smallest_rate(rank - 1) > rate and bound_without_alarms(bound - 1) > rate


def test_beta_binomial_tail_by_hand():
    # Beta(1, 1): the counts 0 to 3 have 1/4 each.
    assert beta_binomial_p_value(2, 3, Beta(1, 1)) == pytest.approx(0.5)
    assert beta_binomial_p_value(0, 3, Beta(2, 9)) == pytest.approx(1.0)


@settings(max_examples=20, deadline=None)
@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(2, 5), st.integers(2, 10)), elements=st.integers(0, 1)
    ),
    st.integers(0, 2**16),
)
def test_ranks_are_valid_whatever_the_answers_are(bag, seed):
    """Each of m + 1 models as the suspect, once: of the p-values at most k are at most k/(m + 1).

    Models that are exchangeable are each the suspect with the same chance, so this is
    P(p <= k/(m + 1)) <= k/(m + 1), for any distribution of their answers.
    """
    surrogates = (np.random.default_rng(seed).random((3, bag.shape[1])) < 0.8).astype(np.uint8)
    p_values, scores = [], []
    for place in range(len(bag)):
        score, others = scores_among(bag[place], surrogates, np.delete(bag, place, axis=0))
        p_values.append(rank_p_value(others, score))
        scores.append(score)
        # The same model has the same score, whoever is the suspect.
        np.testing.assert_allclose(
            np.sort([score, *others]), np.sort([scores[0], *_first(bag, surrogates)]), atol=1e-6
        )
    models = len(bag)
    for k in range(1, models + 1):
        assert np.sum(np.array(p_values) <= k / models + 1e-9) <= k


def _first(bag, surrogates):
    return scores_among(bag[0], surrogates, bag[1:])[1]


def test_p_values_of_one_more_model_of_the_population():
    """200 times four references and a fifth model: at most a fifth have p = 1/5, and some more."""
    rng, smallest = np.random.default_rng(0), 0
    for _ in range(200):
        skill = rng.normal(0, 1, (5, 1))
        rate = rng.beta(1, 3, 20)
        bag = (rng.random((5, 20)) < 1 / (1 + (1 / rate - 1) * np.exp(skill))).astype(int)
        score, others = scores_among(bag[0], (rng.random((3, 20)) < 0.8).astype(int), bag[1:])
        smallest += rank_p_value(others, score) <= 0.2
    assert smallest <= 0.2 * 200 + 3 * np.sqrt(200 * 0.2 * 0.8)
    assert smallest >= 20  # valid, and not by never being small
