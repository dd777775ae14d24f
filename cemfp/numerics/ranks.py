"""A rank test between two small groups of models."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike

# So many ways to divide two groups are gone through; of more, some are drawn.
WAYS, DRAWN = 100_000, 20_000


def rank_sum_p_value(group: ArrayLike, others: ArrayLike, *, seed: int = 0) -> float:
    """One-sided p-value of a rank-sum test: whether `group` (m,) lies above `others` (r,).

    Exact over all ways to divide the m + r scores, ties sharing their mean rank; of more than
    100,000 ways 20,000 are drawn. Under exchangeability P(p <= a) <= a. SciPy's permutation test
    refuses a group of one model, which is what a judge often has; its exact one takes no ties.

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
    """Return the smallest p-value that `rank_sum_p_value` can give to groups of these sizes."""
    return 1 / math.comb(count + others, others)
