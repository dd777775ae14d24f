"""Does a model do its task, and would it do it better otherwise? Exact tests on its answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# A model that does its task fails such a test once in a thousand times.
LEVEL = 1e-3
# Of two ways to ask, the usual one is preferred unless the other is better at this level: little is
# known of a model of which few answers can be had.
PREFERENCE = 0.1
# With fewer right answers than this share, it is worth trying other conventions of the input.
LIKELY = 0.95


def does_task(answers: np.ndarray, labels: np.ndarray) -> bool:
    """Whether answers (n,) agree with labels (n,) more than answers drawn at random would.

    Chance is what two who answer each class as often as these do, but independently, agree on: a
    model that always answers the most frequent class is no better than that.
    """
    import scipy.special  # slow, and every command imports this module

    top = int(max(answers.max(), labels.max())) + 1
    shares = [np.bincount(x, minlength=top) / len(x) for x in (answers, labels)]
    chance, agreeing = float(np.dot(*shares)), int(np.sum(answers == labels))
    return bool(scipy.special.bdtrc(agreeing - 1, len(labels), min(chance, 1.0)) < LEVEL)


def is_better(after: np.ndarray, before: np.ndarray, level: float = LEVEL) -> bool:
    """Exact one-sided McNemar test: whether `after` (n,) is right more often than `before`."""
    import scipy.special

    gained, lost = int(np.sum(after & ~before)), int(np.sum(before & ~after))
    return bool(scipy.special.bdtrc(gained - 1, gained + lost, 0.5) < level)


def first_as_good(rights: Sequence[np.ndarray]) -> int:
    """Return the place of the first than which the best is not better, at `PREFERENCE`.

    Args:
        rights: Whether each answer was right (n,), in the order of preference.
    """
    best = max(rights, key=lambda right: right.sum())
    return next(i for i, right in enumerate(rights) if not is_better(best, right, PREFERENCE))
