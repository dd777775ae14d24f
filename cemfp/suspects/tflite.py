"""A stranger's TensorFlow Lite file, tried at arm's length."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cemfp.models.tflite import TFLiteError, TFLiteModel, check_header, read_file
from cemfp.suspects.base import SuspectError

TRIAL_SECONDS = 300

_TRIAL = """
import sys
import pathlib
import numpy
from cemfp.models.tflite import TFLiteModel
model = TFLiteModel(pathlib.Path(sys.argv[1]))
model(numpy.random.default_rng(0).random((1, *model.input_shape), numpy.float32))
"""


def open_safely(path: Path) -> TFLiteModel:
    """Return the model of a file that may be a stranger's.

    The file has to answer once in a process of its own first, so that one that crashes or hangs the
    interpreter is an error here, not the end of this program. That is no sandbox: a file made to
    exploit a fault of the interpreter can do whatever the user can, and one that crashes only on
    later images ends this program, with no verdict.

    Raises:
        SuspectError: It does not answer, or is no classifier of images.
    """
    try:
        check_header(read_file(path))
        _try_out(path)
        # A file that fails in an orderly way fails the same way here, with a better message.
        return TFLiteModel(path)
    except TFLiteError as error:
        raise SuspectError(str(error)) from error


def _try_out(path: Path) -> None:
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", _TRIAL, str(path.absolute())],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SuspectError(f"no answer within {TRIAL_SECONDS} s.") from error
    if tried.returncode < 0:
        raise SuspectError(
            f"it crashes TensorFlow Lite (signal {-tried.returncode}): damaged, or made to."
        )
