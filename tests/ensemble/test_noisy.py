"""Noise on the weights: who gets it, how much, how often, and that nothing else changes.

Copies of a softmax classifier cannot be told apart by a number added to all its scores, so that the
noise itself is read from a net with a second layer, see `read`.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from cemfp.ensemble.folding import fold
from cemfp.ensemble.noisy import mean_of_draws, under_noise
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.keras_models import layers_of
from cemfp.models.nets import NETS
from tests.small_classifiers import linear

layers = tf.keras.layers
compile_once = functools.cache(tf.function)
DELTA = 0.05


def call(loss_gradient, x, labels, seed=(0, 0)):
    """One compiled call: losses and gradients as arrays."""
    tensors = tf.constant(x, tf.float32), tf.constant(labels, tf.int64), tf.constant(seed)
    losses, gradient = compile_once(loss_gradient)(*tensors)
    return losses.numpy(), gradient.numpy()


def classifier(parts, shape):
    """A Keras classifier whose weights, batch norm's included, are random numbers."""
    model = tf.keras.Sequential([tf.keras.Input(shape), *parts])
    return with_random_weights(model)


def with_random_weights(model):
    rng = np.random.default_rng(3)
    values = [rng.uniform(0.2, 1.2, weight.shape) for weight in model.weights]
    model.set_weights([v if v.ndim == 1 else (v - 0.7) / 2 for v in values])  # kernels: +-0.25
    config = ClassifierConfig("keras", model.input_shape[1:], model.output_shape[-1])
    return Classifier(model, config)


