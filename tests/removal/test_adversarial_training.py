"""Adversarial training: PGD by hand, the hook inside the training loop, robustness measured."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cemfp import data
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import layers
from cemfp.removal import REMOVALS, RemovalError, Thief, remove
from cemfp.removal.adversarial_training import (
    AdversarialTraining,
    adversarial_gradients,
    pgd,
    right_under_pgd,
    robustness,
)
from cemfp.training.loop import loss_gradients, soft_targets, train
from cemfp.training.recipe import Recipe
from tests.small_classifiers import linear

# Two pixels, two classes: the loss for class 0 grows with x_1 - x_0.
MODEL = linear([[1, 0], [0, 1]]).model
CLASS_0 = tf.constant([[1.0, 0.0]])


def image(*pixels):
    return tf.constant(pixels, tf.float32, shape=(1, 1, 1, len(pixels)))


@pytest.mark.parametrize(
    ("start", "epsilon", "step_size", "steps", "expected"),
    [
        # d loss / d x = softmax - target = (-p_1, p_1): x_0 falls, x_1 rises, each by one step.
        ((0.5, 0.5), 0.2, 0.1, 1, (0.4, 0.6)),
        # Three steps of 0.1 end at the edge of the ball, 0.2 away.
        ((0.5, 0.5), 0.2, 0.1, 3, (0.3, 0.7)),
        # A pixel of a padded border is 0 and cannot fall; one at 1 cannot rise.
        ((0.0, 1.0), 0.2, 0.1, 3, (0.0, 1.0)),
        ((0.05, 0.9), 0.2, 0.1, 2, (0.0, 1.0)),
    ],
)
def test_pgd_on_a_linear_net_by_hand(start, epsilon, step_size, steps, expected):
    moved = pgd(MODEL, image(*start), CLASS_0, epsilon=epsilon, step_size=step_size, steps=steps)
    np.testing.assert_allclose(moved.numpy().ravel(), expected, atol=1e-6)


def test_pgd_climbs_the_loss_of_soft_labels():
    # Target (0.1, 0.9): softmax(0.5, 0.5) - target = (0.4, -0.4), so x_0 rises and x_1 falls.
    soft = tf.constant([[0.1, 0.9]])
    moved = pgd(MODEL, image(0.5, 0.5), soft, epsilon=0.2, step_size=0.1, steps=1)
    np.testing.assert_allclose(moved.numpy().ravel(), (0.6, 0.4), atol=1e-6)


def test_a_random_start_fills_the_ball_and_stays_in_it():
    grey = tf.fill((500, 1, 1, 2), 0.05)
    generator = tf.random.Generator.from_seed(0)
    starts = pgd(
        MODEL, grey, CLASS_0, epsilon=0.1, step_size=0.1, steps=0, generator=generator
    ).numpy()
    # Uniform in [-0.05, 0.15], cut off at 0: a quarter of the pixels are exactly 0.
    assert starts.min() == 0.0 and 0.14 < starts.max() <= 0.15 + 1e-6
    assert abs((starts == 0.0).mean() - 0.25) < 0.05


def small_net(shape):
    """One convolution with batch norm: a resnet would spend the test's time on compiling."""
    inputs, x = layers.normalised_input(shape)
    x = tf.keras.layers.ReLU()(layers.batch_norm(layers.convolution(x, 16)))
    return tf.keras.Model(inputs, layers.logits(tf.keras.layers.Flatten()(x), 10))


RECIPE = Recipe(
    epochs=6,
    batch_size=64,
    learning_rate=0.1,
    flip=False,
    pad=0,
    weight_decay=0.0,
    precision="float32",
)
DIGITS = data.load("digits")
WEAK = AdversarialTraining(epsilon=0.15, steps=3)


@pytest.fixture(scope="module")
def plain():
    return train(small_net, DIGITS.train.images, DIGITS.train.labels, RECIPE, seed=0)


def test_the_inner_attack_raises_the_loss_within_the_ball_and_keeps_the_statistics(plain):
    before = [weight.copy() for weight in plain.get_weights()]
    images = tf.constant(DIGITS.test.floats()[:100])
    targets = tf.constant(soft_targets(DIGITS.test.labels[:100], 10))
    moved = pgd(plain, images, targets, epsilon=0.15, step_size=0.1, steps=3)

    def losses(x):
        logits = plain(x, training=False)
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits).numpy()

    assert (losses(moved) >= losses(images)).all()
    assert losses(moved).mean() > losses(images).mean() + 1.0
    assert np.abs(moved - images).max() <= 0.15 + 1e-6
    assert moved.numpy().min() >= 0.0 and moved.numpy().max() <= 1.0
    for old, new in zip(before, plain.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_net_learns_from_moved_images_and_other_ones_in_each_step():
    seen = []

    class Spy(tf.keras.layers.Layer):
        def call(self, x, training=None):
            if training:
                tf.py_function(lambda y: seen.append(y.numpy()), [x], [])
            return x

    def net(shape):
        inputs = tf.keras.Input(shape)
        return tf.keras.Model(
            inputs, tf.keras.layers.Dense(10)(tf.keras.layers.Flatten()(Spy()(inputs)))
        )

    grey = np.full((4, 8, 8, 1), 0.5, np.float32)
    gradients = adversarial_gradients(AdversarialTraining(epsilon=0.1, steps=1), seed=0)
    recipe = dataclasses.replace(RECIPE, epochs=3, batch_size=4, learning_rate=1e-9)
    train(net, grey, np.zeros(4, np.int64), recipe, seed=0, gradients=gradients)
    # The net hardly moves, but the random start does. One step of the whole radius from a random
    # start ends anywhere between the image and the edge.
    assert len(seen) == 3
    assert all(0.09 < np.abs(x - 0.5).max() <= 0.1 + 1e-6 for x in seen)
    assert not np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[1], seen[2])


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_it_makes_a_net_robust_where_plain_training_does_not(request, plain, precision):
    if precision != "float32":
        request.getfixturevalue("bfloat16")
    recipe = dataclasses.replace(RECIPE, precision=precision)
    gradients = adversarial_gradients(WEAK, seed=0)
    images, labels = DIGITS.train.images, DIGITS.train.labels
    robust = train(small_net, images, labels, recipe, seed=0, gradients=gradients)
    test = DIGITS.test
    clean = (robust(test.floats()).numpy().argmax(axis=1) == test.labels).mean()
    mine, plains = (right_under_pgd(m, test, WEAK.epsilon, seed=0) for m in (robust, plain))
    # Measured: 0.67 robust, plain training 0.26.
    assert clean > 0.9
    assert mine.mean() > plains.mean() + 0.3


