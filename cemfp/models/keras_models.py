"""A user's own Keras classifier: opened, checked, given logits at its end, its layers by reach."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from cemfp.models import rebuilding
from cemfp.models.convention import Convention
from cemfp.models.directory import ClassifierError

_PROBABILITIES = (tf.keras.activations.softmax, tf.keras.activations.sigmoid)
# Of a model whose softmax cannot be taken off: its logarithm is finite.
LEAST_PROBABILITY = 1e-30


def load_keras(path: Path) -> tf.keras.Model:
    """Return the model of a `.keras` file, which may run code.

    Raises:
        ClassifierError: It is another file, or Keras cannot load it.
    """
    if path.suffix != ".keras":
        raise ClassifierError(
            f"expected a .keras file. Received: {path}; .h5 files run code unchecked: "
            "save with model.save('x.keras')"
        )
    if not zipfile.is_zipfile(path):
        found = "another file, or part of one" if path.exists() else "no such file"
        raise ClassifierError(f"{path}: expected a .keras file, a ZIP archive. Received: {found}")
    try:
        with rebuilding.application_layers():
            return tf.keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for a broken or foreign file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ClassifierError(
            f"{path}: Keras cannot load it ({reason[:200]}); a model with Lambda or custom layers "
            "needs your code: load it in Python, and pass Classifier.from_keras(model) on"
        ) from error


def check_signature(name: str, shape: Any, output: Any) -> None:
    """Refuse what is no classifier of images of one size.

    Args:
        name: What the model is called in messages.
        shape: Its `input_shape`; only the number of images may be open.
        output: Its `output_shape`.

    Raises:
        ClassifierError: It is not from images (n, h, w, c) to scores (n, classes).
    """
    expected = f"{name}: expected a Keras model from images (n, h, w, c) to scores (n, classes)"
    # Keras gives a list, or a tuple of tuples, for several.
    if any(not isinstance(x, tuple) or (x and isinstance(x[-1], tuple)) for x in (shape, output)):
        raise ClassifierError(
            f"{expected}. Received: one that was never built, or has several inputs or outputs; "
            "call it on images once, and give it one input and one output"
        )
    if len(shape) == 4 and None in shape[1:]:
        raise ClassifierError(
            f"{name}: expected a Keras model of a fixed input size. Received: {shape}; put "
            "tf.keras.Input((h, w, c)) in front of it and save that"
        )
    if not _is_fixed(shape, 4) or not _is_fixed(output, 2):
        raise ClassifierError(f"{expected}. Received: one from {shape} to {output}")
    if output[-1] < 2:
        raise ClassifierError(
            f"{name}: expected at least two output units, one for each class. Received: one; "
            "give it two, with a softmax"
        )


def _is_fixed(shape: Any, rank: int) -> bool:
    """Whether it is the shape of one tensor in which only the number of images is open."""
    return isinstance(shape, tuple) and len(shape) == rank and None not in shape[1:]


def with_logits(model: tf.keras.Model, convention: Convention) -> tf.keras.Model:
    """Return a model of images in [0, 1] that feeds `model` and returns float32 logits.

    Args:
        model: From images (n, h, w, c) to logits or probabilities (n, classes); its weights are
            shared, not copied.
        convention: What `model` wants to be fed.
    """
    inputs = tf.keras.Input(model.input_shape[1:])
    bare = logits_model(_with_float_input(model))
    scores = bare(convention(inputs), training=False)
    scores = tf.keras.layers.Activation("linear", dtype="float32")(scores)
    if _gives_probabilities(bare):
        scores = tf.math.log(tf.maximum(scores, LEAST_PROBABILITY))
    return tf.keras.Model(inputs, scores)


def _with_float_input(model: tf.keras.Model) -> tf.keras.Model:
    """Return the same layers behind an input of float32, where the model's own is of whole numbers.

    Keras casts what a model is given to its input's type, and a cast to whole numbers has no
    gradient. On whole numbers, which 8-bit images are, both answer alike.
    """
    kinds = [tf.as_dtype(x.dtype) for x in model.inputs or ()]
    if all(kind.is_floating for kind in kinds):
        return model
    inputs = tf.keras.Input(model.input_shape[1:])
    return tf.keras.models.clone_model(model, inputs, clone_function=lambda layer: layer)


def logits_model(model: tf.keras.Model) -> tf.keras.Model:
    """Return the model up to its logits: a softmax at the end would starve every gradient.

    The same for one sigmoid for each class: what goes into them orders the classes alike.
    """
    node = getattr(model.output, "node", None)
    if node is None or node.layer is model:  # not a graph of layers
        return model
    last, before = node.layer, node.keras_inputs[0]
    if isinstance(last, tf.keras.Model):
        inner = logits_model(last)
        return model if inner is last else tf.keras.Model(model.inputs, inner(before))
    if isinstance(last, tf.keras.layers.Softmax):
        return tf.keras.Model(model.inputs, before)
    if getattr(last, "activation", None) not in _PROBABILITIES:
        return model
    if isinstance(last, tf.keras.layers.Activation):
        return tf.keras.Model(model.inputs, before)
    linear = type(last).from_config(last.get_config() | {"activation": "linear"})
    logits = linear(before)
    linear.set_weights(last.get_weights())
    return tf.keras.Model(model.inputs, logits)


def layers_of(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """Return a model's layers in order; a model inside is not one of them, its layers are."""
    parts = [layers_of(x) if isinstance(x, tf.keras.Model) else [x] for x in model.layers]
    return [layer for part in parts for layer in part]


def last_dense(model: tf.keras.Model) -> tf.keras.layers.Dense:
    """Return the last dense layer: the head of a classifier.

    Raises:
        ValueError: There is none.
    """
    dense = [layer for layer in layers_of(model) if isinstance(layer, tf.keras.layers.Dense)]
    if not dense:
        raise ValueError(
            f"expected a net with a dense layer. Received: {model.name} without; "
            "choose an attack that does not treat the last layer by itself"
        )
    return dense[-1]


def _gives_probabilities(model: tf.keras.Model) -> bool:
    """Whether the outputs for random images are distributions: a softmax in a form of its own."""
    probe = tf.random.stateless_uniform((8, *model.input_shape[1:]), (0, 0))
    scores = tf.cast(model(probe, training=False), tf.float32)
    sums = tf.reduce_sum(scores, axis=-1)
    return bool(tf.reduce_all(scores >= 0) and tf.reduce_all(tf.abs(sums - 1.0) < 1e-2))


def kernels_of(model: tf.keras.Model) -> list[tf.Variable]:
    """Return the kernels of convolutions and dense layers, in the order of the weights."""
    return [weight for weight in model.weights if "kernel" in weight.name]