def cross_entropy(model, x, labels):
    """Loss and gradient of a Keras model, as it stands."""
    x = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = model(x, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return losses.numpy(), tape.gradient(losses, x).numpy()


def disturbed(classifier, delta, seed):
    """A copy whose Keras kernels were changed one by one: what `under_noise` should amount to."""
    model = tf.keras.models.clone_model(classifier.model)
    model.set_weights(classifier.model.get_weights())
    kernels = [v for layer in layers_of(model) for v in layer.weights if "kernel" in v.name]
    sizes = [tf.size(kernel) for kernel in kernels]
    flat = tf.random.stateless_uniform([sum(sizes)], seed, -delta, delta)
    for kernel, noise in zip(kernels, tf.split(flat, sizes), strict=True):
        kernel.assign_add(tf.reshape(noise, kernel.shape))
    return model


def images(count, shape, seed=1):
    return np.random.default_rng(seed).random((count, *shape)).astype(np.float32)


# Without noise

# Scores of the image (0.5, 0.25): 2 * 0.5 = 1, and 4 * 0.25 + 1 - ln 3 = 2 - ln 3 with the bias.
KERNEL, BIAS = [[2.0, 0.0], [0.0, 4.0]], [0.0, 1.0 - np.log(3.0)]
IMAGE = [[[[0.5, 0.25]]]]


def test_loss_and_gradient_by_hand():
    # z = (1, 2 - ln 3): softmax = (e, e^2 / 3) / sum = (3, e) / (3 + e) = (0.5246, 0.4754).
    p = np.array([3, np.e]) / (3 + np.e)
    for label in (0, 1):
        losses, gradient = call(under_noise(linear(KERNEL, BIAS), 0.0), IMAGE, [label])
        np.testing.assert_allclose(losses, [-np.log(p[label])], rtol=1e-5)
        # W (p - e_label): rows 2 and 4 times the two entries of p - e_label.
        expected = np.array([2, 4]) * (p - np.eye(2)[label])
        np.testing.assert_allclose(gradient[0, 0, 0], expected, rtol=1e-5)


def test_each_image_has_its_own_loss_and_gradient():
    x, labels = np.repeat(IMAGE, 2, axis=0) * [[[[1]]], [[[2]]]], [0, 1]
    losses, gradient = call(under_noise(linear(KERNEL, BIAS), 0.0), x, labels)
    for i in (0, 1):
        one = call(under_noise(linear(KERNEL, BIAS), 0.0), x[i : i + 1], labels[i : i + 1])
        np.testing.assert_allclose(losses[i : i + 1], one[0], rtol=1e-6)
        np.testing.assert_allclose(gradient[i : i + 1], one[1], rtol=1e-6)


def test_without_noise_every_seed_gives_the_same():
    loss_gradient = under_noise(linear(KERNEL, BIAS), 0.0)
    first, second = (call(loss_gradient, IMAGE, [0], seed) for seed in ((0, 0), (5, 6)))
    np.testing.assert_array_equal(first[1], second[1])


# The noise itself

SIDE = 24
# The second layer of `readable`: the last class wins by far, whatever the image.
SHARP, WINNER = 1e4, 1e9


def readable():
    """Flatten, a dense layer of random kernel V, and one of kernel (SHARP * I, 0)."""
    made = classifier([layers.Flatten(), layers.Dense(SIDE), layers.Dense(SIDE + 1)], (1, 1, SIDE))
    first, bias, second, last = made.model.get_weights()
    second[:] = SHARP * np.eye(SIDE, SIDE + 1)
    last[:] = WINNER * np.eye(SIDE + 1)[-1]
    made.model.set_weights([first, 0 * bias, second, last])
    return made, first


def read(made, kernel, delta, seed):
    """The first kernel's noise D (SIDE, SIDE).

    The last class wins, so that p = e_last and the gradient towards label l is
    (V + D) (SHARP * I + D', D'') (e_last - e_l) = -SHARP (V + D)[:, l] but for a part in 1e5.
    """
    x = np.zeros((SIDE, 1, 1, SIDE))
    _, gradient = call(under_noise(made, delta), x, np.arange(SIDE), seed)
    return -gradient[:, 0, 0].T / SHARP - kernel


def test_noise_is_uniform_within_its_bound():
    made, kernel = readable()
    np.testing.assert_allclose(read(made, kernel, 0.0, (0, 0)), 0, atol=1e-6)
    noise = read(made, kernel, DELTA, (1, 2))
    # 576 draws of U[-d, d]: deviation d / sqrt(3); its mean has one of d / sqrt(3 * 576) = 0.024 d.
    assert np.abs(noise).max() <= DELTA * 1.001
    assert noise.max() > 0.95 * DELTA and noise.min() < -0.95 * DELTA
    assert abs(noise.mean()) < 0.1 * DELTA
    assert noise.std() == pytest.approx(DELTA / np.sqrt(3), rel=0.1)
    np.testing.assert_allclose((np.abs(noise) < DELTA / 2).mean(), 0.5, atol=0.1)
    # One number of its own for every weight: no row or column repeats another.
    assert len(np.unique(noise.round(6))) > 0.9 * noise.size


def test_the_seed_decides_the_noise():
    made, kernel = readable()
    first, same, other = (read(made, kernel, DELTA, s) for s in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).mean() > 0.3 * DELTA
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.2


def test_noise_grows_with_its_bound_and_nothing_else():
    made, kernel = readable()
    small, large = (read(made, kernel, delta, (1, 2)) for delta in (DELTA, 2 * DELTA))
    np.testing.assert_allclose(large, 2 * small, atol=2e-5)


def test_biases_stay():
    # The black image has the biases for scores: z = (0, 1 - ln 3), softmax = (3, e) / (3 + e).
    loss_gradient = under_noise(linear(KERNEL, BIAS), DELTA)
    for seed in ((0, 0), (1, 2), (3, 4)):
        losses, gradient = call(loss_gradient, np.zeros((1, 1, 1, 2)), [0], seed)
        np.testing.assert_allclose(losses, [-np.log(3 / (3 + np.e))], rtol=1e-5)
        assert gradient[0, 0, 0, 0] != 2 * (3 / (3 + np.e) - 1)


def test_all_images_of_a_call_meet_the_same_copy():
    x = np.repeat(IMAGE, 3, axis=0)
    losses, gradient = call(under_noise(linear(KERNEL, BIAS), DELTA), x, [0, 0, 0])
    assert len(set(losses.tolist())) == 1
    np.testing.assert_array_equal(gradient[0], gradient[2])


# Nets with batch norm: the folded copy is the Keras model with noise on its own kernels


def convolutional():
    return [
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(3, 3, strides=2, padding="valid", use_bias=False),
        layers.BatchNormalization(scale=False),
        layers.Flatten(),
        layers.Dense(3),
    ]


def depthwise():
    return [
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.Conv2D(3, 1),
        layers.BatchNormalization(center=False),
        layers.BatchNormalization(),  # the second one scales what the first has scaled
        layers.GlobalAveragePooling2D(),
        layers.Dense(4, use_bias=False),
        layers.BatchNormalization(),
        layers.Dense(3),
    ]


@pytest.mark.parametrize("parts", [convolutional, depthwise])
@pytest.mark.parametrize("delta", [0.0, DELTA])
def test_batch_norm_passes_the_noise_on(parts, delta):
    made, x, labels = classifier(parts(), (6, 6, 2)), images(4, (6, 6, 2)), [0, 1, 2, 0]
    folded = fold(made.model)
    assert folded is not None and "affine" not in {step.kind for step in folded.program}
    losses, gradient = call(under_noise(made, delta, precision="float32"), x, labels, (7, 8))
    expected = cross_entropy(disturbed(made, delta, (7, 8)), x, labels)
    np.testing.assert_allclose(losses, expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-3, atol=1e-5)
    if delta:  # and the noise matters by far more than these tolerances
        assert np.abs(losses - cross_entropy(made.model, x, labels)[0]).max() > 1e-2


def test_the_same_for_cnn1():
    shape = (8, 8, 3)
    made, x = with_random_weights(NETS["cnn1"](shape, 4, width=2)), images(3, shape)
    losses, gradient = call(under_noise(made, DELTA, precision="float32"), x, [0, 1, 2], (7, 8))
    expected = cross_entropy(disturbed(made, DELTA, (7, 8)), x, [0, 1, 2])
    np.testing.assert_allclose(losses, expected[0], rtol=1e-3)
    largest = np.abs(expected[1]).max()
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-2, atol=1e-3 * largest)


