"""Checks and conversions of a fingerprint's fields; each failure is one clear line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cemfp.fingerprint.archive import FingerprintError

_LEVELS = np.float32(255)
# Data sets are scaled by dividing or by multiplying with 1/255, which differ in the last bit.
_GRID_SLACK = 1e-3
_AT_ONCE = 256  # images


def expect(condition: bool, expected: str, received: Any) -> None:
    """Raise `FingerprintError` with "expected …. Received: …" unless the condition holds."""
    if not condition:
        text = " ".join(repr(received).split())
        raise FingerprintError(f"expected {expected}. Received: {text[:120]}.")


def is_number(value: Any) -> bool:
    """Whether the value is a finite int or float that float64 can hold, and not a truth value."""
    # A comparison, because `math.isfinite` raises on an integer beyond float64.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53


def is_count(value: Any) -> bool:
    """Whether the value is a positive int that an array index can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def class_names(values: Any, classes: int) -> tuple[str, ...]:
    """Names of the classes: none, or one for each, printable, since they go to terminals."""
    expect(isinstance(values, list | tuple), "a list of class names", values)
    plain = all(isinstance(name, str) and name.isprintable() and name for name in values)
    expect(plain, "class names of printable characters", values)
    sound = len(set(values)) == len(values) and len(values) in (0, classes)
    expect(sound, f"{classes} class names, each once, or none", values)
    return tuple(values)


def plain_json(name: str, value: Any) -> dict[str, Any]:
    """The value as it comes back from a JSON file: lists for tuples, text for keys."""
    expect(isinstance(value, dict), f"{name} to be a dictionary", value)
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise FingerprintError(f"expected {name} that JSON can hold: {error}.") from error


def images(name: str, values: ArrayLike, *, signed: bool = False) -> np.ndarray:
    """A copy as float32 (n, h, w, c), n > 0, every value in [0, 1]; `signed`: all finite."""
    array = np.array(values, dtype=np.float32, order="C")
    expect(array.ndim == 4 and array.size > 0, f"{name} of shape (n, h, w, c)", array.shape)
    if signed:
        expect(bool(np.all(np.isfinite(array))), f"{name} all finite", "NaN or infinity")
        return array
    # Written so that NaN fails it, too, and that nothing as large as the images is made.
    inside = bool(array.min() >= 0 and array.max() <= 1)
    expect(inside, f"{name} in [0, 1], all finite", f"{array.min()} to {array.max()}")
    return array


def labels(name: str, values: ArrayLike, count: int, classes: int) -> np.ndarray:
    """A copy as int64 (n,), every value a class."""
    array = np.array(values)
    expect(
        array.shape == (count,) and array.dtype.kind in "iu",
        f"{name}: {count} whole numbers",
        f"{array.dtype} of shape {array.shape}",
    )
    expect(
        int(array.min()) >= 0 and int(array.max()) < classes,
        f"{name} within {classes} classes",
        f"{array.min()} to {array.max()}",
    )
    return array.astype(np.int64)


def shares(name: str, values: ArrayLike, count: int) -> np.ndarray:
    """A copy as float32 (n,), every value in [0, 1]."""
    array = np.array(values, dtype=np.float32)
    expect(
        array.shape == (count,) and bool(np.all((array >= 0) & (array <= 1))),
        f"{name}: {count} shares in [0, 1]",
        f"shape {array.shape}",
    )
    return array


def to_grid(array: np.ndarray) -> np.ndarray:
    """Images (n, h, w, c) with the rounding error of their k/255 removed; error if off the grid.

    Some at a time: a file may hold so many that copies of all would fill the memory.
    """
    made = np.empty(array.shape, np.float32)
    for start in range(0, len(array), _AT_ONCE):
        some = array[start : start + _AT_ONCE]
        offset = float(np.max(np.abs(some * _LEVELS - np.rint(some * _LEVELS))))
        expect(offset <= _GRID_SLACK, "8-bit inputs, every value k/255", f"{offset:.3f} levels off")
        made[start : start + _AT_ONCE] = from_levels(to_levels(some))
    return made


def on_grid(array: np.ndarray) -> bool:
    """Whether `to_levels` and `from_levels` would give exactly these images back."""
    inside = bool(np.all((array >= 0) & (array <= 1)))  # inputs of the domain signed are not
    return inside and np.array_equal(from_levels(to_levels(array)), array)


def to_levels(array: np.ndarray) -> np.ndarray:
    """Images in [0, 1] as uint8 grey levels."""
    return np.rint(array * _LEVELS).astype(np.uint8)


def from_levels(levels: np.ndarray) -> np.ndarray:
    """Uint8 grey levels as float32 in [0, 1]."""
    return levels.astype(np.float32) / _LEVELS
