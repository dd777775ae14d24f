"""VGG nets for small images [Simonyan15], attackers of [Lukas21].

Simonyan15: K. Simonyan, A. Zisserman. Very Deep Convolutional Networks for Large-Scale Image
Recognition. ICLR 2015.
"""

from __future__ import annotations

import tensorflow as tf

from cemfp.models.nets import layers

# Convolutions of each stage, by the number that the net is known by.
STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDEST = 8  # stages double their channels up to 8 `width`


def vgg(
    input_shape: tuple[int, int, int], classes: int, *, width: int = 64, depth: int = 16
) -> tf.keras.Model:
    """Build a VGG16 or VGG19 in its CIFAR form: batch norm, global pooling, one dense layer.

    The three dense layers of the original are made for a 7 x 7 map of ImageNet's large images; a
    32 x 32 image is 1 x 1 there.

    Args:
        input_shape: Height, width and channels; x in [0, 1].
        classes: Number of classes; the net returns logits (n, classes), float32.
        width: Channels of the first stage. Defaults to 64.
        depth: 16 or 19, the original's number of weighted layers. Defaults to 16.

    Raises:
        ValueError: `depth` is neither 16 nor 19, or `width` is below 1.
    """
    if depth not in STAGES or width < 1:
        raise ValueError(
            "expected depth 16 or 19 and width >= 1. "
            f"Received: depth {depth}, width {width}; leave the depth to the net's name"
        )
    inputs, x = layers.normalised_input(input_shape)
    x = tf.keras.layers.GlobalAveragePooling2D()(convolutions(x, width, depth))
    return tf.keras.Model(inputs, layers.logits(x, classes), name=f"vgg{depth}")


def convolutions(x: tf.Tensor, width: int, depth: int) -> tf.Tensor:
    """Return the last feature map of a VGG net: five stages, each of half the size."""
    for stage, count in enumerate(STAGES[depth]):
        for _ in range(count):
            x = layers.convolution(x, width * min(2**stage, WIDEST))
            x = tf.keras.layers.ReLU()(layers.batch_norm(x))
        # `same`, so that a crop of 20 pixels does not end with an empty map.
        x = tf.keras.layers.MaxPooling2D(padding="same")(x)
    return x