# Nets that cannot be folded


def unknown():
    return [layers.Conv2D(3, 3), layers.Activation("swish"), layers.Flatten(), layers.Dense(3)]


@pytest.mark.parametrize("delta", [0.0, DELTA])
def test_a_net_of_unknown_layers_gets_the_same_noise(delta):
    made, x, labels = classifier(unknown(), (6, 6, 2)), images(4, (6, 6, 2)), [0, 1, 2, 0]
    assert fold(made.model) is None
    loss_gradient = under_noise(made, delta)
    for seed in ((7, 8), (9, 9), (7, 8)):  # noise must not pile up from call to call
        losses, gradient = call(loss_gradient, x, labels, seed)
        expected = cross_entropy(disturbed(made, delta, seed), x, labels)
        np.testing.assert_allclose(losses, expected[0], rtol=1e-5)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-6)


def test_a_users_own_model_inside_another_one_works():
    model = tf.keras.Sequential([tf.keras.Input((6, 6, 2)), *unknown(), layers.Softmax()])
    made = Classifier.from_keras(model, scale=2.0, offset=-1.0)
    assert fold(made.model) is None
    x = images(2, (6, 6, 2))
    losses, gradient = call(under_noise(made, DELTA), x, [0, 1], (7, 8))
    expected = cross_entropy(disturbed(made, DELTA, (7, 8)), x, [0, 1])
    np.testing.assert_allclose(losses, expected[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("parts", [convolutional, unknown])
def test_the_classifier_keeps_its_weights_to_the_bit(parts):
    made = classifier(parts(), (6, 6, 2))
    before = made.weights_sha256
    call(mean_of_draws(under_noise(made, 0.5), 3), images(2, (6, 6, 2)), [0, 1])
    assert made.weights_sha256 == before


@pytest.mark.parametrize("parts", [convolutional, unknown])
def test_later_changes_of_the_classifier_have_no_effect(parts):
    made, x = classifier(parts(), (6, 6, 2)), images(2, (6, 6, 2))
    loss_gradient = under_noise(made, DELTA)
    made.model.set_weights([0 * weight for weight in made.model.get_weights()])
    assert np.abs(call(loss_gradient, x, [0, 1])[1]).max() > 0


# The mean of several draws


@pytest.mark.parametrize("parts", [convolutional, unknown])
def test_mean_of_draws_is_the_mean_of_calls(parts):
    made, x, labels = classifier(parts(), (6, 6, 2)), images(3, (6, 6, 2)), [0, 1, 2]
    one = under_noise(made, DELTA, precision="float32")
    losses, gradient = call(mean_of_draws(one, 4), x, labels, (7, 8))
    seeds = [tf.random.experimental.stateless_fold_in((7, 8), k).numpy() for k in range(4)]
    calls = [call(one, x, labels, seed) for seed in seeds]
    np.testing.assert_allclose(losses, np.mean([c[0] for c in calls], axis=0), rtol=1e-5)
    expected = np.mean([c[1] for c in calls], axis=0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
    assert np.std([c[0] for c in calls], axis=0).min() > 1e-4  # four copies, not one


def test_more_draws_come_closer_to_the_net_without_noise():
    # To first order in D the scores' noise has mean 0, and 64 draws are 8 times closer to it.
    clean = call(under_noise(linear(KERNEL, BIAS), 0.0), IMAGE, [0])[0]
    one = under_noise(linear(KERNEL, BIAS), DELTA)
    few, many = (
        np.std([call(mean, IMAGE, [0], (0, seed))[0] - clean for seed in range(20)])
        for mean in (mean_of_draws(one, 1), mean_of_draws(one, 64))
    )
    assert many < few / 4
