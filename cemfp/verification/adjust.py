"""Several suspects, several chances to accuse an innocent one: adjusted p-values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust for the chance that any innocent suspect is accused [Holm 1979].

    Of k p-values the i-th smallest is multiplied by k - i + 1, and none is smaller than one before
    it. It holds however the suspects depend on each other.

    Args:
        p_values: Of the suspects (k,).

    Returns:
        Adjusted ones (k,), in the same order, at most 1.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * factors))
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust for the expected share of innocents among the accused [Benjamini, Hochberg 1995].

    The i-th smallest of k is multiplied by k / i, and none is larger than one after it. It holds
    for independent suspects, and for positively dependent ones.

    Args:
        p_values: Of the suspects (k,).

    Returns:
        Adjusted ones (k,), in the same order.
    """
    from scipy.stats import false_discovery_control  # slow, and hardly a verdict needs it

    return false_discovery_control(np.asarray(p_values, np.float64))


HOLM, BENJAMINI_HOCHBERG = "holm", "benjamini-hochberg"
ADJUSTMENTS: dict[str, Callable[[ArrayLike], NDArray[np.float64]]] = {
    HOLM: holm,
    BENJAMINI_HOCHBERG: benjamini_hochberg,
}
