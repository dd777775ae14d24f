"""CNN-1, the base model on CIFAR-10 of [Wang21, A.5]: thirteen convolutions, three dense layers.

Wang21: S. Wang, X. Wang, P.-Y. Chen, P. Zhao, X. Lin. High-Robustness, Low-Transferability
Fingerprinting of Neural Networks. ICLR 2021 Workshop on Security and Safety in ML Systems.
"""

from __future__ import annotations

import tensorflow as tf

from cemfp.models.nets import layers
from cemfp.models.nets.vgg import convolutions

HIDDEN_LAYERS = 2  # the third dense layer is the head


def cnn1(input_shape: tuple[int, int, int], classes: int, *, width: int = 64) -> tf.keras.Model:
    """Build a net of VGG16's shape, dense layers included.

    The paper says no more of it than the numbers of layers. Batch norm after every layer but the
    last lets it learn in a few epochs; a 32 x 32 image is 1 x 1 before the dense layers, so that
    pooling there is flattening, and smaller training crops fit, too.

    Args:
        input_shape: Height, width and channels; x in [0, 1].
        classes: Number of classes; the net returns logits (n, classes), float32.
        width: Channels of the first stage; the dense layers have 8 `width`. Defaults to 64.

    Raises:
        ValueError: `width` is below 1.
    """
    if width < 1:
        raise ValueError(f"expected width >= 1. Received: {width}")
    inputs, x = layers.normalised_input(input_shape)
    x = tf.keras.layers.GlobalAveragePooling2D()(convolutions(x, width, depth=16))
    for _ in range(HIDDEN_LAYERS):
        x = tf.keras.layers.Dense(
            x.shape[-1], use_bias=False, kernel_initializer=layers.WEIGHT_INIT
        )(x)
        x = tf.keras.layers.ReLU()(layers.batch_norm(x))
    return tf.keras.Model(inputs, layers.logits(x, classes), name="cnn1")
