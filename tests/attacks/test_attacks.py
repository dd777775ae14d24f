"""One contract for every attack of the table."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp import data
from cemfp.attacks import ATTACKS
from cemfp.attacks.art_attacks import CW_CONFIDENCE, cw
from cemfp.models.classifier import Classifier, ClassifierConfig
from tests.small_classifiers import linear

ROUNDING = 1e-6


@pytest.fixture(scope="module")
def trained():
    """A linear net that knows the digits, and 100 that it gets right, the least certain first."""
    digits = data.load("digits")
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential(
        [tf.keras.Input((8, 8, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)]
    )
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.legacy.Adam(0.02), loss)
    model.fit(digits.train.images, digits.train.labels, epochs=10, batch_size=100, verbose=0)
    classifier = Classifier(model, ClassifierConfig("keras", (8, 8, 1), 10))
    logits = classifier.predict_logits(digits.test.images)
    right = np.flatnonzero(logits.argmax(axis=1) == digits.test.labels)[:100]
    best = np.sort(logits[right], axis=1)
    chosen = digits.test.take(right[np.argsort(best[:, -1] - best[:, -2])])
    return classifier, chosen.images, chosen.labels


@pytest.fixture(params=ATTACKS)
def attack(request):
    return ATTACKS[request.param]


@pytest.fixture
def case(attack, trained):
    """Net, images and labels; few for CW, which takes them one by one."""
    classifier, images, labels = trained
    few = slice(None, None, 20) if attack is cw else slice(None)
    return classifier, images[few], labels[few]


@pytest.mark.parametrize("epsilon", [0.005, 0.1])
def test_results_stay_in_the_ball_and_in_the_unit_range(attack, case, epsilon):
    classifier, images, labels = case
    before = images.copy()
    result = attack(images, labels, classifier, epsilon, 0)
    assert result.shape == images.shape and result.dtype == np.float32
    distance = np.abs(result - images).max(axis=(1, 2, 3))
    assert distance.max() <= epsilon + ROUNDING
    # The radius is used up, or nearly: an attack that forgets it would stop short. CW seeks the
    # smallest change, and reaches the sphere only where that is not enough.
    used = distance.max() if attack is cw else distance.min()
    assert used > 0.5 * epsilon
    assert result.min() >= 0 and result.max() <= 1
    np.testing.assert_array_equal(images, before)


def test_accuracy_falls_and_falls_further_with_the_radius(attack, case):
    classifier, images, labels = case
    accuracies = [
        classifier.accuracy(attack(images, labels, classifier, epsilon, 0), labels)
        for epsilon in (0.02, 0.1)
    ]
    assert classifier.accuracy(images, labels) == 1.0
    assert accuracies[0] < 1.0 and accuracies[1] < 0.8


def test_the_labels_given_are_left_not_the_truth(attack, case):
    """Told to leave a label that the net does not give, an attack has no reason to change it."""
    classifier, images, labels = case
    wrong = (labels + 1) % 10
    kept = classifier.accuracy(attack(images, wrong, classifier, 0.02, 0), labels)
    assert kept >= classifier.accuracy(attack(images, labels, classifier, 0.02, 0), labels)


def test_the_seed_decides(attack, case):
    classifier, images, labels = case
    first = attack(images, labels, classifier, 0.05, 3)
    np.random.random()  # noqa: NPY002 - moves on the state that an attack might draw from
    np.testing.assert_array_equal(attack(images, labels, classifier, 0.05, 3), first)


def test_pgd_starts_at_random_and_the_others_do_not(trained):
    classifier, images, labels = trained
    same = {
        name: np.array_equal(*(attack(images[:5], labels[:5], classifier, 0.05, s) for s in (1, 2)))
        for name, attack in ATTACKS.items()
    }
    assert same == {"fgm": True, "bim": True, "pgd": False, "cw": True}


def test_numpys_global_generator_is_left_as_it_was(attack, case):
    classifier, images, labels = case
    np.random.seed(5)  # noqa: NPY002 - the state under test
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    attack(images[:3], labels[:3], classifier, 0.05, 1)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


def test_the_attacked_net_is_left_as_it_was(attack, case):
    classifier, images, labels = case
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


# Three classes on four pixels; on mid-grey, x = 0.5 each, the logits are k.sum(axis=0) / 2.
KERNEL = np.array([[3.0, 0.5, 0.0], [0.0, 1.5, -1.0], [0.5, -1.0, -0.5], [0.0, 1.0, -1.0]])
STEP = 0.005  # 0.01 in tanh space, at mid-grey: d/dt (1 + tanh t) / 2 = 1/2


def test_cw_by_hand_reaches_the_margin_with_the_smallest_change():
    """The smallest change in L-inf by which a linear net favours j over i with a margin m.

    Each pixel moves by (z_i - z_j + m) / ||w_i - w_j||_1 along the sign of w_j - w_i.
    z = (1.75, 1, -1.25): i = 0, j = 1. w_0 - w_1 = (2.5, -1.5, 1.5, -1), L1 norm 6.5.
    (1.75 - 1 + 0.5) / 6.5 = 0.1923; against class 2 it were (3 + 0.5) / 6 = 0.58.
    """
    net, images = linear(KERNEL, shape=(2, 2, 1)), np.full((1, 2, 2, 1), 0.5, np.float32)
    result = cw(images, np.array([0]), net, 1.0, 0)
    change = (result - images).ravel()
    np.testing.assert_array_equal(np.sign(change), [-1, 1, -1, 1])
    smallest = (0.75 + CW_CONFIDENCE) / 6.5
    assert smallest <= np.abs(change).max() <= smallest + STEP
    logits = net.predict_logits(result)[0]
    assert CW_CONFIDENCE <= logits[1] - logits[0] <= CW_CONFIDENCE + 6.5 * STEP


def test_cw_outside_the_ball_is_projected_onto_it():
    net, images = linear(KERNEL, shape=(2, 2, 1)), np.full((1, 2, 2, 1), 0.5, np.float32)
    result = cw(images, np.array([0]), net, 0.1, 0)
    np.testing.assert_allclose((result - images).ravel(), [-0.1, 0.1, -0.1, 0.1], atol=1e-6)


def test_cw_gives_up_after_fifty_steps_and_returns_the_image():
    # 50 steps of 0.005 are at most 0.25 a pixel; to change the label takes (0.9 - 0.1) / 2 = 0.4.
    images = np.float32([0.9, 0.1]).reshape(1, 1, 1, 2)
    result = cw(images, np.array([0]), linear(np.eye(2)), 1.0, 0)
    np.testing.assert_array_equal(result, images)


def test_cw_treats_every_image_by_its_own_label():
    images = np.float32([[0.5, 0.45], [0.45, 0.5]]).reshape(2, 1, 1, 2)
    # The margin of 0.5 needs (0.05 + 0.5) / 2 = 0.275 in each pixel: too far for fifty steps, so
    # that ART's weaker success counts, another label.
    result = cw(images, np.array([0, 1]), linear(np.eye(2)), 1.0, 0)
    assert linear(np.eye(2)).predict_labels(result).tolist() == [1, 0]
