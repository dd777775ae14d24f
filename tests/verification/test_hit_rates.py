"""Rates and the log-likelihood ratio, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cemfp.verification.hit_rates import (
    Beta,
    Prior,
    beta_binomial_log_mass,
    fit_beta_binomial,
    log_likelihood_ratio,
    prior_over_inputs,
    rates,
    rates_without_each,
)

HITS = arrays.arrays(
    np.uint8, st.tuples(st.integers(2, 6), st.integers(1, 12)), elements=st.integers(0, 1)
)


def test_beta_binomial_mass_by_hand():
    # Beta(1, 1) makes every count of 3 equally likely: 1/4. Beta(1, 2), one trial: hit 1/3.
    assert np.exp(beta_binomial_log_mass([0, 1, 2, 3], 3, Beta(1, 1))) == pytest.approx([0.25] * 4)
    assert np.exp(beta_binomial_log_mass([0, 1], 1, Beta(1, 2))) == pytest.approx([2 / 3, 1 / 3])


def test_posterior_means_by_hand():
    # Beta(1, 2): (2 + 1) / (4 + 1 + 2) = 3/7; without models the prior's mean, 1/3.
    one = Prior(np.array([1.0]), np.array([2.0]), np.array([1.0]))
    assert one.posterior_mean([2, 0], 4) == pytest.approx([3 / 7, 1 / 7])
    assert one.posterior_mean(0, 0) == pytest.approx(1 / 3)
    # Half Beta(1, 2), half Beta(3, 1): (3/7 + 5/8) / 2.
    two = Prior(np.array([1.0, 3.0]), np.array([2.0, 1.0]), np.array([0.5, 0.5]))
    assert two.posterior_mean(2, 4) == pytest.approx((3 / 7 + 5 / 8) / 2)


def test_the_prior_learns_whether_inputs_differ():
    """Ten models: inputs that all or none answer stay apart, inputs alike share one rate."""
    rng = np.random.default_rng(0)
    apart = rates(np.tile([1] * 10 + [0] * 10, (10, 1)))
    assert apart[:10].min() > 0.9 and apart[10:].max() < 0.1
    alike = rates(rng.random((10, 60)) < 0.5)
    assert alike.max() - alike.min() < 0.25  # of shares that reach from 0.1 to 0.9


def test_log_likelihood_ratio_by_hand():
    # A hit where 3/4 of surrogates and 1/4 of references hit: log 3. A miss there: -log 3.
    p, q = np.array([0.75, 0.75, 0.5]), np.array([0.25, 0.25, 0.5])
    assert log_likelihood_ratio([1, 1, 0], p, q) == pytest.approx(2 * math.log(3))
    assert log_likelihood_ratio([[1, 0, 1], [0, 0, 1]], p, q) == pytest.approx(
        [0, -2 * math.log(3)]
    )


def test_the_fit_finds_what_the_counts_were_drawn_from():
    """4,000 counts of 20 with rates from Beta(2, 6): mean 1/4, weight 8."""
    rng = np.random.default_rng(0)
    found = fit_beta_binomial(rng.binomial(20, rng.beta(2, 6, 4_000)), 20)
    assert found.a / sum(found) == pytest.approx(0.25, abs=0.01)
    assert sum(found) == pytest.approx(8, rel=0.1)


def test_the_fit_at_the_edge():
    """No hit at all: the mean stays half a hit in all of the trials above 0, 0.5 / (2 * 10 + 1)."""
    never = fit_beta_binomial([0, 0], 10)
    assert never.a / sum(never) == pytest.approx(0.5 / 21, rel=1e-3)
    alike = fit_beta_binomial([5] * 50, 10)  # less spread than binomial counts have
    assert sum(alike) > 1e3 and alike.a == pytest.approx(alike.b, rel=1e-3)


@pytest.mark.parametrize("counts", [[], [[1]], [-1], [3]])
def test_counts_that_are_none(counts):
    with pytest.raises(ValueError, match=r"from 0 to 2\. Received"):
        fit_beta_binomial(counts, 2)


@settings(max_examples=20, deadline=None)
@given(HITS)
def test_rates_are_rates_and_treat_models_alike(hits):
    assert np.all((rates(hits) > 0) & (rates(hits) < 1))
    without = rates_without_each(hits)
    assert without.shape == hits.shape and np.all((without > 0) & (without < 1))
    np.testing.assert_allclose(rates_without_each(hits[::-1])[::-1], without, rtol=1e-9)
    # A model's own rates do not depend on its answers but through the common prior.
    prior = prior_over_inputs(hits)
    np.testing.assert_allclose(
        without[0], prior.posterior_mean(hits[1:].sum(axis=0), len(hits) - 1)
    )
