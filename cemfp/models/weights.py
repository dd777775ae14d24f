"""Weights as they are kept: numbers that float16 can hold take half the space."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np


def rounded(weight: np.ndarray) -> np.ndarray:
    """Return a weight rounded to float16, in its own type; beyond float16 as it is."""
    half = _as_half(weight)
    return weight if half is None else half.astype(weight.dtype)


def to_npz(weights: Sequence[np.ndarray]) -> bytes:
    """Return a file of the weights in their order; those that float16 can hold take half."""
    buffer = io.BytesIO()
    np.savez(buffer, **{f"{i:04d}": _packed(weight) for i, weight in enumerate(weights)})
    return buffer.getvalue()


def from_npz(data: bytes) -> list[np.ndarray]:
    """Return the weights of `to_npz`; a damaged file raises what NumPy and `zipfile` do."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return [arrays[name] for name in sorted(arrays.files)]


def _packed(weight: np.ndarray) -> np.ndarray:
    half = _as_half(weight)
    return half if half is not None and np.array_equal(half, weight) else weight


def _as_half(weight: np.ndarray) -> np.ndarray | None:
    """Return `weight` as float16; None if that is beyond it."""
    with np.errstate(over="ignore"):
        half = weight.astype(np.float16)
    return half if np.isfinite(half).all() else None
