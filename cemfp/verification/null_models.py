"""How rare is a suspect among independent models? P-values whose unit is the model.

The null hypothesis: the suspect is one more independent model for the same task, drawn like the
calibration references. Then all m + 1 are exchangeable, and the suspect's place among them is
uniform, whatever the score. This holds exactly for models of the same population: the same task,
architectures, recipes and kind of data. It holds approximately, at best, for a stranger's model.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from cemfp.verification.hit_rates import (
    Beta,
    Floats,
    beta_binomial_log_mass,
    log_likelihood_ratio,
    rates,
    rates_without_each,
)

_TIE = 1e-9  # of scores that differ by rounding only


def rank_p_value(null_scores: ArrayLike, score: float) -> float:
    """Share of m + 1 models whose score is at least the suspect's, the suspect among them.

    P(p <= a) <= a if the m + 1 scores are exchangeable [Vovk et al. 2005, Prop. 2.8].

    Args:
        null_scores: Of the references (m,); the higher the more like a surrogate.
        score: Of the suspect.
    """
    others = np.asarray(null_scores, np.float64)
    return float((np.sum(others >= score - _TIE) + 1) / (len(others) + 1))


def scores_among(
    suspect_hits: ArrayLike, surrogate_hits: ArrayLike, reference_hits: ArrayLike
) -> tuple[float, Floats]:
    """Log-likelihood ratios of the suspect and of the references (m,), scored in one way.

    Full conformal prediction: the suspect joins the references, and each of the m + 1 models is
    scored with rates from the m others and a prior from all. Exchanging two of them exchanges
    their scores, so the suspect's rank is uniform under the null. Leave-one-out scores of the
    references beside a suspect that is scored with all m would not be exchangeable: its rates
    would come from one model more than theirs.

    Args:
        suspect_hits: Which inputs the suspect answered with the key (n,), 0 or 1.
        surrogate_hits: The same of the calibration surrogates (K, n).
        reference_hits: And of the calibration references (m, n).
    """
    bag = np.vstack([np.asarray(suspect_hits), np.asarray(reference_hits)]).astype(np.int64)
    scores = log_likelihood_ratio(bag, rates(surrogate_hits), rates_without_each(bag))
    return float(scores[0]), scores[1:]


def beta_binomial_p_value(hits: int, trials: int, beta: Beta) -> float:
    """Chance of at least so many hits, for a model whose rate is drawn from `beta`.

    The parametric companion of the rank: it can be as small as the assumption lets it, and is worth
    as much as that. `beta` is fitted to the references' counts, and its own error is left out.
    """
    tail = np.arange(hits, trials + 1)
    return float(min(1.0, np.exp(beta_binomial_log_mass(tail, trials, beta)).sum()))


def smallest_rate(references: int) -> float:
    """Least false-alarm rate that m references can support: no rank's p-value is smaller."""
    return 1 / (references + 1)


def bound_without_alarms(references: int, confidence: float = 0.95) -> float:
    """Upper bound of the false-alarm rate if none of m references was accused, exact.

    1 - (1 - confidence)^(1/m) [Clopper and Pearson 1934]. The references must not have chosen the
    rule that acquits them; for those that set the threshold the bound is the best that they allow.
    """
    return 1 - (1 - confidence) ** (1 / references) if references else 1.0


def references_needed(rate: float, confidence: float = 0.95) -> tuple[int, int]:
    """References for a p-value of `rate`, and for a bound of `rate` without a false alarm.

    Args:
        rate: Wanted false-alarm rate, in (0, 1).
        confidence: Of the bound.
    """
    slack = 1e-9  # 1 / 0.05 - 1 is 19, not a rounding error more
    for_rank = math.ceil(1 / rate - 1 - slack)
    return for_rank, math.ceil(math.log(1 - confidence) / math.log1p(-rate) - slack)
