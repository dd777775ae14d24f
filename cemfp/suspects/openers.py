"""One function per kind of suspect: from what the user typed to something that answers.

TensorFlow, and the HTTP library, are imported only when a suspect needs them.
"""

from __future__ import annotations

import importlib
import os
import sys
import zipfile
from pathlib import Path

from cemfp.suspects.base import Suspect, SuspectError
from cemfp.suspects.network.connection import Connection


def open_classifier(target: str) -> Suspect:
    """A classifier directory, as `Classifier.save` writes it; scaling is inside."""
    from cemfp.models.classifier import Classifier

    return Classifier.load(Path(target))


def open_keras(target: str) -> Suspect:
    """A `.keras` file of the user's own: loading one may run code that it contains."""
    from cemfp.models.classifier import Classifier

    # Keras falls back to its HDF5 reader, which runs hidden code, whatever the file is called.
    with open(target, "rb") as file:  # one that cannot be read says so by itself
        is_zip = zipfile.is_zipfile(file)
    if not is_zip:
        raise SuspectError("not in the .keras format, which is a ZIP: renamed or damaged?")
    return Classifier.from_keras(Path(target))


def open_tflite(target: str) -> Suspect:
    """A TensorFlow Lite file; integer inputs and outputs are read as the file says."""
    from cemfp.suspects.tflite import open_safely

    return open_safely(Path(target))


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
