"""Suspects: anything that maps images to labels or scores, opened by what the user typed.

runs/thief              a classifier directory
zoo:NAME                one that the repository keeps
model.keras             the user's own Keras file, or a directory with one of this name
model.tflite            a TensorFlow Lite file, or a directory with one of this name
python:module:function  images in, labels or scores out
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cemfp.models import kept
from cemfp.models.convention import UNIT, Convention
from cemfp.models.directory import KERAS_FILE
from cemfp.models.tflite import TFLITE_FILE
from cemfp.suspects.base import (
    Meaningless,
    Suspect,
    SuspectError,
    answer_labels,
    check_fits,
    one_line,
)
from cemfp.suspects.feeding import Fed, Relabelled, matched
from cemfp.suspects.openers import open_classifier, open_keras, open_python, open_tflite

__all__ = [
    "SUSPECTS",
    "Fed",
    "Meaningless",
    "Relabelled",
    "Suspect",
    "SuspectError",
    "answer_labels",
    "check_fits",
    "matched",
    "open_suspect",
]

SUSPECTS: dict[str, Callable[[str], Suspect]] = {
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
    convention: Convention = UNIT,
) -> Suspect:
    """Open a suspect and check that it fits, as far as it says what it takes.

    Args:
        spec: A classifier directory, `zoo:NAME`, a `.keras` or `.tflite` file, or
            `python:module:function`.
        input_shape: Shape of one fingerprint input (h, w, c).
        classes: Classes of the fingerprint's source.
        convention: How a Keras or TensorFlow Lite file, or a function, wants its images.

    Returns:
        A callable, images (n, h, w, c) float32 in [0, 1] to labels (n,) or scores (n, C).

    Raises:
        SuspectError: It cannot be opened or does not fit; one line that begins with `spec`.
    """
    try:
        kind, target = _kind(spec)
        if kind == "classifier" and convention != UNIT:
            raise SuspectError(
                "a classifier directory scales its inputs itself: leave the scale option out."
            )
        if not convention.fits(input_shape[-1]):
            raise SuspectError(
                f"expected options for {input_shape[-1]} channels. Received: {convention}."
            )
        suspect = SUSPECTS[kind](target)
        check_fits(suspect, input_shape, classes)
    except SuspectError as error:
        raise SuspectError(f"{spec}: {error}") from error
    # Foreign files and modules fail in any way, leaving the program with status 0 included.
    except (Exception, SystemExit) as error:
        raise SuspectError(f"{spec}: cannot be opened: {one_line(error)}") from error
    return suspect if kind == "classifier" else Fed(suspect, convention)


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
    # What an attack on a user's own Keras model leaves, see `removal.Removal.save`.
    for name in (TFLITE_FILE, KERAS_FILE):
        if (path / name).is_file():
            return name.partition(".")[2], str(path / name)
    if path.suffix in (".keras", ".tflite") and path.is_file():
        return path.suffix[1:], spec
    known = "a classifier directory (with config.json), zoo:NAME, a .keras or .tflite file"
    raise SuspectError(
        f"expected {known} or python:module:function. Received: {_what(path)}; a function of yours "
        "that asks it is python:module:function."
    )


def _what(path: Path) -> str:
    """What something that is no suspect looks like, for people."""
    if (path / "saved_model.pb").is_file():
        return "a SavedModel"
    if path.is_dir():
        return "another directory"
    return f"a {path.suffix} file" if path.suffix else "another file"
