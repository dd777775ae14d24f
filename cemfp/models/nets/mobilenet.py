"""MobileNetV2 for small images [Sandler18], an attacker of [Lukas21] on ImageNet32.

Sandler18: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen. MobileNetV2: Inverted Residuals
and Linear Bottlenecks. CVPR 2018.
"""

from __future__ import annotations

import tensorflow as tf

from cemfp.models.nets import layers

# [Sandler18, Table 2]: expansion, channels at full width, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),  # stride 2 in the original
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
FULL_WIDTH, LAST = 32, 1280


def mobilenetv2(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = FULL_WIDTH,
    large: bool = False,
) -> tf.keras.Model:
    """Build a MobileNetV2, by default in its CIFAR form.

    Args:
        input_shape: Height, width and channels; x in [0, 1].
        classes: Number of classes; the net returns logits (n, classes), float32.
        width: Channels of the stem; all other layers shrink or grow with it. Defaults to 32, the
            original's.
        large: Whether stem and second stage halve the image's side, as in the original, which is
            made for 224 x 224. Defaults to not: the form for 32 x 32.

    Raises:
        ValueError: `width` is below 1.
    """
    if width < 1:
        raise ValueError(f"expected width >= 1, 32 for the original's. Received: width {width}")
    inputs, x = layers.normalised_input(input_shape)
    x = _active(layers.convolution(x, width, strides=2 if large else 1))
    for stage, (expansion, channels, blocks, stride) in enumerate(STAGES):
        first = 2 if large and stage == 1 else stride
        for block in range(blocks):
            filters = _scaled(channels, width)
            x = _inverted_residual(x, expansion, filters, strides=1 if block else first)
    x = _active(layers.convolution(x, _scaled(LAST, width), kernel=1))
    x = tf.keras.layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.logits(x, classes), name="mobilenetv2")


def _scaled(channels: int, width: int) -> int:
    return max(1, channels * width // FULL_WIDTH)


def _inverted_residual(x: tf.Tensor, expansion: int, filters: int, *, strides: int) -> tf.Tensor:
    """Widen, convolve each channel alone, narrow without a ReLU; add the input where it fits."""
    y = x
    if expansion > 1:
        y = _active(layers.convolution(y, expansion * x.shape[-1], kernel=1))
    y = tf.keras.layers.DepthwiseConv2D(
        3,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=layers.WEIGHT_INIT,
    )(y)
    y = layers.batch_norm(layers.convolution(_active(y), filters, kernel=1))
    return tf.keras.layers.Add()([x, y]) if strides == 1 and x.shape[-1] == filters else y


def _active(x: tf.Tensor) -> tf.Tensor:
    return tf.keras.layers.ReLU(6.0)(layers.batch_norm(x))
