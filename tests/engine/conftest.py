"""What the tests of jobs share."""

import pytest
import tensorflow as tf

from cemfp.models.nets import NETS


@pytest.fixture
def quick_net(monkeypatch):
    """In place of a ResNet a linear net, which compiles at once."""

    def build(shape, classes, *, width, depth):
        inputs = tf.keras.Input(shape)
        x = tf.keras.layers.Flatten()(inputs)
        return tf.keras.Model(inputs, tf.keras.layers.Dense(classes, name="head")(x))

    monkeypatch.setitem(NETS, "resnet20", build)
