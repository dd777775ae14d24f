"""What a thief may ask for, what is counted, and what is refused before anything is done."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cemfp.data import Split
from cemfp.models.classifier import Classifier
from cemfp.removal import RemovalError
from tests.removal.conftest import BRIGHTER, ONE_STEP, pixels, two_pixel_thief, untrained
from tests.small_classifiers import linear

TWO = pixels((1, 0), (0, 0.5), labels=[0, 1])


def test_an_answer_is_the_softmax_of_the_victims_logits_and_one_query():
    thief = two_pixel_thief(TWO)
    # Logits (1, 0) and (0, 0.5): e / (e + 1) = 0.7311, 1 / (1 + sqrt(e)) = 0.3775
    expected = [[0.7311, 0.2689], [0.3775, 0.6225]]
    np.testing.assert_allclose(thief.ask(TWO.images), expected, atol=1e-4)
    assert thief.queries == 2
    np.testing.assert_allclose(thief.ask_transfer_set(np.array([1])), expected[1:], atol=1e-4)
    assert thief.queries == 3


def test_answers_that_are_known_already_are_taken_and_count_as_queries():
    # Not what the victim says: log 3 and log 1 are probabilities 3/4 and 1/4.
    thief = two_pixel_thief(TWO, answers=np.log(np.array([[1, 1], [3, 1]], np.float32)))
    np.testing.assert_allclose(thief.ask_transfer_set(np.array([1])), [[0.75, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(thief.ask_transfer_set(), [[0.5, 0.5], [0.75, 0.25]], rtol=1e-6)
    assert thief.queries == 3


def test_chance_is_the_seeds():
    draws = [two_pixel_thief(TWO, seed=seed).chance().random() for seed in (5, 5, 6)]
    assert draws[0] == draws[1] != draws[2]


EMPTY = Split(np.zeros((0, 1, 1, 2), np.float32), np.zeros(0, np.int64))
LARGE = Split(np.zeros((3, 2, 2, 2), np.float32), np.zeros(3, np.int64))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": EMPTY}, "empty"),
        ({"images": LARGE}, r"shape \(1, 1, 2\)\. Received: .*\(2, 2, 2\)"),
        ({"victim": linear([[1, 0], [0, 1], [0, 0]], shape=(1, 1, 3))}, r"shape \(1, 1, 3\)"),
        ({"victim": linear([[1, 0, 0], [0, 1, 0]])}, "victim's 3 classes.* with 2"),
        ({"pretrained": linear([[1, 0]], shape=(1, 1, 1))}, r"pre-trained.*\(1, 1, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    with pytest.raises(RemovalError, match=words):
        dataclasses.replace(two_pixel_thief(TWO), **change)


def test_truth_is_that_of_the_victims_classes():
    np.testing.assert_array_equal(two_pixel_thief(TWO).truth(), [0, 1])
    foreign = dataclasses.replace(two_pixel_thief(TWO), images=pixels((1, 0), labels=[2]))
    with pytest.raises(RemovalError, match="2 classes"):
        foreign.truth()


def test_a_net_like_the_victim_is_fresh():
    victim = untrained("one-convolution", (1, 1, 2), 2, width=3)
    thief = dataclasses.replace(two_pixel_thief(TWO), victim=victim)
    model = thief.build_like_victim((1, 1, 2))
    assert [w.shape for w in model.get_weights()] == [w.shape for w in victim.model.get_weights()]
    assert not {id(v) for v in model.variables} & {id(v) for v in victim.model.variables}
    assert not np.array_equal(model.get_weights()[0], victim.model.get_weights()[0])


def test_a_keras_model_of_the_users_is_cloned():
    thief = two_pixel_thief(TWO)
    model = thief.build_like_victim((1, 1, 2))
    assert not {id(v) for v in model.variables} & {id(v) for v in thief.victim.model.variables}
    kernel, bias = model.get_weights()
    assert kernel.shape == (2, 2) and not np.array_equal(kernel, BRIGHTER)
    np.testing.assert_array_equal(bias, [0, 0])


def test_a_keras_model_takes_no_crops():
    with pytest.raises(RemovalError, match="set crop to 0"):
        two_pixel_thief(TWO).build_like_victim((None, None, 2))


class Secret(tf.keras.layers.Layer):
    """A layer without `get_config` for its argument, as users write them."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return x * self.factor


def test_a_keras_model_that_cannot_be_cloned_is_refused():
    inputs = tf.keras.Input((1, 1, 2))
    model = tf.keras.Model(inputs, tf.keras.layers.Flatten()(Secret(2.0)(inputs)))
    thief = dataclasses.replace(two_pixel_thief(TWO), victim=Classifier.from_keras(model))
    with pytest.raises(RemovalError, match=r"Keras can clone.*only query"):
        thief.build_like_victim((1, 1, 2))


def test_progress_is_passed_on():
    seen = []
    thief = two_pixel_thief(TWO, progress=lambda *news: seen.append(news), recipe=ONE_STEP)
    thief.train(TWO.images, TWO.labels)
    assert seen[-1][:2] == (1, 1)
