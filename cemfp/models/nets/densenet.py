"""Densely connected nets for small images [Huang17, Sec. 3]: DenseNet-BC, an attacker of [Lukas21].

Huang17: G. Huang, Z. Liu, L. van der Maaten, K. Weinberger. Densely Connected Convolutional
Networks. CVPR 2017.
"""

from __future__ import annotations

import tensorflow as tf

from cemfp.models.nets import layers

BLOCKS = 3
BOTTLENECK = 4  # a 1x1 convolution makes 4 `width` channels before the 3x3 one reads them


def densenet(
    input_shape: tuple[int, int, int], classes: int, *, width: int = 12, depth: int = 40
) -> tf.keras.Model:
    """Build a DenseNet-BC of `depth` = 6n + 4 layers; every layer adds `width` channels.

    Three dense blocks of n layers; between them the channels and the side are halved.

    Args:
        input_shape: Height, width and channels; x in [0, 1].
        classes: Number of classes; the net returns logits (n, classes), float32.
        width: Growth rate, channels that each layer adds. Defaults to 12.
        depth: Number of weighted layers. Defaults to 40.

    Raises:
        ValueError: `depth` is not 6n + 4, or `width` is below 1.
    """
    size, remainder = divmod(depth - 4, 2 * BLOCKS)
    if size < 1 or remainder or width < 1:
        raise ValueError(
            "expected depth 10, 16, 22, ..., 40, ... and width >= 1. "
            f"Received: depth {depth}, width {width}; choose such a depth"
        )
    inputs, x = layers.normalised_input(input_shape)
    x = layers.convolution(x, 2 * width)
    for block in range(BLOCKS):
        if block:
            x = layers.convolution(_active(x), x.shape[-1] // 2, kernel=1)
            x = tf.keras.layers.AveragePooling2D(padding="same")(x)
        for _ in range(size):
            y = layers.convolution(_active(x), BOTTLENECK * width, kernel=1)
            x = tf.keras.layers.Concatenate()([x, layers.convolution(_active(y), width)])
    x = tf.keras.layers.GlobalAveragePooling2D()(_active(x))
    return tf.keras.Model(inputs, layers.logits(x, classes), name=f"densenet{depth}")


def _active(x: tf.Tensor) -> tf.Tensor:
    """Normalise and cut off before a convolution, not behind it: its input has many readers."""
    return tf.keras.layers.ReLU()(layers.batch_norm(x))
