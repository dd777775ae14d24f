"""A net like a given one, to be trained anew: its layers and preprocessing, not what it learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from cemfp.models.classifier import Classifier
from cemfp.models.known_layers import MODELS
from cemfp.models.nets import NETS
from cemfp.models.rebuilding import build, check_same, describe

_HALVES = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def net_like(classifier: Classifier) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """Return net, arguments and architecture of a net like `classifier`'s, to be trained.

    Mean and variance of a `Normalization` stay; batch norm starts anew. In the training batch norm
    and dropout work, whatever mode the model calls them in, every layer learns, all in float32.

    Raises:
        ArchitectureError: It has layers that are not known.
    """
    config = classifier.config
    if config.net in NETS:
        return config.net, dict(config.arguments), None
    architecture = describe(classifier.model)
    model = build(architecture, fresh=False)
    check_same(classifier.model, model)
    _keep_statistics(architecture, model)
    return config.net, dict(config.arguments), _anew(architecture)


def build_net(
    net: str,
    arguments: Mapping[str, Any],
    architecture: dict[str, Any] | None,
    shape: tuple[int | None, ...],
    classes: int,
) -> tf.keras.Model:
    """Return a net with fresh weights: one of `NETS`, or of `architecture`.

    Raises:
        ValueError: The architecture is for other images or classes, or is to learn from crops.
    """
    if architecture is None:
        return NETS[net](shape, classes, **arguments)
    model = build(architecture)
    own = tuple(model.input_shape[1:])
    if None in shape:
        raise ValueError(f"expected images of the net's own size {own}, not crops; set crop to 0")
    if (own, model.output_shape[1]) != (tuple(shape), classes):
        raise ValueError(
            f"expected data of the net's input {own} and {model.output_shape[1]} classes. "
            f"Received: {tuple(shape)} and {classes}; take a net that fits"
        )
    return model


def _keep_statistics(architecture: dict[str, Any], model: tf.keras.Model) -> None:
    """Write what `Normalization` layers learned from data into their settings."""
    for layer in architecture["config"]["layers"]:
        config = layer["config"]
        if layer["class_name"] in MODELS:
            _keep_statistics(layer, model.get_layer(config["name"]))
        elif layer["class_name"] == "Normalization" and config.get("mean") is None:
            made = model.get_layer(config["name"])
            config.update(mean=made.mean.numpy().tolist(), variance=made.variance.numpy().tolist())


def _anew(value: Any) -> Any:
    """Return a description without seeds, frozen layers, half precision and inference mode."""
    if isinstance(value, list):
        return [_anew(part) for part in value]
    if not isinstance(value, dict):
        return value
    changed = {"seed": None, "trainable": True}
    made = {key: changed.get(key, _anew(part)) for key, part in value.items()}
    if made.get("training") is False:
        del made["training"]
    if "dtype" in made and (isinstance(made["dtype"], dict) or made["dtype"] in _HALVES):
        made["dtype"] = "float32"
    return made
