"""How often known models answer each input's key, and the log-likelihood ratio that follows.

A *hit* is an answer that is the key. Rates are posterior means: few models say little about one
input, so each input borrows from the others through a beta prior that is fitted over the inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
# Of a fitted beta distribution: between "all alike" and "each its own", as far as hits can tell.
_LEAST_WEIGHT, _FIRST_WEIGHT, _MOST_WEIGHT = 0.1, 10.0, 1e4


class Beta(NamedTuple):
    """A beta distribution of rates: `a` and `b` as hits and misses seen beforehand."""

    a: float
    b: float


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
    """Log probability of each count (N,) of `trials`, if the rate is drawn from `beta`."""
    from scipy.special import betaln, gammaln

    counts = np.asarray(hits, np.float64)
    choose = gammaln(trials + 1) - gammaln(counts + 1) - gammaln(trials - counts + 1)
    seen = betaln(counts + beta.a, trials - counts + beta.b)
    return choose + seen - betaln(beta.a, beta.b)


def smoothed(hits: ArrayLike, models: int, prior: Beta) -> Floats:
    """Posterior mean of each input's rate, (hits + a) / (models + a + b), in (0, 1).

    Args:
        hits: How many models answered the key, any shape.
        models: How many there are; 0 gives the prior's mean.
        prior: From `prior_over_inputs`.
    """
    return (np.asarray(hits, np.float64) + prior.a) / (models + prior.a + prior.b)


def prior_over_inputs(hits: ArrayLike) -> Beta:
    """Fit how rates differ from input to input, from hits (models, n).

    It does not depend on the order of the models: leaving one out of the counts, but not of the
    prior, treats all of them alike.
    """
    array = np.asarray(hits)
    return fit_beta_binomial(array.sum(axis=0), len(array))


def rates(hits: ArrayLike) -> Floats:
    """Rate of each input (n,), from the hits (models, n) of known models."""
    array = np.asarray(hits)
    return smoothed(array.sum(axis=0), len(array), prior_over_inputs(array))


def rates_without_each(hits: ArrayLike) -> Floats:
    """Rates (models, n): line j from all models but j, so that j is no judge of its own case."""
    array = np.asarray(hits, np.int64)
    return smoothed(array.sum(axis=0) - array, len(array) - 1, prior_over_inputs(array))


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
