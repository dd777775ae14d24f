"""The ImageNet nets against Keras' own, with the same random weights."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.ensemble.folding import fold
from cemfp.models.nets import NETS
from cemfp.models.nets.imagenet import imagenet_vgg, turn_channels

SHAPE, CLASSES = (32, 32, 3), 10
KERAS = {
    "imagenet-vgg16": (tf.keras.applications.VGG16, tf.keras.applications.vgg16),
    "imagenet-vgg19": (tf.keras.applications.VGG19, tf.keras.applications.vgg19),
}


@pytest.fixture(params=KERAS, scope="module")
def pair(request):
    """Our net and Keras' own with the same random weights, and Keras' preprocessing."""
    build, module = KERAS[request.param]
    tf.keras.utils.set_random_seed(0)
    theirs = build(weights=None, input_shape=SHAPE, classes=CLASSES, classifier_activation=None)
    rng = np.random.default_rng(0)
    weights = theirs.get_weights()  # biases start at zero, which would hide a mix-up
    drawn = (rng.normal(0, 0.05, w.shape) if w.ndim == 1 else w for w in weights)
    theirs.set_weights(list(drawn))
    ours = NETS[request.param](SHAPE, CLASSES)
    ours.set_weights(theirs.get_weights())
    turn_channels(ours)
    return ours, theirs, module.preprocess_input


def test_it_is_keras_net_behind_keras_preprocessing(pair):
    ours, theirs, preprocess = pair
    images = np.random.default_rng(1).random((4, *SHAPE)).astype(np.float32)
    expected = theirs(preprocess(images * 255)).numpy()
    logits = ours(images)
    assert logits.dtype == tf.float32 and logits.shape == (4, CLASSES)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * scale)
    # A net that reads the channels in the wrong order is not that net.
    turned = ours(images[..., ::-1]).numpy()
    assert np.abs(turned - expected).max() > 1e-2 * scale


def test_preprocessing_takes_the_channels_means_from_grey_levels(pair):
    ours = pair[0]
    scaled = tf.keras.Model(ours.input, ours.get_layer("preprocessing").output)
    x = np.full((1, *SHAPE), 0.5, np.float32)
    # 0.5 * 255 = 127.5; less 123.68, 116.779 and 103.939.
    np.testing.assert_allclose(scaled(x)[0, 0, 0], [3.82, 10.721, 23.561], rtol=1e-5)


def test_weights_have_keras_number_order_and_shapes(pair):
    ours, theirs, _ = pair
    names = [weight.name for weight in theirs.weights]
    assert [w.name for w in ours.weights] == [n.replace("predictions", "head") for n in names]
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    assert ours.get_layer("head").units == CLASSES


def test_it_folds_into_steps(pair):
    folded = fold(pair[0])
    assert folded is not None
    kinds = [step.kind for step in folded.program]
    assert kinds[0] == "affine" and kinds[-1] == "dense"
    assert kinds.count("dense") == 3 and kinds.count("max_pool") == 5


def test_the_head_is_float32_in_mixed_precision():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = imagenet_vgg(SHAPE, CLASSES)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert model.output.dtype == tf.float32
    assert model.layers[2].compute_dtype == "bfloat16"


@pytest.mark.parametrize("shape", [(31, 32, 3), (32, 8, 3), (32, 32, 1), (None, None, 3)])
def test_images_that_it_cannot_take_are_refused(shape):
    with pytest.raises(ValueError, match=r"colour images of at least 32 x 32 pixels. Received: \("):
        NETS["imagenet-vgg19"](shape, CLASSES)


def test_another_depth_is_refused():
    with pytest.raises(ValueError, match=r"expected depth 16 or 19. Received: depth 13"):
        imagenet_vgg(SHAPE, CLASSES, depth=13)
