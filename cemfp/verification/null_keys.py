"""A second null: does the suspect answer the key more often than other keys of the same labels?

It asks whether the answers have anything to do with the key. An independent model may pass, too:
perturbed inputs transfer a little to everybody. So a small p-value here accuses nobody; a large one
says that the hits, however many, are what the suspect's favourite labels give by themselves.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
from numpy.typing import NDArray

DRAWS = 999


@dataclasses.dataclass(frozen=True)
class NullKeys:
    """How a suspect's answers agree with keys that are none.

    Attributes:
        draws: Number of keys drawn.
        mean_matches: Mean number of answers that are such a key's.
        p_value: Share of keys, the true one among them, that the answers match as often.
    """

    draws: int
    mean_matches: float
    p_value: float


def null_keys(keys: NDArray[np.int64], draws: int, *, seed: bytes) -> NDArray[np.int64]:
    """Draw keys with the same number of each label, none equal to the true key where possible.

    Inputs are put in order by label, labels and the inputs of one label at random, and each gets
    the key of the input some places further on. A step of at least the most frequent label's count
    leaves no key where it was; if that label has more than half the inputs, some have to stay.

    Args:
        keys: The true ones (n,).
        draws: How many to draw.
        seed: Decides the draws, on every machine and version alike.

    Returns:
        Keys (draws, n).
    """
    count, labels = len(keys), np.unique(keys)
    most = int(np.max(np.unique(keys, return_counts=True)[1]))
    random = np.random.PCG64(int.from_bytes(hashlib.sha256(seed).digest()))  # raw: stays as it is
    rank = np.argsort(random.random_raw(draws * len(labels)).reshape(draws, -1), axis=1)
    within = np.argsort(random.random_raw(draws * count).reshape(draws, -1), axis=1)
    steps = random.random_raw(draws) % np.uint64(max(count - 2 * most, 0) + 1)
    place = rank[:, np.searchsorted(labels, keys)]
    order = np.lexsort((within, place), axis=1)
    further = (np.arange(count) + min(most, count // 2) + steps[:, None].astype(int)) % count
    drawn = np.empty((draws, count), np.int64)
    np.put_along_axis(drawn, order, keys[np.take_along_axis(order, further, axis=1)], axis=1)
    return drawn


def check_null_keys(
    labels: NDArray[np.int64], keys: NDArray[np.int64], *, seed: bytes, draws: int = DRAWS
) -> NullKeys:
    """Compare answers (n,) with the true keys (n,) and with keys drawn at random.

    Args:
        labels: What the suspect answered.
        keys: The true keys of the same inputs.
        seed: See `null_keys`.
        draws: Number of keys.
    """
    matches = np.sum(null_keys(keys, draws, seed=seed) == labels, axis=1)
    as_many = int(np.sum(matches >= np.sum(keys == labels)))
    return NullKeys(draws, float(matches.mean()), (as_many + 1) / (draws + 1))
