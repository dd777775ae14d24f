"""From a Keras model to its architecture, which is JSON of known layers, and back."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cemfp.models.architecture import ArchitectureError, check
from cemfp.models.known_layers import APPLICATIONS

MOST_PARAMETERS = 2**30  # of an architecture that comes without weights
MOST_OUTPUTS = 2**28  # numbers that all layers together give for one image
PROBES = 2  # random images that a rebuilt model must answer alike
OUTER = "layer"  # what the layers around a user's model are called, with a number


def describe(model: tf.keras.Model) -> dict[str, Any]:
    """Return the architecture of `model`; two models of the same layers have the same one.

    The layers at the top level, which are ours, are named by their place: Keras' names for them
    depend on what else the process built.

    Raises:
        ArchitectureError: It has layers or functions that are not known to be pure, is no graph of
            layers, or is not what Keras makes of its description.
    """
    try:
        made = tf.keras.saving.serialize_keras_object(model)
        made = _without_builds(json.loads(json.dumps(made)))
    except Exception as error:  # a user's layer may raise anything, or give what is no JSON
        raise ArchitectureError(f"Keras cannot describe it ({_reason(error)})") from error
    check(made)
    _rename(made)
    return made


def build(
    architecture: dict[str, Any], *, most: int = MOST_PARAMETERS, fresh: bool = True
) -> tf.keras.Model:
    """Return a model of `architecture`.

    Args:
        architecture: What `describe` returned, perhaps to a stranger.
        most: Weights, counted in numbers, that it may have; nothing beyond is allocated.
        fresh: Whether to draw initial weights; else they are zero, to be set.

    Raises:
        ArchitectureError: It is not safe, too large, or does not fit together.
    """
    check(architecture)
    try:
        with tf.variable_creator_scope(_creator(most, fresh)), application_layers():
            model = tf.keras.saving.deserialize_keras_object(copy.deepcopy(architecture))
    except ArchitectureError:
        raise
    except Exception as error:  # Keras raises many kinds for what does not fit together
        raise ArchitectureError(f"Keras cannot build it ({_reason(error)})") from error
    outputs = sum(_numbers(layer.output) for layer in _called(model))
    if outputs > MOST_OUTPUTS:
        raise ArchitectureError(
            f"expected at most {MOST_OUTPUTS} numbers for an image. Received: {outputs}"
        )
    return model


def check_same(model: tf.keras.Model, again: tf.keras.Model) -> None:
    """Give `again` the weights of `model`, and see that both answer alike.

    Raises:
        ArchitectureError: They do not: Keras' description left something out.
    """
    try:
        again.set_weights(model.get_weights())
        images = np.random.default_rng(0).random((PROBES, *model.input_shape[1:]), np.float32)
        ours, theirs = (np.asarray(x(images, training=False)) for x in (again, model))
    except Exception as error:  # whatever a user's layers raise
        raise ArchitectureError(f"not the model that it describes ({_reason(error)})") from error
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, 1e-3, 1e-4, equal_nan=True):
        raise ArchitectureError("Keras' description leaves out a part of it")


def _without_builds(value: Any) -> Any:
    """Drop the shapes that layers were built with: the graph says them again."""
    if isinstance(value, dict):
        return {k: _without_builds(v) for k, v in value.items() if k not in _NOT_KEPT}
    return [_without_builds(part) for part in value] if isinstance(value, list) else value


_NOT_KEPT = ("build_config", "compile_config", "shared_object_id")


def _rename(architecture: dict[str, Any]) -> None:
    """Name the model and the layers at its top level by their place."""
    config = architecture["config"]
    names = {x["config"]["name"]: f"{OUTER}_{i}" for i, x in enumerate(config["layers"])}
    config["name"] = OUTER
    for layer in config["layers"]:
        layer["config"]["name"] = names[layer["config"]["name"]]
        if "name" in layer:
            layer["name"] = layer["config"]["name"]
    for layer in config["layers"]:
        if "inbound_nodes" in layer:
            layer["inbound_nodes"] = _renamed(layer["inbound_nodes"], names)
    for key in ("input_layers", "output_layers"):
        if key in config:
            config[key] = _renamed(config[key], names)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Replace names where they are references: at the start of a list of three or four."""
    if isinstance(value, dict):
        return {key: _renamed(part, names) for key, part in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) in (3, 4) and isinstance(value[0], str):
        return [names.get(value[0], value[0]), *(_renamed(part, names) for part in value[1:])]
    return [_renamed(part, names) for part in value]


def _creator(most: int, fresh: bool) -> Callable[..., tf.Variable]:
    """Return what makes each variable: it counts first, and refuses before it allocates."""
    left = most

    def create(following: Any, **settings: Any) -> tf.Variable:
        """Count a variable, then let Keras make it."""
        nonlocal left
        shape, initial = settings.get("shape"), settings.get("initial_value")
        if shape is not None and callable(initial):
            left -= tf.TensorShape(shape).num_elements() or 0
            if left < 0:
                raise ArchitectureError(f"expected at most {most} weights. Received: more")
            if not fresh:
                dtype = settings.get("dtype") or tf.float32
                settings["initial_value"] = lambda: tf.zeros(shape, dtype)
        return following(**settings)

    return create


def application_layers() -> contextlib.AbstractContextManager[Any]:
    """Let Keras find those layers of its own applications that it does not register."""
    from keras.src.applications import convnext  # type: ignore[import-untyped]

    found = {name: getattr(convnext, name) for name in sorted(APPLICATIONS)}
    return tf.keras.utils.custom_object_scope(found)


def _called(model: tf.keras.Model) -> list[Any]:
    """Return the layers of a model and of those inside that were called once."""
    parts = [_called(x) if isinstance(x, tf.keras.Model) else [x] for x in model.layers]
    return [layer for part in parts for layer in part if len(layer.inbound_nodes) == 1]


def _numbers(outputs: Any) -> int:
    """Return how many numbers outputs are, for one image."""
    return sum(math.prod(s or 1 for s in x.shape[1:]) for x in tf.nest.flatten(outputs))


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
