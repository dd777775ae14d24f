"""VGG16 and VGG19 as [Simonyan15] trained them on ImageNet, the nets of [Wang21, Table 1].

The topology is Keras' own, so that its published weights fit; see `cemfp.models.pretrained`.
"""

from __future__ import annotations

import tensorflow as tf

from cemfp.models.nets import layers

BASES = {16: tf.keras.applications.VGG16, 19: tf.keras.applications.VGG19}
HIDDEN = (4096, 4096)
SMALLEST = 32  # five stages halve the side
MEANS = (123.68, 116.779, 103.939)  # of ImageNet's red, green and blue, in grey levels


def imagenet_vgg(
    input_shape: tuple[int, int, int], classes: int, *, depth: int = 16
) -> tf.keras.Model:
    """Build a VGG net with its three dense layers, and its preprocessing inside.

    The weights are those of `tf.keras.applications` in number, order and shape. The first
    convolution reads red, green, blue, though, where the published weights read blue, green, red.

    Args:
        input_shape: Height, width and 3 channels, red first; x in [0, 1].
        classes: Number of classes; the net returns logits (n, classes), float32.
        depth: 16 or 19, the number of weighted layers. Defaults to 16.

    Raises:
        ValueError: Another depth, sides below 32 pixels or left open, or no colour image.
    """
    if depth not in BASES:
        raise ValueError(
            f"expected depth 16 or 19. Received: depth {depth}; leave the depth to the net's name"
        )
    if None in input_shape or min(input_shape[:2]) < SMALLEST or input_shape[2] != len(MEANS):
        raise ValueError(
            f"expected colour images of at least {SMALLEST} x {SMALLEST} pixels. "
            f"Received: {tuple(input_shape)}; choose the net vgg{depth} for others"
        )
    inputs = tf.keras.Input(input_shape, name="image")
    offset = [-mean for mean in MEANS]
    grey = tf.keras.layers.Rescaling(255.0, offset=offset, name="preprocessing")(inputs)
    x = BASES[depth](include_top=False, weights=None, input_tensor=grey).output
    x = tf.keras.layers.Flatten(name="flatten")(x)
    for place, units in enumerate(HIDDEN, 1):
        x = tf.keras.layers.Dense(units, activation="relu", name=f"fc{place}")(x)
    return tf.keras.Model(inputs, layers.logits(x, classes), name=f"imagenet_vgg{depth}")


def turn_channels(model: tf.keras.Model) -> None:
    """Turn a net's first convolution from blue, green, red to red, green, blue, or back."""
    first = next(x for x in model.layers if isinstance(x, tf.keras.layers.Conv2D))
    kernel, bias = first.get_weights()
    first.set_weights([kernel[:, :, ::-1], bias])
