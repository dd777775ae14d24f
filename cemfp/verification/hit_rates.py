"""How often known models answer each input's key, and the log-likelihood ratio that follows.

A *hit* is an answer that is the key. Rates are posterior means: few models say little about one
input, so each input borrows from the others through a prior that is learned over the inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
# Of a fitted beta distribution: between "all alike" and "each its own", as far as hits can tell.
_LEAST_WEIGHT, _FIRST_WEIGHT, _MOST_WEIGHT = 0.1, 10.0, 1e4
# Of the beta distributions that a prior over inputs is made of: from each input its own, to all
# alike as far as a hundred models could tell.
_MEANS, _WEIGHTS = np.linspace(0.025, 0.975, 20), np.geomspace(0.5, 100, 12)


class Beta(NamedTuple):
    """A beta distribution of rates, or an array of them: `a` hits and `b` misses beforehand."""

    a: float | Floats
    b: float | Floats


def fit_beta_binomial(hits: ArrayLike, trials: int) -> Beta:
    """Fit a beta-binomial distribution to counts, by maximum likelihood.

    The mean is kept half a count away from 0 and 1, and the weight a + b within bounds: where all
    counts are 0, or vary less than binomial ones, the likelihood has no maximum inside.

    Args:
        hits: Counts (N,), each of `trials`.
        trials: Of each count, > 0.

    Raises:
        ValueError: There is no count, or one is not within 0 and `trials`.
    """
    import scipy.optimize

    counts = np.asarray(hits, np.int64)
    if counts.ndim != 1 or not len(counts) or counts.min() < 0 or counts.max() > trials:
        raise ValueError(f"Expected counts (N,), N > 0, from 0 to {trials}. Received: {hits!r}.")
    values, times = np.unique(counts, return_counts=True)
    margin = 0.5 / (len(counts) * trials + 1)

    def beta(point: Floats) -> Beta:
        mean, weight = 1 / (1 + np.exp(-point[0])), np.exp(point[1])
        return Beta(float(mean * weight), float((1 - mean) * weight))

    def loss(point: Floats) -> float:
        return -float(np.sum(times * beta_binomial_log_mass(values, trials, beta(point))))

    def logit(rate: float) -> float:
        return float(np.log(rate / (1 - rate)))

    start = logit(float(np.clip(counts.mean() / trials, margin, 1 - margin)))
    bounds = [(logit(margin), logit(1 - margin)), (np.log(_LEAST_WEIGHT), np.log(_MOST_WEIGHT))]
    # Two numbers need no gradient, and no linear algebra whose threads wait for each other.
    found = scipy.optimize.minimize(
        loss, (start, np.log(_FIRST_WEIGHT)), bounds=bounds, method="Nelder-Mead", tol=1e-6
    )
    return beta(found.x)


def beta_binomial_log_mass(hits: ArrayLike, trials: int, beta: Beta) -> Floats:
    """Log probability of each count of `trials`, if the rate is drawn from `beta`.

    Args:
        hits: Counts, of a shape that goes with those of `beta`.
        trials: Of each count.
        beta: How rates are distributed.
    """
    from scipy.special import betaln, gammaln

    counts = np.asarray(hits, np.float64)
    choose = gammaln(trials + 1) - gammaln(counts + 1) - gammaln(trials - counts + 1)
    seen = betaln(counts + beta.a, trials - counts + beta.b)
    return choose + seen - betaln(beta.a, beta.b)


class Prior(NamedTuple):
    """How rates differ from input to input: a mixture of beta distributions.

    Attributes:
        a, b: Of each distribution (H,).
        weights: Of each (H,), sums to 1.
    """

    a: Floats
    b: Floats
    weights: Floats

    def posterior_mean(self, hits: ArrayLike, models: int) -> Floats:
        """Mean of each input's rate once it is known how many of `models` answered the key.

        Args:
            hits: How many did, any shape.
            models: How many there are; 0 gives the prior's mean.

        Returns:
            Rates in (0, 1), of the same shape.
        """
        array = np.asarray(hits)
        counts, places = np.unique(array, return_inverse=True)  # few differ
        means = (counts[:, None] + self.a) / (models + self.a + self.b)
        return np.sum(self.weights * means, axis=1)[places].reshape(array.shape)


def prior_over_inputs(hits: ArrayLike) -> Prior:
    """Learn how rates differ from input to input, from hits (models, n).

    Means and weights of the beta distribution are not estimated but weighed by how likely they make
    the hits: with few models many fit, and a single one would claim to know rates that it does not.
    It does not depend on the order of the models: leaving one out of the counts, but not of the
    prior, treats all of them alike.
    """
    array = np.asarray(hits)
    counts, times = np.unique(array.sum(axis=0), return_counts=True)
    means, sizes = (grid.ravel() for grid in np.meshgrid(_MEANS, _WEIGHTS))
    a, b = means * sizes, (1 - means) * sizes
    likely = beta_binomial_log_mass(counts[:, None], len(array), Beta(a, b))
    evidence = np.sum(times[:, None] * likely, axis=0)
    weights = np.exp(evidence - evidence.max())
    return Prior(a, b, weights / weights.sum())


def rates(hits: ArrayLike) -> Floats:
    """Rate of each input (n,), from the hits (models, n) of known models."""
    array = np.asarray(hits)
    return prior_over_inputs(array).posterior_mean(array.sum(axis=0), len(array))


def rates_without_each(hits: ArrayLike) -> Floats:
    """Rates (models, n): line j from all models but j, so that j is no judge of its own case."""
    array = np.asarray(hits, np.int64)
    prior = prior_over_inputs(array)
    return prior.posterior_mean(array.sum(axis=0) - array, len(array) - 1)


def log_likelihood_ratio(
    hits: ArrayLike, surrogate_rates: Floats, reference_rates: Floats
) -> Floats:
    """Evidence that hits are a surrogate's: sum over inputs of log p(hit) - log q(hit).

    Args:
        hits: Of one model (n,) or several (models, n), 0 or 1.
        surrogate_rates: p of each input, (n,) or (models, n), in (0, 1).
        reference_rates: q, the same.

    Returns:
        One number for each model, in nats; positive speaks for a surrogate.
    """
    array = np.asarray(hits, np.float64)
    hit = np.log(surrogate_rates) - np.log(reference_rates)
    miss = np.log1p(-surrogate_rates) - np.log1p(-reference_rates)
    return np.sum(array * hit + (1 - array) * miss, axis=-1)
