"""Suspects: anything that maps images to labels or scores, opened by what the user typed.

runs/thief              a classifier directory
zoo:NAME                one that the repository keeps
model.keras             the user's own Keras file, or a directory with one of this name
model.tflite            a TensorFlow Lite file, or a directory with one of this name
python:module:function  images in, labels or scores out
http://host/v1/models/N a model behind TensorFlow Serving's or KServe's REST
api.yaml                a description of any other API
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
    NoAnswer,
    OutOfBudget,
    Suspect,
    SuspectError,
    TryAgain,
    answer_labels,
    check_fits,
    one_line,
)
from cemfp.suspects.feeding import Fed, Relabelled, matched
from cemfp.suspects.names import DESCRIPTIONS, is_address, is_remote, shown
from cemfp.suspects.network.connection import Connection
from cemfp.suspects.openers import (
    open_api,
    open_classifier,
    open_http,
    open_keras,
    open_python,
    open_tflite,
)
from cemfp.suspects.pace import Pace
from cemfp.suspects.querylog import LogError, QueryLog
from cemfp.suspects.remembered import Remembered

__all__ = [
    "SUSPECTS",
    "Connection",
    "Fed",
    "LogError",
    "Meaningless",
    "NoAnswer",
    "OutOfBudget",
    "Pace",
    "QueryLog",
    "Relabelled",
    "Remembered",
    "Suspect",
    "SuspectError",
    "TryAgain",
    "answer_labels",
    "check_fits",
    "matched",
    "open_suspect",
]

SUSPECTS: dict[str, Callable[..., Suspect]] = {
    "classifier": open_classifier,
    "keras": open_keras,
    "tflite": open_tflite,
    "python": open_python,
    "http": open_http,
    "api": open_api,
}


def open_suspect(
    spec: str,
    *,
    input_shape: tuple[int, ...],
    classes: int,
    convention: Convention = UNIT,
    around: Callable[[Suspect], Suspect] | None = None,
    connection: Connection | None = None,
) -> Suspect:
    """Open a suspect and check that it fits, as far as it says what it takes.

    Args:
        spec: A classifier directory, `zoo:NAME`, a `.keras` or `.tflite` file,
            `python:module:function`, the address of a server or the `.yaml` description of one.
        input_shape: Shape of one fingerprint input (h, w, c).
        classes: Classes of the fingerprint's source.
        convention: How a Keras or TensorFlow Lite file, or a function, wants its images.
        around: Puts something around the suspect itself, `Remembered` say: it sees what the suspect
            sees.
        connection: How a server is reached.

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
        more = (connection or Connection(),) if is_remote(spec) else ()
        suspect = SUSPECTS[kind](target, *more)
        as_files = getattr(suspect, "pictures", False)
        if as_files and convention != UNIT:
            raise SuspectError("images are sent as files: leave the scale option out.")
        check_fits(suspect, input_shape, classes)
        suspect = suspect if around is None else around(suspect)
    except SuspectError as error:
        error.args = (f"{shown(spec)}: {error}",)
        raise
    # Foreign files and modules fail in any way, leaving the program with status 0 included.
    except (Exception, SystemExit) as error:
        raise SuspectError(f"{shown(spec)}: cannot be opened: {one_line(error)}") from error
    return suspect if kind == "classifier" or as_files else Fed(suspect, convention)


def _kind(spec: str) -> tuple[str, str]:
    """Kind of suspect (a key of `SUSPECTS`) and what its opener gets."""
    prefix, separator, rest = spec.partition(":")
    if separator and prefix == "python":
        return "python", rest
    if separator and prefix + separator == kept.PREFIX:
        return "classifier", str(kept.find(rest))
    if is_address(spec):
        return "http", spec
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
    if path.suffix in DESCRIPTIONS and path.is_file():
        return "api", spec
    if path.suffix in (".keras", ".tflite") and path.is_file():
        return path.suffix[1:], spec
    known = "a classifier directory (with config.json), zoo:NAME, a .keras, .tflite or .yaml file"
    raise SuspectError(
        f"expected {known}, http://... or python:module:function. Received: {_what(path)}; a "
        "function of yours that asks it is python:module:function."
    )


def _what(path: Path) -> str:
    """What something that is no suspect looks like, for people."""
    if (path / "saved_model.pb").is_file():
        return "a SavedModel"
    if path.is_dir():
        return "another directory"
    return f"a {path.suffix} file" if path.suffix else "another file"
