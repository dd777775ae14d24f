"""CNN-1: the shape that the second paper names."""

import pytest
import tensorflow as tf

from cemfp.models.nets import NETS


def test_thirteen_convolutions_and_three_dense_layers():
    model = NETS["cnn1"]((32, 32, 3), 10)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == 13 and kinds.count("Dense") == 3
    # Weights by hand: kernels of 9 * (3*64 + 64*64 + 64*128 + 128*128 + 128*256 + 2*256*256
    # + 256*512 + 5*512*512) = 14,710,464; dense 512*512 twice = 524,288 and 512*10 + 10 = 5,130;
    # four numbers of batch norm for each channel: 2*64 + 2*128 + 3*256 + 6*512, and 2*512 dense.
    norms = 4 * (2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * 512)
    assert model.count_params() == 14_710_464 + 524_288 + 5_130 + norms


def test_its_width_scales_every_layer_and_must_be_positive():
    model = NETS["cnn1"]((32, 32, 3), 10, width=2)
    dense = [layer.units for layer in model.layers if isinstance(layer, tf.keras.layers.Dense)]
    assert dense == [16, 16, 10]
    with pytest.raises(ValueError, match="width >= 1"):
        NETS["cnn1"]((32, 32, 3), 10, width=0)
