"""The sequential test: its bets by hand, and its error rates over models that differ."""

import itertools

import numpy as np
import pytest

from cemfp.verification.sequential import (
    SKILLS,
    Population,
    fit_population,
    log_wealth,
    stopping_time,
)

ALPHA = 0.05


def alike(rates):
    """A group whose models all have skill 0."""
    return Population(np.array(rates), (SKILLS == 0).astype(float))


def test_wealth_by_hand():
    # Skill 0: two hits where 3/4 against 1/4 hit triple E each, then a miss: 1/4 against 3/4.
    surrogates, references = alike([0.75, 0.75, 0.75]), alike([0.25, 0.25, 0.25])
    path = log_wealth([1, 1, 0], [2, 0, 1], surrogates, references)
    assert np.exp(path) == pytest.approx([1, 3, 9, 3])


def test_a_mixture_of_skills_by_hand():
    # Rate 1/2, skills -log 3 and log 3 are not on the grid; -1 and 1 are: s = 1/(1 + e) and 1 - s.
    weights = np.where(np.abs(SKILLS) == 1, 0.5, 0.0)
    mixed = Population(np.array([0.5, 0.5]), weights)
    s = 1 / (1 + np.e)
    both = (s**2 + (1 - s) ** 2) / 2  # of two hits: more than 1/4, since skill is shared
    assert np.exp(mixed.log_likelihoods([1, 1], [0, 1])) == pytest.approx([1, 0.5, both])
    assert both > 0.25


def test_stopping_by_hand():
    # 1/alpha = 20: log 20 = 2.996.
    assert stopping_time([0, 1, 2.9, 3.0, 0], ALPHA) == 3
    assert stopping_time([0, -3.0, 4], ALPHA) == 1
    assert stopping_time([0, 2.9, -2.9], ALPHA) is None


def test_the_bound_holds_exactly_for_the_fitted_population():
    """All 256 sequences of eight answers: E has mean 1, and reaches 1/alpha at most with alpha."""
    rng = np.random.default_rng(0)
    surrogates = fit_population(rng.random((3, 8)) < 0.7)
    references = fit_population(rng.random((4, 8)) < 0.3)
    order = rng.permutation(8)
    chance, wealth, reached = 0.0, 0.0, 0.0
    for hits in itertools.product([0, 1], repeat=8):
        under_null = np.exp(references.log_likelihoods(hits, order)[-1])
        path = np.exp(log_wealth(hits, order, surrogates, references))
        chance += under_null
        wealth += under_null * path[-1]
        reached += under_null * (path.max() >= 5)
    assert chance == pytest.approx(1) and wealth == pytest.approx(1)
    assert 0 < reached <= 1 / 5


def test_more_models_that_agree_are_thought_to_differ_less():
    hits = np.tile([1, 0, 0, 1, 0] * 6, (12, 1))
    few, many = (fit_population(hits[:n]).weights @ SKILLS**2 for n in (2, 12))
    assert many < few
    unlike = np.array([[1] * 30, [0] * 30] * 6)
    assert fit_population(unlike).weights @ SKILLS**2 > 4


def test_one_model_says_nothing_of_how_models_differ():
    with pytest.raises(ValueError, match=r"at least 2 models\. Received: 1"):
        fit_population(np.ones((1, 5)))


def sample(rng, rate, spread, count):
    """Hits of `count` models whose skills have a standard deviation of `spread`."""
    skill = rng.normal(0, spread, (count, 1))
    return (
        rng.random((count, len(rate))) < 1 / (1 + np.exp(-np.log(rate / (1 - rate)) - skill))
    ).astype(int)


def rates_of_errors(spread, alpha, worlds=40, suspects=40, models=10, count=60):
    """Shares of independent models accused: by the test, and by one for which all are alike.

    Then the share of surrogates caught, and of those acquitted. Each world has its own inputs and
    calibration models.
    """
    rng, order = np.random.default_rng(0), np.arange(count)
    alarms, naive, ends = [], [], []
    for _ in range(worlds):
        base, copied = rng.beta(1, 3, count), rng.beta(6, 1.2, count)
        groups = [fit_population(sample(rng, r, spread, models)) for r in (copied, base)]
        plain = [alike(group.rates) for group in groups]
        for hits in sample(rng, base, spread, suspects):
            alarms.append(end(log_wealth(hits, order, *groups), alpha) == 1)
            naive.append(end(log_wealth(hits, order, *plain), alpha) == 1)
        for hits in sample(rng, copied, spread, 5):
            ends.append(end(log_wealth(hits, order, *groups), alpha))
    caught, missed = (np.mean(np.array(ends) == sign) for sign in (1, -1))
    return np.mean(alarms), np.mean(naive), caught, missed


def end(path, alpha):
    """1 for a match, -1 for none, 0 for neither."""
    stop = stopping_time(path, alpha)
    return 0 if stop is None else int(np.sign(path[stop]))


def test_error_rates_over_models_that_differ():
    """1,600 independent models: a test that takes them for alike accuses over three times alpha."""
    alarms, naive, caught, missed = rates_of_errors(spread=1.0, alpha=0.01)
    assert alarms <= 0.01 and missed <= 0.01
    assert naive > 0.03 and caught > 0.7


def test_error_rates_over_models_that_are_alike():
    alarms, naive, caught, missed = rates_of_errors(spread=0.0, alpha=0.05)
    assert alarms <= 0.05 and missed <= 0.05
    assert naive <= 0.05 and caught > 0.9
