"""Suspects: anything that maps images to labels or scores, opened by what the user typed.

runs/thief              a classifier directory
zoo:NAME                one that the repository keeps
model.keras, model.h5   a Keras file, or a directory with `model.keras`
model.tflite            a TensorFlow Lite file, or a directory with one of this name
model.onnx              an ONNX file
model.pt, .torchscript  a TorchScript file
exported/               a SavedModel
python:module:function  images in, labels or scores out
http://host/v1/models/N a model behind TensorFlow Serving's or KServe's REST
api.yaml                a description of any other API
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
from cemfp.suspects.feeding import Fed, Relabelled, layers, matched
from cemfp.suspects.names import DESCRIPTIONS, is_address, named
from cemfp.suspects.network.connection import Connection
from cemfp.suspects.openers import (
    open_api,
    open_classifier,
    open_file,
    open_http,
    open_python,
)
from cemfp.suspects.pace import Pace
from cemfp.suspects.querylog import LogError, QueryLog
from cemfp.suspects.remembered import Remembered
from cemfp.suspects.resizing import Resize, Resized
from cemfp.suspects.worded import Worded

__all__ = [
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
    "Resize",
    "Resized",
    "Suspect",
    "SuspectError",
    "TryAgain",
    "Worded",
    "answer_labels",
    "check_fits",
    "layers",
    "matched",
    "open_suspect",
]

# Endings of files, and of which kind they are; all are opened in a sandbox.
FILES = {
    ".keras": "keras",
    ".h5": "h5",
    ".hdf5": "h5",
    ".tflite": "tflite",
    ".onnx": "onnx",
    ".pt": "torchscript",
    ".ts": "torchscript",
    ".torchscript": "torchscript",
}
SAVED_MODEL = "saved_model.pb"


def open_suspect(
    spec: str,
    *,
    input_shape: tuple[int, ...],
    classes: int,
    convention: Convention = UNIT,
    around: Callable[[Suspect], Suspect] | None = None,
    connection: Connection | None = None,
    class_names: Sequence[str] = (),
    resize: Resize | None = None,
    trust: bool = False,
) -> Suspect:
    """Open a suspect and check that it fits, as far as it says what it takes.

    Args:
        spec: A classifier directory, `zoo:NAME`, a file with an ending of `FILES`, a SavedModel,
            `python:module:function`, the address of a server or the `.yaml` description of one.
        input_shape: Shape of one fingerprint input (h, w, c).
        classes: Classes of the fingerprint's source.
        convention: How a file or a function wants its images.
        around: Puts something around the suspect itself, `Remembered` say: it sees what the suspect
            sees.
        connection: How a server is reached, and which of several outputs to read.
        class_names: Of the fingerprint's classes, for a suspect that answers names.
        resize: How to bring images to another size that it wants; None refuses such a suspect.
        trust: Open a file that may run code even where there is no complete sandbox.

    Returns:
        A callable, images (n, h, w, c) float32 in [0, 1] to labels (n,) or scores (n, C).

    Raises:
        SuspectError: It cannot be opened or does not fit; one line that begins with `spec`.
    """
    with named(spec):
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
            reach = connection or Connection()
            wanted = input_shape if resize is None else resize.shape(input_shape)
            settings = {"input_shape": list(wanted), "output": reach.output}
            suspect = _open(kind, target, settings, reach, trust=trust)
            as_files = getattr(suspect, "pictures", False)
            if as_files and convention != UNIT:
                raise SuspectError("images are sent as files: leave the scale option out.")
            shape = input_shape if resize is None else resize.shape(input_shape, suspect)
            check_fits(suspect, shape, classes)
            if kind not in ("classifier", "http", "api"):
                suspect = Worded(suspect, classes, class_names)
            suspect = suspect if around is None else around(suspect)
        except SuspectError:
            raise
        # Foreign files and modules fail in any way, leaving the program with status 0 included.
        except (Exception, SystemExit) as error:
            raise SuspectError(f"cannot be opened: {one_line(error)}") from error
    suspect = suspect if kind == "classifier" or as_files else Fed(suspect, convention)
    return suspect if shape == tuple(input_shape) else Resized(suspect, shape, resize)


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
    if "://" in spec:
        raise SuspectError("expected an address of http:// or https://. Received: another.")
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
    if path.suffix in FILES and path.is_file():
        return FILES[path.suffix], spec
    if (path / SAVED_MODEL).is_file():
        return "saved_model", spec
    known = f"a classifier directory (with config.json), a SavedModel, zoo:NAME, a {_ENDINGS} file"
    raise SuspectError(
        f"expected {known}, http://... or python:module:function. Received: {_what(path)}; a "
        "function of yours that asks it is python:module:function."
    )


_ENDINGS = ", ".join([*FILES, DESCRIPTIONS[0]])


def _open(
    kind: str, target: str, settings: dict[str, Any], connection: Connection, *, trust: bool
) -> Suspect:
    if connection.output is not None and kind in ("classifier", "python", "api"):
        raise SuspectError("its output cannot be chosen: leave --output out.")
    if kind in ("http", "api"):
        return {"http": open_http, "api": open_api}[kind](target, connection)
    if kind in ("classifier", "python"):
        return {"classifier": open_classifier, "python": open_python}[kind](target)
    return open_file(kind, target, settings, trust=trust)


def _what(path: Path) -> str:
    """What something that is no suspect looks like, for people."""
    if path.is_dir():
        return "another directory"
    return f"a {path.suffix} file" if path.suffix else "another file"
