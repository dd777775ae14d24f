"""Suspects: anything that maps images to labels or scores, opened by what the user typed.

runs/thief              a classifier directory
zoo:NAME                one that the repository keeps
model.keras             the user's own Keras file
model.tflite            a TensorFlow Lite file, or a directory with one of this name
python:module:function  images in, labels or scores out
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cemfp.models import kept
from cemfp.models.tflite import TFLITE_FILE
from cemfp.suspects.base import (
    Suspect,
    SuspectError,
    answer_labels,
    check_fits,
    one_line,
)
from cemfp.suspects.openers import open_classifier, open_keras, open_python, open_tflite

__all__ = ["SUSPECTS", "Suspect", "SuspectError", "answer_labels", "check_fits", "open_suspect"]

SUSPECTS: dict[str, Callable[[str, float | None], Suspect]] = {
    "classifier": open_classifier,
    "keras": open_keras,
    "tflite": open_tflite,
    "python": open_python,
}


def open_suspect(
    spec: str,
    *,
    input_shape: tuple[int, ...],
    classes: int,
    scale: float | None = None,
) -> Suspect:
    """Open a suspect and check that it fits, as far as it says what it takes.

    Args:
        spec: A classifier directory, `zoo:NAME`, a `.keras` or `.tflite` file, or
            `python:module:function`.
        input_shape: Shape of one fingerprint input (h, w, c).
        classes: Classes of the fingerprint's source.
        scale: What the inputs in [0, 1] of a Keras or TensorFlow Lite file, or of a function, are
            multiplied with: 255 for a model that takes grey levels. `None` leaves them.

    Returns:
        A callable, images (n, h, w, c) float32 in [0, 1] to labels (n,) or scores (n, C).

    Raises:
        SuspectError: It cannot be opened or does not fit; one line that begins with `spec`.
    """
    try:
        kind, target = _kind(spec)
        suspect = SUSPECTS[kind](target, scale)
        check_fits(suspect, input_shape, classes)
    except SuspectError as error:
        raise SuspectError(f"{spec}: {error}") from error
    # Foreign files and modules fail in any way, leaving the program with status 0 included.
    except (Exception, SystemExit) as error:
        raise SuspectError(f"{spec}: cannot be opened: {one_line(error)}") from error
    return suspect


def _kind(spec: str) -> tuple[str, str]:
    """Kind of suspect (a key of `SUSPECTS`) and what its opener gets."""
    prefix, separator, rest = spec.partition(":")
    if separator and prefix == "python":
        return "python", rest
    if separator and prefix + separator == kept.PREFIX:
        return "classifier", str(kept.find(rest))
    path = Path(spec)
    if path.suffix in (".h5", ".hdf5"):
        raise SuspectError(
            "HDF5 models are refused: loading one can run code hidden in it. "
            "Save your own model again as .keras."
        )
    if not path.exists():
        raise SuspectError("no such file or directory.")
    if (path / "config.json").is_file():
        return "classifier", spec
    if (path / TFLITE_FILE).is_file():
        return "tflite", str(path / TFLITE_FILE)
    if path.suffix in (".keras", ".tflite") and path.is_file():
        return path.suffix[1:], spec
    raise SuspectError(
        "expected a classifier directory (with config.json), zoo:NAME, a .keras or .tflite file or "
        "python:module:function. Received: something else."
    )
