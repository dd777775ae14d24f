"""Projections, 8-bit grid and log-space maths, on numbers one can check with a pencil."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.numerics import ops


def images(*values):
    return tf.constant(values, tf.float32)[:, tf.newaxis, tf.newaxis, tf.newaxis]


def flat(tensor):
    return np.asarray(tensor).ravel()


def test_projection_keeps_the_ball_and_the_box():
    # Ball [0.4, 0.6]: 0.9 -> 0.6, 0.1 -> 0.4, 0.55 stays. Ball of 0.95 is cut at 1, of 0.05 at 0.
    x = images(0.9, 0.1, 0.55, 1.5, -0.5)
    center = images(0.5, 0.5, 0.5, 0.95, 0.05)
    np.testing.assert_allclose(
        flat(ops.project_linf(x, center, 0.1)), [0.6, 0.4, 0.55, 1.0, 0.0], atol=1e-6
    )


def test_projection_with_zero_radius_is_the_center():
    center = images(0.0, 0.3, 1.0)
    np.testing.assert_array_equal(ops.project_linf(images(0.7, 0.7, 0.7), center, 0.0), center)


@pytest.mark.parametrize(
    ("x", "center", "epsilon", "level"),
    [
        # 255 * 0.01 = 2.55: from level 100 the ball holds 98..102, although 0.01 rounds to 3.
        (102.55, 100, 0.01, 102),
        (97.45, 100, 0.01, 98),
        (101.4, 100, 0.01, 101),
        # A radius of exactly 3/255 includes level 103, whatever float32 makes of the edge.
        (103, 100, 3 / 255, 103),
        (97, 100, 3 / 255, 97),
        # The box wins over the ball.
        (256, 254, 0.05, 255),
        (-3, 1, 0.05, 0),
        # Centre 100.5 off the grid, radius 0.6 of a level: 100 and 101 are inside.
        (100.6, 100.5, 0.6 / 255, 101),
        # Nothing inside [100.2, 100.4]: the level nearest to the centre.
        (100.4, 100.3, 0.1 / 255, 100),
    ],
)
def test_quantize_by_hand(x, center, epsilon, level):
    result = ops.quantize(images(x / 255), images(center / 255), epsilon)
    assert flat(result)[0] == np.float32(level) / np.float32(255)


def test_quantize_of_every_level_and_integer_radius_reaches_the_edge_and_not_beyond():
    levels = np.arange(256)
    center = tf.constant(levels / 255, tf.float32)
    for radius in range(9):
        up = np.rint(255 * flat(ops.quantize(center + 1.0, center, radius / 255)))
        down = np.rint(255 * flat(ops.quantize(center - 1.0, center, radius / 255)))
        np.testing.assert_array_equal(up, np.minimum(levels + radius, 255))
        np.testing.assert_array_equal(down, np.maximum(levels - radius, 0))


def test_quantize_survives_the_round_trip_through_bytes():
    rng = np.random.default_rng(0)
    center = rng.integers(0, 256, (2, 4, 4, 3)).astype(np.float32) / 255
    x = np.clip(center + rng.uniform(-0.1, 0.1, center.shape), 0, 1).astype(np.float32)
    result = np.asarray(ops.quantize(x, center, 0.025))
    as_bytes = np.rint(result * 255).astype(np.uint8)
    np.testing.assert_array_equal(as_bytes.astype(np.float32) / np.float32(255), result)
    assert np.abs(result - center).max() <= 0.025 + 1e-6


def test_soft_cross_entropy_by_hand():
    # softmax([0, ln 3]) = [1/4, 3/4]; H([1/2, 1/2], .) = -(ln 1/4 + ln 3/4) / 2 = ln(16/3) / 2.
    # H([0, 1], .) = ln 4/3.
    logits = tf.math.log([[1.0, 3.0], [1.0, 3.0]])
    loss = ops.soft_cross_entropy(tf.constant([[0.5, 0.5], [0.0, 1.0]]), logits)
    np.testing.assert_allclose(loss, [np.log(16 / 3) / 2, np.log(4 / 3)], rtol=1e-6)


def test_soft_cross_entropy_is_stable_where_the_softmax_saturates():
    logits = tf.Variable([[0.0, 1000.0]])
    with tf.GradientTape() as tape:
        loss = ops.soft_cross_entropy(tf.constant([[1.0, 0.0]]), logits)
    np.testing.assert_allclose(loss, [1000.0])
    np.testing.assert_allclose(tape.gradient(loss, logits), [[-1.0, 1.0]])


def test_soft_cross_entropy_gradient_of_unnormalised_targets():
    # Targets of sum 2: d/dz of -2 ln softmax(z)_0 at z = 0 is 2 * (softmax - [1, 0]) = [-1, 1].
    logits = tf.Variable([[0.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = ops.soft_cross_entropy(tf.constant([[2.0, 0.0]]), logits)
    np.testing.assert_allclose(tape.gradient(loss, logits), [[-1.0, 1.0]])


# Two models, one image: softmax [1/4, 3/4] and [1/2, 1/2].
TWO_MODELS = tf.math.log([[[1.0, 3.0]], [[5.0, 5.0]]])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, [3 / 8, 5 / 8]),
        ([1.0, 1.0], [3 / 8, 5 / 8]),
        # (3 * 1/4 + 1 * 1/2) / 4 = 5/16
        ([3.0, 1.0], [5 / 16, 11 / 16]),
        ([0.0, 2.0], [1 / 2, 1 / 2]),
        ([[3.0], [1.0]], [5 / 16, 11 / 16]),
    ],
)
def test_log_mean_probabilities_by_hand(weights, expected):
    result = ops.log_mean_probabilities(TWO_MODELS, weights)
    np.testing.assert_allclose(np.exp(result), [expected], rtol=1e-6)


def test_log_mean_probabilities_takes_weights_per_example():
    logits = tf.concat([TWO_MODELS, TWO_MODELS], axis=1)
    result = ops.log_mean_probabilities(logits, [[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(np.exp(result), [[1 / 4, 3 / 4], [1 / 2, 1 / 2]], rtol=1e-6)


@pytest.mark.parametrize("weights", [None, [0.0, 1.0]])
def test_log_mean_probabilities_is_finite_where_probabilities_vanish(weights):
    # Both models give the first class e^-500, which is 0 in float32.
    logits = tf.constant([[[0.0, 500.0]], [[0.0, 500.0]]])
    result = ops.log_mean_probabilities(logits, weights)
    np.testing.assert_allclose(result, [[-500.0, 0.0]], atol=1e-4)


def test_log_mean_probabilities_has_a_gradient_where_probabilities_vanish():
    logits = tf.Variable([[[0.0, 500.0]], [[0.0, 500.0]]])
    with tf.GradientTape() as tape:
        first_class = ops.log_mean_probabilities(logits, [1.0, 0.0])[0, 0]
    # Only the first model counts: d log softmax(z)_0 / dz = [1, 0] - softmax(z) = [1, -1].
    np.testing.assert_allclose(tape.gradient(first_class, logits), [[[1, -1]], [[0, 0]]], atol=1e-5)
