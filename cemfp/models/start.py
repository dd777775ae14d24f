"""Public pre-trained weights as the start of trainings: what every independent owner also has.

Layers are matched in their order, as far as the shapes are the same; where that is not most of the
net, by name and shape, as Keras' own `load_weights(by_name=True)` does. Names come second, since
Keras numbers the layers that have none. What is not in the file, the last layer as a rule, keeps
its fresh weights. Only arrays are read.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

from cemfp.models.classifier import Classifier
from cemfp.models.convention import UNIT
from cemfp.models.directory import CONFIG, KERAS_FILE
from cemfp.models.keras_models import layers_of

Named = dict[str, list[np.ndarray]]

HDF5 = ".h5"
# With less of a net's weights in the file, it is most likely another net's.
LEAST_SHARE = 0.5


class StartError(ValueError):
    """Weights to start from are missing, damaged or of another net; the message says what to do."""


def read_start(path: Path) -> Named:
    """Return the arrays of each layer by its name.

    Args:
        path: Weights in an `.h5` file as Keras distributes them, a `.keras` file, or a classifier
            directory.

    Raises:
        StartError: It is none of them, or its numbers are not finite.
    """
    if path.suffix == HDF5:
        named = _read_hdf5(path)
    elif (path / CONFIG).is_file():
        named = _of_model(Classifier.load(path).model)
    elif path.suffix == ".keras" or (path / KERAS_FILE).is_file():
        file = path if path.is_file() else path / KERAS_FILE
        named = _of_model(Classifier.from_keras(file, **dataclasses.asdict(UNIT)).model)
    else:
        raise _error(path, "something else" if path.exists() else "no such file")
    if not all(np.isfinite(array).all() for arrays in named.values() for array in arrays):
        raise _error(path, "NaN or infinity")
    return named


def begin_from(model: tf.keras.Model, named: Named) -> float:
    """Put the arrays into the layers of `model` that are theirs, by order or by name.

    Returns:
        The share of the model's weights that came from there.
    """
    own = [layer for layer in layers_of(model) if layer.weights]
    size = max(model.count_params(), 1)
    in_order = list(itertools.takewhile(_fits, zip(own, named.values(), strict=False)))
    if sum(layer.count_params() for layer, _ in in_order) < LEAST_SHARE * size:
        in_order = [pair for layer in own if _fits(pair := (layer, named.get(layer.name, [])))]
    for layer, arrays in in_order:
        layer.set_weights(arrays)
    return sum(layer.count_params() for layer, _ in in_order) / size


def _fits(pair: tuple[tf.keras.layers.Layer, list[np.ndarray]]) -> bool:
    layer, arrays = pair
    return [x.shape for x in arrays] == [tuple(w.shape) for w in layer.weights]


def share_of(named: Named, model: tf.keras.Model, path: Path | str) -> float:
    """Return the share of a fresh model's weights that are among the arrays, and put them there.

    Raises:
        StartError: They are less than half of it.
    """
    if (share := begin_from(model, named)) < LEAST_SHARE:
        raise StartError(
            f"{path}: expected weights of the net: layers of the same name and shapes. Received: "
            f"{share:.0%} of it; name the file that the model started from, or leave --start out"
        )
    return share


def _of_model(model: tf.keras.Model) -> Named:
    return {layer.name: layer.get_weights() for layer in layers_of(model) if layer.weights}


def _read_hdf5(path: Path) -> Named:
    """Read Keras' older form: a group for each layer, which lists its arrays in their order."""
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            named: Named = {}
            for name, arrays in _groups(root):
                named.setdefault(name, []).extend(arrays)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _error(path, f"a damaged file, or one of another form ({reason[:100]})") from error
    if not named:
        raise _error(path, "no arrays")
    return named


def _groups(root: h5py.Group) -> Iterator[tuple[str, list[np.ndarray]]]:
    for layer in root.attrs["layer_names"]:
        group, whole = root[_text(layer)], _text(layer)
        for path in map(_text, group.attrs["weight_names"]):
            # The group of a model inside a model holds the arrays of all its layers.
            yield path.split("/")[-2] if "/" in path else whole, [_floats(group[path])]


def _floats(data: h5py.Dataset) -> np.ndarray:
    array = np.asarray(data)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"an array of {array.dtype}")
    return array.astype(np.float32)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _error(path: Path, received: str) -> StartError:
    return StartError(
        f"{path}: expected weights to start from: an .h5 file as Keras distributes them "
        "(model.save_weights('NAME.h5')), a .keras file or a classifier directory. "
        f"Received: {received}"
    )
