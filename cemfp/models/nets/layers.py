"""The pieces that several nets share."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

Norm = Callable[[tf.Tensor], tf.Tensor]

WEIGHT_INIT = "he_normal"


def normalised_input(input_shape: tuple[int, int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the input tensor, x in [0, 1], and the same scaled to [-2, 2].

    Scaling is part of the net, so that a caller never has to know it. One fixed scale for every
    data set: batch norm absorbs the rest.
    """
    inputs = tf.keras.Input(input_shape, name="image")
    return inputs, tf.keras.layers.Rescaling(4.0, offset=-2.0, name="preprocessing")(inputs)


def convolution(x: tf.Tensor, filters: int, kernel: int = 3, strides: int = 1) -> tf.Tensor:
    """Convolve without bias: every convolution here is followed by batch norm, which has one."""
    return tf.keras.layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=WEIGHT_INIT,
    )(x)


def batch_norm(x: tf.Tensor) -> tf.Tensor:
    """Normalise over the batch; momentum suits runs of a few thousand steps."""
    return tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def group_norm(x: tf.Tensor) -> tf.Tensor:
    """Normalise each image by itself, in up to 8 groups of channels."""
    groups = math.gcd(8, x.shape[-1])
    return tf.keras.layers.GroupNormalization(groups, epsilon=1e-5)(x)


NORMS: dict[str, Norm] = {"batch": batch_norm, "group": group_norm}


def logits(x: tf.Tensor, classes: int) -> tf.Tensor:
    """Return one float32 score per class: a loss in bfloat16 would lose the small differences."""
    x = tf.keras.layers.Dense(classes, kernel_initializer=WEIGHT_INIT, name="head")(x)
    return tf.keras.layers.Activation("linear", dtype="float32", name="logits")(x)
