"""Which candidates become fingerprint inputs: label filter, conferrability filter, balance."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Indices = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Shortfall:
    """What a selection could not fill.

    Attributes:
        wanted: Number of inputs asked for.
        found: Number of inputs selected.
        missing: Class -> inputs short of its share, wanted // classes; empty without balance.
    """

    wanted: int
    found: int
    missing: dict[int, int]

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return self.found < self.wanted or bool(self.missing)

    def __str__(self) -> str:
        """One line for people."""
        text = f"{self.found} of {self.wanted} inputs found"
        if self.missing:
            classes = ", ".join(f"{label} (-{count})" for label, count in self.missing.items())
            text += f"; classes below their share: {classes}"
        return text


class Selection(NamedTuple):
    """Indices of the chosen candidates (m,), best first, and what is missing."""

    indices: Indices
    shortfall: Shortfall


def accepted(
    keys: ArrayLike,
    confer: ArrayLike | None,
    true_labels: ArrayLike | None,
    clean_labels: ArrayLike | None,
    *,
    threshold: float = 0.95,
) -> NDArray[np.bool_]:
    """The acceptance rule [Lukas21, Sec. 4]: adversarial, from a correct start, conferrable.

    A candidate passes if argmax M(x') differs from the true label, argmax M(x0) equals it, and
    Confer(x') >= threshold. Methods without starting images pass no labels, methods without a
    defender's ensemble no scores: the filter concerned is then left out.

    Args:
        keys: Label of the source on the candidate, argmax M(x') (n,).
        confer: Confer score of the candidate (n,), or `None`.
        true_labels: Ground truth of the starting image (n,), or `None`.
        clean_labels: Label of the source on the starting image, argmax M(x0) (n,), or `None`.
        threshold: The paper's tau.

    Returns:
        Mask (n,).
    """
    keys = np.asarray(keys)
    mask = np.ones(keys.shape, dtype=np.bool_)
    if (true_labels is None) != (clean_labels is None):
        raise ValueError("Expected true_labels and clean_labels together. Received: only one.")
    if true_labels is not None:
        truth = np.asarray(true_labels)
        mask &= (keys != truth) & (np.asarray(clean_labels) == truth)
    if confer is not None:
        mask &= np.asarray(confer) >= threshold
    return mask


def select(
    x: np.ndarray,
    keys: ArrayLike,
    confer: ArrayLike | None,
    true_labels: ArrayLike | None,
    clean_labels: ArrayLike | None,
    *,
    threshold: float = 0.95,
    size: int,
    balance: bool = True,
    classes: int,
) -> Selection:
    """Choose up to `size` accepted candidates.

    With `balance`, the target classes take turns, each giving its most conferrable candidate, so
    that no class has more than another as long as it has candidates. When some run dry the rest
    go on filling, and the shortfall names those below their share. Without `balance` the most
    conferrable candidates win. Equal scores go to the lower index: same input, same selection.

    An image that occurs twice is taken once, for asking it again tells a verifier nothing.

    Args:
        x: Candidates x' (n, h, w, c), as they will be sent.
        keys: See `accepted`; the target classes.
        confer: See `accepted`.
        true_labels: See `accepted`.
        clean_labels: See `accepted`.
        threshold: See `accepted`.
        size: Number of inputs wanted, positive.
        balance: Whether the target classes take turns.
        classes: Number of classes.

    Raises:
        ValueError: The arrays differ in length, or `size` is not positive.
    """
    keys = np.asarray(keys, dtype=np.int64)
    optional = [array for array in (confer, true_labels, clean_labels) if array is not None]
    lengths = [len(np.asarray(array)) for array in (x, keys, *optional)]
    if len(set(lengths)) != 1 or size < 1:
        raise ValueError(f"Expected equal lengths and size > 0. Received: {lengths}, size {size}.")
    mask = accepted(keys, confer, true_labels, clean_labels, threshold=threshold)
    scores = np.zeros(len(keys)) if confer is None else np.asarray(confer, dtype=np.float64)
    ranked = distinct(x, np.flatnonzero(mask)[np.argsort(-scores[mask], kind="stable")])
    chosen = (_take_turns(ranked, keys) if balance else ranked)[:size]
    return Selection(chosen, _shortfall(keys[chosen], size, classes if balance else 0))


def distinct(x: np.ndarray, ranked: Indices) -> Indices:
    """Return the places `ranked` without repeated images of `x`; the first one stays."""
    first_of: dict[bytes, int] = {}
    for index in ranked:
        first_of.setdefault(np.ascontiguousarray(x[index]).tobytes(), int(index))
    return np.array(list(first_of.values()), dtype=np.int64)


def _take_turns(ranked: Indices, keys: np.ndarray) -> Indices:
    """Reorder: every class's best, then every class's second best, ...; best first in a round."""
    seen: dict[int, int] = {}
    rounds = []
    for key in keys[ranked]:
        seen[int(key)] = seen.get(int(key), 0) + 1
        rounds.append(seen[int(key)])
    return ranked[np.argsort(rounds, kind="stable")]


def _shortfall(chosen_keys: np.ndarray, size: int, classes: int) -> Shortfall:
    counts = np.bincount(chosen_keys, minlength=classes)
    missing = {
        label: size // classes - int(counts[label])
        for label in range(classes)
        if counts[label] < size // classes
    }
    return Shortfall(wanted=size, found=len(chosen_keys), missing=missing)