def test_robust_accuracy_on_a_linear_net_by_hand():
    # Class 0 wins where x_0 > x_1; the attack moves the two towards each other by 2 epsilon = 0.2.
    images = np.array([[0.8, 0.5], [0.6, 0.5], [0.2, 0.9]], np.float32).reshape(3, 1, 1, 2)
    split = data.Split(images, np.array([0, 0, 0]))
    right = right_under_pgd(MODEL, split, 0.1, seed=0)
    # 0.3 apart: still right; 0.1 apart: fooled; wrong from the start.
    assert right.tolist() == [True, False, False]


def test_the_sign_test_by_hand():
    def compared(won, lost, both=3):
        mine = np.array([True] * won + [False] * lost + [True] * both)
        victims = np.array([False] * won + [True] * lost + [True] * both)
        return robustness(mine, victims)

    # 7 of 7: chance 2^-7 = 0.0078; 6 of 6: 2^-6 = 0.0156.
    assert compared(7, 0) == {
        "robust_accuracy": 1.0,
        "robust_accuracy_of_victim": 0.3,
        "robust": True,
    }
    weak = compared(6, 0)
    assert not weak["robust"] and "train for more epochs" in weak["failed"]
    # 8 of 9 with one lost: (9 + 1) / 2^9 = 0.0195.
    assert not compared(8, 1)["robust"]
    assert not compared(0, 0)["robust"] and not compared(0, 20)["robust"]


def thief(plain, **options):
    victim = Classifier(plain, ClassifierConfig("keras", (8, 8, 1), 10))
    settings = {"images": DIGITS.train, "arguments": {"width": 4, "depth": 8}, "seed": 0}
    return Thief(victim, DIGITS, RECIPE, **(settings | options))


def test_the_attack_reports_robustness_and_one_query_for_each_image(plain):
    assert REMOVALS["advtrain"] is AdversarialTraining
    attacker = thief(plain)
    before = attacker.victim.weights_sha256
    result = remove(dataclasses.replace(WEAK, steps=2, robust_images=200), attacker)
    facts, summary = result.summary["facts"], result.summary
    assert facts["robust"] and "failed" not in facts
    assert facts["robust_accuracy"] > facts["robust_accuracy_of_victim"] + 0.2
    assert facts["epsilon"] == WEAK.epsilon
    assert summary["queries"] == len(DIGITS.train) and summary["family"] == "adapted"
    assert attacker.victim.weights_sha256 == before
    # 200 images, each right or wrong
    assert (200 * facts["robust_accuracy"]) % 1 == pytest.approx(0)


def test_a_net_that_is_not_robust_is_a_failed_run(plain):
    # A radius of half the pixel range: nobody is right under attack.
    few = DIGITS.train.take(np.arange(20))
    result = remove(AdversarialTraining(epsilon=0.5, steps=1), thief(plain, images=few))
    facts = result.summary["facts"]
    assert not facts["robust"]
    assert "not significantly above the victim's" in facts["failed"]


def test_the_seed_decides_every_bit():
    def weights(seed):
        gradients = adversarial_gradients(WEAK, seed=seed)
        recipe = dataclasses.replace(RECIPE, epochs=1)
        few = DIGITS.train.take(np.arange(128))
        model = train(small_net, few.images, few.labels, recipe, seed=0, gradients=gradients)
        return model.get_weights()

    first, same, other = weights(1), weights(1), weights(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_without_a_random_start_and_with_a_vanishing_radius_it_is_plain_training():
    attack = AdversarialTraining(epsilon=1e-12, steps=1, random_start=False)
    few = DIGITS.train.take(np.arange(128))
    recipe = dataclasses.replace(RECIPE, epochs=1)
    mine, plain = (
        train(small_net, few.images, few.labels, recipe, seed=0, gradients=gradients)
        for gradients in (adversarial_gradients(attack, seed=0), loss_gradients)
    )
    for a, b in zip(mine.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"epsilon": 0}, {"epsilon": 1.0}, {"steps": 0}, {"step_size": -0.1}, {"robust_images": 0}],
)
def test_bad_parameters_are_one_clear_line(options):
    with pytest.raises(RemovalError, match=r"^expected epsilon in \(0, 1\).* Received: "):
        AdversarialTraining(**options)
