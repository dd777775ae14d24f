"""What a few models say of many: an exact bound on a share, and a rank test between two groups."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike

# So many ways to divide two groups are gone through; of more, some are drawn.
WAYS, DRAWN = 100_000, 20_000


def upper_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided upper confidence bound of a share [Clopper and Pearson 1934].

    Without a success it is 1 - (1 - confidence)^(1 / trials): 0.63 of three, 0.05 of 59.

    Raises:
        ValueError: Not 0 <= successes <= trials with trials > 0, or confidence outside (0, 1).
    """
    import scipy.special  # slow, and every command imports this package

    if not 0 <= successes <= trials or trials == 0 or not 0 < confidence < 1:
        raise ValueError(
            "expected 0 <= successes <= trials with trials > 0 and a confidence in (0, 1). "
            f"Received: {successes} of {trials}, {confidence}"
        )
    if successes == trials:
        return 1.0
    return float(scipy.special.betaincinv(successes + 1, trials - successes, confidence))


def trials_for(share: float, confidence: float = 0.95) -> int:
    """Return how many trials without a success bound a share so: 59 for 0.05."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - share))


def rank_p_value(group: ArrayLike, others: ArrayLike, *, seed: int = 0) -> float:
    """One-sided p-value of a rank-sum test: whether `group` (m,) lies above `others` (r,).

    Exact over all ways to divide the m + r scores, ties sharing their mean rank; of more than
    100,000 ways 20,000 are drawn. Under exchangeability P(p <= a) <= a.

    Raises:
        ValueError: A group is empty.
    """
    scores = np.concatenate([np.asarray(group, float), np.asarray(others, float)])
    count = len(np.asarray(group))
    if not 0 < count < len(scores):
        raise ValueError(
            f"expected scores in both groups. Received: {count} and {len(scores) - count}"
        )
    ranks = _mean_ranks(scores)
    # Sums of halves are exact.
    reached = ranks[:count].sum()
    if math.comb(len(scores), count) <= WAYS:
        ways = list(itertools.combinations(range(len(scores)), count))
        return float(np.mean(ranks[np.array(ways)].sum(axis=1) >= reached))
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(ranks, (DRAWN, 1)), axis=1)[:, :count].sum(axis=1)
    # The division at hand is one of those that might have been drawn.
    return float((1 + np.sum(drawn >= reached)) / (1 + DRAWN))


def _mean_ranks(scores: np.ndarray) -> np.ndarray:
    """Return the rank of each score (n,) from 1; equal ones share their mean rank."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def least_p_value(count: int, others: int) -> float:
    """Return the smallest p-value that `rank_p_value` can give to groups of these sizes."""
    return 1 / math.comb(count + others, others)
