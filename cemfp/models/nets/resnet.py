"""Residual nets for small images [He16, Sec. 4.2]: ResNet20 is the source model of [Lukas21]."""

from __future__ import annotations

import tensorflow as tf

from cemfp.models.nets import layers

STAGES = 3


def resnet(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = 16,
    depth: int = 20,
    norm: str = "batch",
) -> tf.keras.Model:
    """Build a ResNet of `depth` = 6n + 2 layers with `width`, 2 `width`, 4 `width` channels.

    Args:
        input_shape: Height, width and channels; x in [0, 1].
        classes: Number of classes; the net returns logits (n, classes), float32.
        width: Channels of the first stage. Defaults to 16, the paper's.
        depth: Number of weighted layers. Defaults to 20.
        norm: `batch`, or `group`: no image then depends on the others of its batch, which DP-SGD
            needs.

    Raises:
        ValueError: `depth` is not 6n + 2, `width` is below 1, or there is no such `norm`.
    """
    blocks, remainder = divmod(depth - 2, 2 * STAGES)
    if blocks < 1 or remainder or width < 1:
        raise ValueError(
            f"expected depth 8, 14, 20, ... and width >= 1. Received: depth {depth}, width {width}"
        )
    if norm not in layers.NORMS:
        raise ValueError(f"expected a norm among {', '.join(layers.NORMS)}. Received: {norm!r}")
    normalise = layers.NORMS[norm]
    inputs, x = layers.normalised_input(input_shape)
    x = tf.keras.layers.ReLU()(normalise(layers.convolution(x, width)))
    for stage in range(STAGES):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            x = _residual_block(x, width * 2**stage, normalise, strides=strides)
    x = tf.keras.layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.logits(x, classes), name=f"resnet{depth}")


def _residual_block(
    x: tf.Tensor, filters: int, normalise: layers.Norm, *, strides: int
) -> tf.Tensor:
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        # Not a strided convolution: for a 1 x 1 kernel with strides and fewer than 16 channels the
        # weight gradient is wrong on some processors, or the process dies (TensorFlow 2.15).
        chosen = tf.keras.layers.MaxPooling2D(1, strides, padding="same")(x) if strides > 1 else x
        shortcut = normalise(layers.convolution(chosen, filters, kernel=1))
    x = tf.keras.layers.ReLU()(normalise(layers.convolution(x, filters, strides=strides)))
    x = normalise(layers.convolution(x, filters))
    return tf.keras.layers.ReLU()(tf.keras.layers.Add()([x, shortcut]))
