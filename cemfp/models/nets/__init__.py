"""Net builders by name: `NETS[name](input_shape, classes, **arguments)` is a Keras model.

It takes x in [0, 1] and returns logits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from cemfp.models.nets.cnn1 import cnn1
from cemfp.models.nets.densenet import densenet
from cemfp.models.nets.imagenet import imagenet_vgg
from cemfp.models.nets.mobilenet import mobilenetv2
from cemfp.models.nets.resnet import resnet
from cemfp.models.nets.vgg import vgg

NETS: dict[str, Callable[..., tf.keras.Model]] = {
    "resnet20": resnet,
    "resnet56": functools.partial(resnet, depth=56),
    "densenet": densenet,
    "vgg16": functools.partial(vgg, depth=16),
    "vgg19": functools.partial(vgg, depth=19),
    "mobilenetv2": mobilenetv2,
    "cnn1": cnn1,
    "imagenet-vgg16": imagenet_vgg,
    "imagenet-vgg19": functools.partial(imagenet_vgg, depth=19),
}

__all__ = ["NETS"]
