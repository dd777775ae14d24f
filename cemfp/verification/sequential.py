"""A test that may stop at any answer: evidence for "surrogate" against "independent", as a bet.

Models differ: given the calibration's rates, one independent model hits more inputs than another
*on all of them*. Answers are then not independent, and a test that treats them so accuses every
innocent model with a little luck of its own. So each model has a *skill*, a shift of all its rates
on the logit scale, drawn anew for every model. Given skill g, the answers on inputs i are
independent hits with probability sigmoid(logit(rate_i) + g). The spread of the skills is not known
either; it has a prior, and what the calibration models say of it.

The wealth E after t answers is their likelihood under the mixture of surrogates over that under the
mixture of references. If the suspect is drawn from the latter, E is a martingale that begins at 1,
so that P(E ever reaches 1/alpha) <= alpha [Ville 1939], over models and answers together. Against
"surrogate", 1/E is the same. What this rests on is the form of the skills, fitted to m references.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from cemfp.verification.hit_rates import Floats, rates, rates_without_each

SKILLS = np.linspace(-6.0, 6.0, 49)
# Standard deviations of skills that are thought possible: from hardly any to the odds times 25.
SPREADS = np.geomspace(0.1, 3.2, 16)
FEWEST = 2  # models of a group: one alone says nothing of how models differ


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """A group of models as the test sees it: the rate of each input, and how skills are spread.

    Attributes:
        rates: Share of the group that answers each input's key (n,), in (0, 1).
        weights: Chance of each skill of `SKILLS` in the next model, (49,), sums to 1.
    """

    rates: Floats
    weights: Floats

    def log_likelihoods(self, hits: ArrayLike, order: ArrayLike) -> Floats:
        """Log probability of the first t answers, t = 0 ... T, for the next model of the group.

        Args:
            hits: In the order asked (T,), 0 or 1.
            order: Which inputs those are (T,).

        Returns:
            (T + 1,); the first is 0.
        """
        steps = _by_skill(np.asarray(hits), self.rates[np.asarray(order, np.int64)])
        sums = np.vstack([np.zeros(len(SKILLS)), np.cumsum(steps, axis=0)])
        return _log_mean(sums, self.weights)


def fit_population(hits: ArrayLike) -> Population:
    """Fit rates and skills to the hits (models, n) of known models.

    A model's own skill is measured against rates without it. Skills are normal around 0; their
    standard deviation has the half-Cauchy prior of scale 1 [Gelman 2006], cut to `SPREADS`. The
    next model's skill is drawn with the standard deviation's posterior: heavy tails for few models.

    Raises:
        ValueError: There are fewer than two models.
    """
    array = np.asarray(hits)
    if len(array) < FEWEST:
        raise ValueError(f"Expected at least {FEWEST} models. Received: {len(array)}.")
    own = rates_without_each(array)
    evidence = np.array([_by_skill(h, r).sum(axis=0) for h, r in zip(array, own, strict=True)])
    normal = np.exp(-0.5 * (SKILLS / SPREADS[:, None]) ** 2)
    normal /= normal.sum(axis=1, keepdims=True)
    # Points of a geometric grid stand for stretches as long as they are large.
    prior = np.log(SPREADS / (1 + SPREADS**2))
    posterior = prior + np.array([_log_mean(evidence, weights).sum() for weights in normal])
    posterior = np.exp(posterior - posterior.max())
    return Population(rates(array), np.average(normal, axis=0, weights=posterior))


def log_wealth(
    hits: ArrayLike, order: ArrayLike, surrogates: Population, references: Population
) -> Floats:
    """Log E after each answer (T + 1,): the first is 0.

    Args:
        hits: In the order asked (T,), 0 or 1.
        order: Which inputs those are (T,); it must not depend on the answers.
        surrogates: The alternative.
        references: The null hypothesis.
    """
    alternative = surrogates.log_likelihoods(hits, order)
    return alternative - references.log_likelihoods(hits, order)


def stopping_time(path: ArrayLike, alpha: float) -> int | None:
    """Answers after which E >= 1/alpha or E <= alpha for the first time; None if it is never."""
    outside = np.flatnonzero(np.abs(np.asarray(path)) >= -np.log(alpha))
    return int(outside[0]) if len(outside) else None


def _by_skill(hits: Floats, some: Floats) -> Floats:
    """Log probability of each answer (T,) at each skill: (T, 49)."""
    logits = np.log(some / (1 - some))[:, None] + SKILLS
    return -np.logaddexp(0, np.where(np.asarray(hits)[:, None] > 0, -logits, logits))


def _log_mean(values: Floats, weights: Floats) -> Floats:
    """Log of the weighted mean of exp(values) over the last axis."""
    most = values.max(axis=-1, keepdims=True)
    return most[..., 0] + np.log(np.sum(np.exp(values - most) * weights, axis=-1))
