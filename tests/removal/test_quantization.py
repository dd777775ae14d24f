"""Quantised weights by hand, and a real conversion to TensorFlow Lite."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.removal import RemovalError, remove
from cemfp.removal.kernels import channel_axes, values
from cemfp.removal.quantization import Quantize, TFLiteInt8, quantized
from cemfp.suspects import answer_labels, open_suspect
from tests.removal.untrained import thief_of, untrained_victim, vectors


def test_a_channel_by_hand():
    # 3 bits: q from -3 to 3. Channel 0: step 0.6 / 3 = 0.2, so 0.35 -> 1.75 -> 2 -> 0.4,
    # -0.6 -> -3 -> -0.6, 0.15 -> 0.75 -> 1 -> 0.2. Channel 1 is ten times that. Channel 2 is zero.
    channel = np.array([0.35, -0.6, 0.15], np.float32)
    kernel = np.stack([channel, 10 * channel, 0 * channel], axis=1)
    expected = np.array([[0.4, 4.0, 0.0], [-0.6, -6.0, 0.0], [0.2, 2.0, 0.0]])
    np.testing.assert_allclose(quantized(kernel, 3), expected, rtol=1e-6)


def test_depthwise_kernels_have_their_channels_in_two_axes():
    layer = tf.keras.layers.DepthwiseConv2D(1, depth_multiplier=2)
    layer.build((None, 4, 4, 3))
    assert channel_axes(layer.depthwise_kernel) == (2, 3)
    # One weight in each channel: each is its channel's largest, which is on the grid.
    kernel = layer.depthwise_kernel.numpy()
    np.testing.assert_allclose(quantized(kernel, 2, (2, 3)), kernel, rtol=1e-6)


def test_all_kernels_are_on_a_grid_and_nothing_else_changes():
    victim = untrained_victim()
    before = victim.weights_sha256
    removal = remove(Quantize(3), thief_of(victim))
    model, facts = removal.classifier.model, removal.summary["facts"]
    for kernel in values(model):
        channels = kernel.reshape(-1, kernel.shape[-1]).T
        assert max(len(np.unique(channel)) for channel in channels) <= 2**3 - 1
    for mine, theirs in zip(vectors(model), vectors(victim.model), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    # At most half a step of 1/3 of the channel's largest weight.
    assert facts["bits"] == 3 and 0.1 < facts["max_relative_error"] <= 1 / 6 + 1e-6
    assert victim.weights_sha256 == before and removal.summary["recipe"] is None
    assert removal.summary["precision"] is None


@pytest.mark.parametrize("make", [lambda: Quantize(1), lambda: Quantize(17), lambda: TFLiteInt8(0)])
def test_bad_options_are_one_line(make):
    with pytest.raises(RemovalError, match=r"^expected [^\n]*Received: [^\n]*$"):
        make()


def test_tflite_answers_as_keras_does_and_is_a_suspect(tiny_zoo, tmp_path, capfd):
    victim = tiny_zoo.load("source")
    before, thief = victim.weights_sha256, thief_of(victim)
    removal = remove(TFLiteInt8(samples=100), thief)
    assert removal.summary["agreement"] > 0.95
    assert removal.summary["facts"]["samples"] == 100
    assert victim.weights_sha256 == before
    assert capfd.readouterr() == ("", "")
    removal.save(tmp_path / "thief")
    suspect = open_suspect(str(tmp_path / "thief"), input_shape=(8, 8, 1), classes=10)
    images = thief.dataset.test.images
    np.testing.assert_array_equal(
        answer_labels(suspect, images, 10), removal.classifier.predict_labels(images)
    )
