"""Classifiers small enough to follow by hand."""

import functools

import numpy as np
import tensorflow as tf

from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.roles import Origin, Role


def linear(kernel, bias=None, *, shape=(1, 1, 2), role=Role.SOURCE, origin=Origin.SOURCE):
    """Logits = flattened image @ kernel + bias."""
    kernel = np.asarray(kernel, np.float32)
    bias = np.zeros(kernel.shape[1]) if bias is None else np.asarray(bias)
    return _linear(tuple(map(tuple, kernel.tolist())), tuple(bias.tolist()), shape, role, origin)


def helper(kernel, origin, role=Role.DEFENDER, **options):
    """A linear surrogate or reference."""
    return linear(kernel, role=role, origin=origin, **options)


@functools.cache  # nothing changes a classifier, and each compiles its own prediction
def _linear(kernel, bias, shape, role, origin):
    inputs = tf.keras.Input(shape)
    dense = tf.keras.layers.Dense(len(bias))
    model = tf.keras.Model(inputs, dense(tf.keras.layers.Flatten()(inputs)))
    dense.set_weights([np.array(kernel), np.array(bias)])
    return Classifier(model, ClassifierConfig("keras", shape, len(bias), {}, role, origin))
