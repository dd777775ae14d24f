"""IPGuard: its loss on numbers one can check with a pencil, and the boundary of linear nets."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.fingerprint.ipguard import IPGuard, boundary_loss
from cemfp.fingerprint.models import Models
from tests.small_classifiers import linear


@pytest.mark.parametrize(
    ("logits", "own", "target", "margin", "expected"),
    [
        # relu(3 - 1 + 0) + relu(2 - 3)
        ([3.0, 1.0, 2.0], 0, 1, 0.0, 2.0),
        # relu(3 - 1 + 0.5) + relu(2 - 3)
        ([3.0, 1.0, 2.0], 0, 1, 0.5, 2.5),
        # The target leads: relu(1 - 3 + 0) + relu(2 - 1)
        ([3.0, 1.0, 2.0], 1, 0, 0.0, 1.0),
        # relu(2 - 1 + 0) + relu(3 - 2), the largest third label of two
        ([2.0, 1.0, 3.0, 0.0], 0, 1, 0.0, 2.0),
        # The target leads by exactly k, no third label is above the own one: the boundary.
        ([1.0, 1.5, 0.0], 0, 1, 0.5, 0.0),
        ([1.0, 1.0, 1.0], 2, 0, 0.0, 0.0),
        # A third label of great negative score does not count.
        ([-50.0, -40.0, -60.0], 0, 1, 0.0, 0.0),
    ],
)
def test_boundary_loss_by_hand(logits, own, target, margin, expected):
    loss = boundary_loss(tf.constant([logits]), tf.constant([own]), tf.constant([target]), margin)
    assert loss.shape == (1,) and float(loss[0]) == pytest.approx(expected)


def test_the_loss_is_each_images_own():
    logits = tf.constant([[3.0, 1.0, 2.0], [2.0, 1.0, 3.0]])
    loss = boundary_loss(logits, tf.constant([0, 2]), tf.constant([1, 0]), 0.0)
    # relu(3 - 1) + relu(2 - 3);  relu(3 - 2) + relu(1 - 3)
    np.testing.assert_allclose(loss, [2.0, 1.0])


def test_every_image_reaches_the_boundary_of_two_labels():
    # Scores are 4 (pixel 0 - pixel 1) and its negative: the boundary is where the pixels are equal.
    source = linear([[4.0, -4.0], [-4.0, 4.0]])
    images = np.random.default_rng(0).random((20, 1, 1, 2)).astype(np.float32)
    moved = IPGuard(learning_rate=0.01)(images, Models(source), seed=0)
    own = source.predict_labels(images)
    scores = source.predict_logits(moved)
    lead = scores[np.arange(20), 1 - own] - scores[np.arange(20), own]
    # At the boundary or just across it: at most a step of 0.01 in both pixels, 8 * 2 * 0.01.
    assert (lead >= 0).all() and (lead <= 0.16).all()
    assert moved.min() >= 0 and moved.max() <= 1 and moved.dtype == np.float32


def test_a_margin_moves_the_boundary():
    source = linear([[4.0, -4.0], [-4.0, 4.0]])
    images = np.float32([0.9, 0.1]).reshape(1, 1, 1, 2)
    moved = IPGuard(margin=1.0, learning_rate=0.01)(images, Models(source), seed=0)
    scores = source.predict_logits(moved)[0]
    assert 1.0 <= scores[1] - scores[0] <= 1.16


def test_it_stops_when_all_are_there_and_says_how_many():
    seen = []
    source = linear([[4.0, -4.0], [-4.0, 4.0]])
    images = np.float32([0.5, 0.5, 0.6, 0.4]).reshape(2, 1, 1, 2)
    moved = IPGuard(steps=500, learning_rate=0.01)(
        images, Models(source), seed=0, progress=lambda *report: seen.append(report)
    )
    # The first image lies on the boundary from the start, and stays where it is.
    np.testing.assert_array_equal(moved[0], images[0])
    assert seen[0] == (1, 500, "50% at the boundary")
    assert seen[-1][2] == "100% at the boundary" and len(seen) < 40


def test_steps_are_the_most_it_takes():
    seen = []
    images = np.float32([0.9, 0.1]).reshape(1, 1, 1, 2)
    moved = IPGuard(steps=3, learning_rate=0.01)(
        images, Models(linear(4 * np.eye(2))), seed=0, progress=lambda *r: seen.append(r)
    )
    assert len(seen) == 3
    # Adam moves a pixel by its learning rate at each step, whatever the gradient's size.
    np.testing.assert_allclose(moved.ravel(), [0.87, 0.13], atol=1e-4)


def test_an_image_leaves_the_unit_range_neither_up_nor_down():
    # Label 1 needs pixel 0 below -1: out of reach.
    source = linear([[1.0, 0.0], [0.0, 0.0]], [1.0, 0.0])
    images = np.float32([0.02, 0.5]).reshape(1, 1, 1, 2)
    moved = IPGuard(steps=10, learning_rate=0.01)(images, Models(source), seed=0)
    np.testing.assert_allclose(moved.ravel(), [0.0, 0.5])


def test_the_seed_decides_the_other_label_which_is_never_the_own():
    source = linear(np.eye(4) * 4, shape=(1, 1, 4))
    images = np.tile(np.float32([0.6, 0.5, 0.5, 0.5]).reshape(1, 1, 1, 4), (40, 1, 1, 1))
    method = IPGuard(learning_rate=0.01)
    first, same, other = (method(images, Models(source), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    targets, others = (result[:, 0, 0].argmax(axis=1) for result in (first, other))
    assert set(targets.tolist()) == {1, 2, 3}
    assert not np.array_equal(targets, others)


def test_images_and_source_are_left_as_they_were():
    source = linear(4 * np.eye(2))
    images = np.float32([0.9, 0.1]).reshape(1, 1, 1, 2)
    before, weights = images.copy(), source.weights_sha256
    IPGuard(steps=3)(images, Models(source), seed=0)
    np.testing.assert_array_equal(images, before)
    assert source.weights_sha256 == weights
