"""Net builders by name: `NETS[name](input_shape, classes, **arguments)` is a Keras model.

It takes x in [0, 1] and returns logits.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from cemfp.nets.resnet import resnet

NETS: dict[str, Callable[..., tf.keras.Model]] = {"resnet20": resnet}

__all__ = ["NETS"]
