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
        p_value: Share of keys, the true one among them, that the answers match as often; of answers
            that were given without regard to the key, it is at most x with probability at most x.
    """

    draws: int
    mean_matches: float
    p_value: float


def null_keys(keys: NDArray[np.int64], draws: int, *, seed: bytes) -> NDArray[np.int64]:
    """Draw keys with the same number of each label: the true ones in an order drawn at random.

    Some stay where they were. Were they kept from that, the true key would not be one of those
    that may be drawn, and `p_value` no p-value: with two labels every draw would be the key turned
    over.

    Args:
        keys: The true ones (n,).
        draws: How many to draw.
        seed: Decides the draws, on every machine and version alike.

    Returns:
        Keys (draws, n).
    """
    random = np.random.PCG64(int.from_bytes(hashlib.sha256(seed).digest()))  # raw: stays as it is
    return keys[np.argsort(random.random_raw(draws * len(keys)).reshape(draws, -1), axis=1)]


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
