"""From what the user types to a suspect; each wrong spec is one clear line."""

import sys
import types

import numpy as np
import pytest

from cemfp import suspects
from cemfp.models.convention import Convention
from cemfp.suspects import SuspectError, open_suspect
from cemfp.suspects.sandbox import loaders

FITTING = {"input_shape": (2, 2, 1), "classes": 3}
IMAGES = np.full((4, 2, 2, 1), 0.5, np.float32)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of a fresh name into the current directory, and return its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != ""])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def write(text):
        (tmp_path / "their_model.py").write_text(text)
        return "their_model"

    return write


@pytest.fixture
def stand_in_classifier(monkeypatch):
    """Replace `cemfp.models.classifier`: the openers are tested without building a network."""

    class Classifier:
        input_shape, classes = (2, 2, 1), 3

        def __init__(self, *opened):
            self.opened = opened

        @classmethod
        def load(cls, directory):
            return cls("load", directory)

    stand_in = types.ModuleType("cemfp.models.classifier")
    stand_in.Classifier = Classifier
    monkeypatch.setitem(sys.modules, "cemfp.models.classifier", stand_in)
    return Classifier


def test_python_function_from_the_current_directory(module):
    name = module("def answer(images):\n    return [1] * len(images)\n")
    before = list(sys.path)
    suspect = open_suspect(f"python:{name}:answer", **FITTING)
    assert suspect(IMAGES).tolist() == [1, 1, 1, 1]
    assert sys.path == before


def test_python_function_with_scale(module):
    name = module("def answer(images):\n    return images[:, 0, 0]\n")
    answer = open_suspect(f"python:{name}:answer", **FITTING, convention=Convention(255.0))(IMAGES)
    np.testing.assert_array_equal(answer, np.full((4, 1), 127.5, np.float32))
    assert answer.dtype == np.float32


def test_classifier_directory(tmp_path, stand_in_classifier):
    (tmp_path / "config.json").write_text("{}")
    suspect = open_suspect(str(tmp_path), **FITTING)
    assert suspect.opened == ("load", tmp_path)
    with pytest.raises(SuspectError, match="scales its inputs itself"):
        open_suspect(str(tmp_path), **FITTING, convention=Convention(255.0))


def test_a_known_misfit_is_refused_on_opening(tmp_path, stand_in_classifier):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SuspectError, match="10 classes"):
        open_suspect(str(tmp_path), input_shape=(2, 2, 1), classes=10)
    with pytest.raises(SuspectError, match="inputs of shape"):
        open_suspect(str(tmp_path), input_shape=(32, 32, 3), classes=3)


def test_a_renamed_hdf5_file_is_refused(tmp_path):
    path = tmp_path / "renamed.keras"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(SuspectError, match=r"not in the \.keras format"):
        open_suspect(str(path), **FITTING)


def test_a_classifier_that_cannot_be_loaded(tmp_path, stand_in_classifier, monkeypatch):
    (tmp_path / "config.json").write_text("{}")

    def fail(directory):
        raise OSError("weights are\ngone")

    monkeypatch.setattr(stand_in_classifier, "load", fail)
    with pytest.raises(SuspectError) as caught:
        open_suspect(str(tmp_path), **FITTING)
    assert str(caught.value) == f"{tmp_path}: cannot be opened: OSError: weights are"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere", "no such file"),
        ("ftp://host/model", "expected an address of http:// or https://"),
        ("", "expected a classifier directory"),
        ("weights.npz", "expected a classifier directory"),
        ("python:", "expected python:module:function"),
        ("python:their_model", "expected python:module:function"),
        ("python:their_model:a.b", "expected python:module:function"),
        ("python::answer", "expected python:module:function"),
        ("python:their_model:nothing", "expected a function nothing"),
        ("python:their_model:number", "expected a function number"),
        ("python:no_such_module_here:f", "cannot be opened: ModuleNotFoundError"),
    ],
)
def test_wrong_specs_are_one_line_that_names_the_spec(module, tmp_path, spec, message):
    module("number = 3\n")
    (tmp_path / "weights.npz").write_bytes(b"")
    with pytest.raises(SuspectError, match=message) as caught:
        open_suspect(spec, **FITTING)
    assert str(caught.value).startswith(f"{spec}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["import sys\nsys.exit(0)\n", "1 / 0\n", "def (\n"])
def test_a_module_that_fails_on_import(module, text):
    with pytest.raises(SuspectError, match="cannot be opened"):
        open_suspect(f"python:{module(text)}:answer", **FITTING)


def test_every_ending_has_a_loader():
    assert {*suspects.FILES.values(), "saved_model"} == set(loaders.LOADERS)
