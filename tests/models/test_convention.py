"""How models want their images: golden values, options that can be pasted, what does not fit."""

import json

import numpy as np
import pytest
import tensorflow as tf

from cemfp.models.convention import COMMON, UNIT, Convention

IMAGE = np.array([[[[0.0, 0.5, 1.0]]]], np.float32)


@pytest.mark.parametrize(
    ("name", "fed"),
    [
        ("[0, 1]", [0, 0.5, 1]),
        ("[0, 255]", [0, 127.5, 255]),
        ("[-1, 1]", [-1, 0, 1]),
        # (0 - .485) / .229, (.5 - .456) / .224, (1 - .406) / .225
        ("ImageNet's mean and deviation", [-2.1179, 0.1964, 2.64]),
        ("[0, 255], blue first", [255, 127.5, 0]),
        # 255 - 103.939, 127.5 - 116.779, 0 - 123.68
        ("Caffe's", [151.061, 10.721, -123.68]),
    ],
)
def test_what_a_model_gets(name, fed):
    convention = COMMON[name]
    np.testing.assert_allclose(convention(IMAGE).ravel(), fed, atol=1e-3)
    np.testing.assert_allclose(convention(tf.constant(IMAGE)).numpy().ravel(), fed, atol=1e-3)
    assert Convention.of(json.loads(json.dumps(vars(convention)))) == convention


def test_the_options_can_be_pasted():
    assert str(COMMON["[-1, 1], blue first"]) == "--scale 2 --offset -1 --bgr"
    assert str(COMMON["Caffe's"]) == "--scale 255 --offset -123.68,-116.779,-103.939 --bgr"


def test_grey_images_have_no_channels_to_reverse():
    fitting = [name for name, convention in COMMON.items() if convention.fits(1)]
    assert fitting == ["[0, 1]", "[0, 255]", "[-1, 1]"]
    assert UNIT(IMAGE) is IMAGE


@pytest.mark.parametrize("fields", [{"scale": "x"}, {"offset": float("nan")}, {"bgr": 1}])
def test_other_fields_are_refused(fields):
    with pytest.raises(ValueError, match="expected scale, offset and bgr"):
        Convention.of(fields)
