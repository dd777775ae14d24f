"""One function per kind of suspect: from what the user typed to something that answers.

TensorFlow, and the HTTP library, are imported only when a suspect needs them.
"""

from __future__ import annotations

import importlib
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

from cemfp.suspects.base import Suspect, SuspectError
from cemfp.suspects.network.connection import Connection


def open_classifier(target: str) -> Suspect:
    """A classifier directory, as `Classifier.save` writes it; scaling is inside."""
    from cemfp.models.classifier import Classifier

    return Classifier.load(Path(target))


def open_file(kind: str, target: str, settings: dict[str, Any], *, trust: bool) -> Suspect:
    """A file that may run code when it is opened: in a sandbox, whoever made it.

    Args:
        kind: A key of `sandbox.loaders.LOADERS`.
        target: Its path.
        settings: `input_shape` of what it will be asked, and which `output` to read.
        trust: Whether to open it where the machine has no complete sandbox.
    """
    from cemfp.suspects.sandbox.boxed import Boxed

    path = Path(target)
    # Keras falls back to its HDF5 reader, which runs hidden code, whatever the file is called.
    if kind == "keras" and path.is_file() and not zipfile.is_zipfile(path):
        raise SuspectError("not in the .keras format, which is a ZIP: renamed or damaged?")
    if kind == "tflite":
        from cemfp.models.tflite import TFLiteError, check_header, read_file

        try:
            check_header(read_file(path))
        except TFLiteError as error:
            raise SuspectError(str(error)) from error
    return Boxed(kind, path, settings, trust=trust)


def open_python(target: str) -> Suspect:
    """`module:function` from the current directory or the Python path."""
    module_name, _, function_name = target.partition(":")
    if not module_name or not function_name.isidentifier():
        raise SuspectError(f"expected python:module:function. Received: python:{target}.")
    # A console script, unlike `python -m`, does not look into the current directory.
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    finally:
        sys.path.remove(here)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise SuspectError(f"expected a function {function_name} in {module_name}. Received: none.")
    return function


def open_http(target: str, connection: Connection) -> Suspect:
    """A model behind an address of TensorFlow Serving or of the Open Inference Protocol."""
    from cemfp.suspects.network.opening import open_address

    return open_address(target, connection)


def open_api(target: str, connection: Connection) -> Suspect:
    """A model behind an API that a YAML file describes."""
    from cemfp.suspects.network.opening import open_description

    return open_description(Path(target), connection)
