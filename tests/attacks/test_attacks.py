"""One contract for every attack of the table."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp import data
from cemfp.attacks import ATTACKS
from cemfp.classifier import Classifier, ClassifierConfig
from tests.small_classifiers import linear

ROUNDING = 1e-6


@pytest.fixture(scope="module")
def trained():
    """A linear net that knows the digits, and 100 of them that it gets right."""
    digits = data.load("digits")
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential(
        [tf.keras.Input((8, 8, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)]
    )
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.legacy.Adam(0.02), loss)
    model.fit(digits.train.images, digits.train.labels, epochs=10, batch_size=100, verbose=0)
    classifier = Classifier(model, ClassifierConfig("keras", (8, 8, 1), 10))
    right = classifier.predict_labels(digits.test.images) == digits.test.labels
    chosen = digits.test.take(np.flatnonzero(right)[:100])
    return classifier, chosen.images, chosen.labels


@pytest.fixture(params=ATTACKS)
def attack(request):
    return ATTACKS[request.param]


@pytest.mark.parametrize("epsilon", [0.005, 0.1])
def test_results_stay_in_the_ball_and_in_the_unit_range(attack, trained, epsilon):
    classifier, images, labels = trained
    before = images.copy()
    result = attack(images, labels, classifier, epsilon, 0)
    assert result.shape == images.shape and result.dtype == np.float32
    distance = np.abs(result - images).max(axis=(1, 2, 3))
    assert distance.max() <= epsilon + ROUNDING
    # The radius is used up, or nearly: an attack that forgets it would stop short.
    assert distance.min() > 0.5 * epsilon
    assert result.min() >= 0 and result.max() <= 1
    np.testing.assert_array_equal(images, before)


def test_accuracy_falls_and_falls_further_with_the_radius(attack, trained):
    classifier, images, labels = trained
    accuracies = [
        classifier.accuracy(attack(images, labels, classifier, epsilon, 0), labels)
        for epsilon in (0.02, 0.1)
    ]
    assert classifier.accuracy(images, labels) == 1.0
    assert accuracies[0] < 1.0 and accuracies[1] < 0.8


def test_the_labels_given_are_left_not_the_truth(attack, trained):
    """Told to leave a label that the net does not give, an attack has no reason to change it."""
    classifier, images, labels = trained
    wrong = (labels + 1) % 10
    kept = classifier.accuracy(attack(images, wrong, classifier, 0.02, 0), labels)
    assert kept >= classifier.accuracy(attack(images, labels, classifier, 0.02, 0), labels)


def test_the_seed_decides(attack, trained):
    classifier, images, labels = trained
    first = attack(images, labels, classifier, 0.05, 3)
    np.random.random()  # noqa: NPY002 - moves on the state that an attack might draw from
    np.testing.assert_array_equal(attack(images, labels, classifier, 0.05, 3), first)


def test_pgd_starts_at_random_and_the_others_do_not(trained):
    classifier, images, labels = trained
    same = {
        name: np.array_equal(*(attack(images, labels, classifier, 0.05, s) for s in (1, 2)))
        for name, attack in ATTACKS.items()
    }
    assert same == {"fgm": True, "bim": True, "pgd": False}


def test_numpys_global_generator_is_left_as_it_was(attack, trained):
    classifier, images, labels = trained
    np.random.seed(5)  # noqa: NPY002 - the state under test
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    attack(images[:3], labels[:3], classifier, 0.05, 1)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


def test_the_attacked_net_is_left_as_it_was(attack, trained):
    classifier, images, labels = trained
    before = classifier.weights_sha256
    attack(images[:3], labels[:3], classifier, 0.05, 0)
    assert classifier.weights_sha256 == before


@pytest.mark.parametrize("name", ["fgm", "bim"])
def test_a_linear_net_by_hand(name):
    # Scores are the two pixels. To leave label 0 is to lower pixel 0 and raise pixel 1: FGM in one
    # step of 0.05, BIM in five of 0.01 and five more that the ball takes back.
    images = np.float32([0.5, 0.4]).reshape(1, 1, 1, 2)
    result = ATTACKS[name](images, np.array([0]), linear(np.eye(2)), 0.05, 0)
    np.testing.assert_allclose(result.ravel(), [0.45, 0.45], atol=1e-6)


def test_bim_takes_ten_steps_of_a_hundredth():
    images = np.float32([0.5, 0.4]).reshape(1, 1, 1, 2)
    result = ATTACKS["bim"](images, np.array([0]), linear(np.eye(2)), 0.3, 0)
    np.testing.assert_allclose(result.ravel(), [0.4, 0.5], atol=1e-6)
