"""Sensitive samples: sensitivity by hand on linear nets, the greedy cover, and what breaks them."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.data import load
from cemfp.fingerprint import sensitive
from cemfp.fingerprint.generate import make_fingerprint
from cemfp.fingerprint.models import Models
from cemfp.fingerprint.sensitive import SensitiveSamples
from cemfp.models.classifier import Classifier
from cemfp.removal.weight_noise import noisy
from tests.small_classifiers import linear

TWO_IMAGES = np.float32([[1.0, 0.5], [0.0, 1.0]]).reshape(2, 1, 1, 2)


def right_images(source, count):
    """Test images of digits that the source gets right."""
    test = load("digits").test
    right = np.flatnonzero(source.predict_labels(test.images) == test.labels)
    return test.take(right[:count]).floats()


def random_directions(source, seed):
    rng = np.random.default_rng(seed)
    return [np.float32(rng.normal(size=kernel.shape)) for kernel in sensitive.kernels(source)]


def test_output_change_by_hand():
    # Zero weights: y = (.5, .5) everywhere. Along U = diag(1, 4) the logits move by z = U'x, and
    # the outputs by y_i (z_i - y.z).
    # x = (1, .5): z = (1, 2), y.z = 1.5: (-.25, .25).  x = (0, 1): z = (0, 4), y.z = 2: (-1, 1).
    source = linear(np.zeros((2, 2)))
    change = sensitive.output_change(
        source, tf.constant(TWO_IMAGES), [tf.constant([[1.0, 0], [0, 4]])]
    )
    np.testing.assert_allclose(change, [[-0.25, 0.25], [-1.0, 1.0]], atol=1e-6)


def test_the_average_over_directions_is_the_sum_over_outputs_and_kernel():
    # dy_i/dW_jk = y_i (d_ik - y_k) x_j, so the sum of squares is |x|^2 sum_ik y_i^2 (d_ik - y_k)^2.
    # Logits (ln 2, 0, 0): y = (.5, .25, .25).
    # i = 0: .25 (.25 + .0625 + .0625) = .09375;  i = 1 and 2: .0625 (.25 + .5625 + .0625) =
    # .0546875 each; together .203125. |x|^2 = 1.25 and 1. A bias that counted would add 1 to both.
    source = linear(np.zeros((2, 3)), [np.log(2.0), 0.0, 0.0])
    found = sensitive.sensitivity(source, TWO_IMAGES, draws=800, seed=0)
    np.testing.assert_allclose(found, [0.203125 * 1.25, 0.203125], rtol=0.08)


def test_change_of_a_trained_net_is_its_jacobian_along_the_direction(tiny_zoo):
    source = tiny_zoo.load("source")
    images = tf.constant(right_images(source, 3))
    directions = random_directions(source, 0)
    expected = np.zeros((3, 10))
    for row in range(3):
        with tf.GradientTape(persistent=True) as tape:
            outputs = tf.unstack(tf.nn.softmax(source(images[row : row + 1]))[0])
        for label, output in enumerate(outputs):
            slopes = tape.gradient(output, sensitive.kernels(source))
            pairs = zip(slopes, directions, strict=True)
            expected[row, label] = sum(float(tf.reduce_sum(a * b)) for a, b in pairs)
    change = sensitive.output_change(source, images, directions)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(change, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_images_go_to_the_boundary_where_outputs_move_most():
    # Scores differ by 8 (pixel 0 - pixel 1), so that y (1 - y) peaks where the pixels are equal:
    # from (.9, .1), a ball of .3 ends at (.6, .4).
    source = linear([[4.0, -4.0], [-4.0, 4.0]])
    images = np.float32([0.9, 0.1]).reshape(1, 1, 1, 2)
    moved = SensitiveSamples(epsilon=0.3, step_size=0.02)(images, Models(source), seed=0)
    np.testing.assert_allclose(moved.ravel(), [0.6, 0.4], atol=0.01)


def test_the_steps_shrink_towards_zero():
    # Every step moves a pixel by its size: .01 (1 + .75 + .5 + .25) when all go the same way.
    source = linear([[4.0, -4.0], [-4.0, 4.0]])
    images = np.float32([0.9, 0.1]).reshape(1, 1, 1, 2)
    method = SensitiveSamples(epsilon=0.3, steps=4, step_size=0.01)
    runs = np.stack([method(images, Models(source), seed=seed).ravel() for seed in range(5)])
    assert np.abs(runs - images.ravel()).max() == pytest.approx(0.025, abs=1e-6)


def test_a_run_stays_in_ball_and_box_and_raises_sensitivity(tiny_zoo):
    source = tiny_zoo.load("source")
    images, weights = right_images(source, 20), source.weights_sha256
    before, seen = images.copy(), []
    method = SensitiveSamples(epsilon=0.1, steps=40, step_size=0.006)
    moved = method(images, Models(source), seed=0, progress=lambda *report: seen.append(report))
    assert moved.shape == images.shape and moved.dtype == np.float32
    assert moved.min() >= 0 and moved.max() <= 1
    assert 0.09 < np.abs(moved - images).max() <= 0.1 + 1e-6
    assert [report[:2] for report in seen] == [(i + 1, 40) for i in range(40)]
    # The generator's directions have other seeds than these.
    plain, raised = (sensitive.sensitivity(source, x, draws=50, seed=99) for x in (images, moved))
    assert np.median(raised) > 3 * np.median(plain)
    np.testing.assert_array_equal(images, before)
    assert source.weights_sha256 == weights


def test_small_changes_of_the_weights_change_their_labels_first(tiny_zoo):
    source, tampered = tiny_zoo.load("source"), tiny_zoo.load("source")
    images = right_images(source, 40)
    moved = SensitiveSamples()(images, Models(source), seed=0)
    agreement = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for clean, kernel in zip(
            sensitive.kernels(source), sensitive.kernels(tampered), strict=True
        ):
            kernel.assign(noisy(clean.numpy(), 0.1, rng))
        agreement.append(
            [
                np.mean(source.predict_labels(x) == tampered.predict_labels(x))
                for x in (images, moved)
            ]
        )
    plain, fragile = np.mean(agreement, axis=0)
    assert plain > 0.9 and fragile < plain - 0.15


def test_the_seed_decides_and_batches_do_not():
    # 52 images are two batches; their steps meet the same directions as a run of the last two.
    source = linear([[2.0, -1.0], [-1.0, 2.0]])
    images = np.random.default_rng(0).random((52, 1, 1, 2)).astype(np.float32)
    method, models, seen = SensitiveSamples(steps=5), Models(source), []
    first, same, other = (method(images, models, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    last = method(images[50:], models, seed=1, progress=lambda *report: seen.append(report))
    np.testing.assert_allclose(last, first[50:], atol=1e-6)
    method(images, models, seed=1, progress=lambda *report: seen.append(report))
    assert [report[:2] for report in seen[5:]] == [(i + 1, 10) for i in range(10)]


def test_a_fingerprint_of_sensitive_samples(tiny_zoo):
    source = tiny_zoo.load("source")
    made, _ = make_fingerprint(SensitiveSamples(steps=3), Models(source), load("digits"), size=10)
    assert made.method == "sensitive" and made.epsilon == 0.1 and made.parameters["steps"] == 3
    np.testing.assert_array_equal(made.keys, source.predict_labels(made.inputs))


ACTIVE = np.array(
    [
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 0],
    ],
    bool,
)


@pytest.mark.parametrize(
    ("rows", "size", "expected"),
    [
        # The second row is the second largest, but adds nothing to the first.
        ([0, 1, 2, 3], 2, [0, 2]),
        # Nothing is left to gain: lower indices first, none twice.
        ([0, 1, 2, 3], 4, [0, 2, 1, 3]),
        # Equal gains: the lower index.
        ([2, 2, 1], 2, [2, 0]),
        ([3, 1, 2], 3, [1, 2, 0]),
    ],
)
def test_greedy_cover_by_hand(rows, size, expected):
    assert sensitive.neuron_cover(ACTIVE[rows], size).tolist() == expected


def test_a_neuron_is_active_above_zero():
    inputs = tf.keras.Input((1, 1, 2))
    hidden = tf.keras.layers.Dense(3, "relu")
    scores = tf.keras.layers.Dense(2)(hidden(tf.keras.layers.Flatten()(inputs)))
    hidden.set_weights([np.float32([[1, -1, 0], [0, 1, -1]]), np.zeros(3)])
    source = Classifier.from_keras(tf.keras.Model(inputs, scores))
    # Before the ReLU: (1, -1, 0), (1, 0, -1) and (0, 1, -1).
    images = np.float32([[1, 0], [1, 1], [0, 1]]).reshape(3, 1, 1, 2)
    active = sensitive.active_neurons(source, images)
    np.testing.assert_array_equal(active, [[1, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert sensitive.choose(images, source, 2).tolist() == [0, 2]


def test_eight_images_of_a_trained_net_cover_more_than_the_first_eight(tiny_zoo):
    source = tiny_zoo.load("source")
    images = right_images(source, 60)
    active, chosen = sensitive.active_neurons(source, images), sensitive.choose(images, source)
    assert len(set(chosen.tolist())) == 8 and len(active) == 60
    covered, first = (active[rows].any(axis=0).sum() for rows in (chosen, np.arange(8)))
    assert covered > first


@pytest.mark.parametrize(
    "field",
    [
        {"epsilon": 0.0},
        {"epsilon": 25},
        {"epsilon": float("nan")},
        {"step_size": 0.0},
        {"step_size": float("nan")},
        {"steps": 0},
    ],
)
def test_bad_hyper_parameters_give_one_line(field):
    with pytest.raises(ValueError, match=r"^expected epsilon .* Received: .*; .*$"):
        SensitiveSamples(**field)


@pytest.mark.parametrize("size", [0, 5])
def test_a_cover_of_more_samples_than_there_are_is_an_error(size):
    with pytest.raises(ValueError, match=rf"Received: {size} of 4; make more candidates"):
        sensitive.neuron_cover(ACTIVE, size)


def test_nets_that_it_cannot_judge():
    with pytest.raises(ValueError, match="common Keras layers with ReLUs"):
        sensitive.choose(TWO_IMAGES, linear(np.eye(2)), 1)
    inputs = tf.keras.Input((1, 1, 2))
    pooled = tf.keras.Model(inputs, tf.keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ValueError, match=r"expected a source with kernels.*all vectors; take"):
        SensitiveSamples()(TWO_IMAGES, Models(Classifier.from_keras(pooled)), seed=0)
