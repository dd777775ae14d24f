"""Fine-tuning: which layers move, from which weights, towards which labels."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cemfp.data import load
from cemfp.models.classifier import Classifier
from cemfp.removal import REMOVALS, remove
from cemfp.removal.fine_tuning import FTAL, FTLL, RTAL, RTLL, changed_layers, tuning_targets
from tests.removal.conftest import ONE_STEP, pixels, two_pixel_thief, untrained
from tests.removal.untrained import thief_of

ONE_IMAGE = pixels((1, 0), labels=[1])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [("top1", [0]), ("truth", [1]), ("soft", [[0.7311, 0.2689]])],  # e / (e + 1) = 0.7311
)
def test_targets(labels, expected):
    thief = two_pixel_thief(ONE_IMAGE)
    np.testing.assert_allclose(tuning_targets(thief, labels), expected, atol=1e-4)
    assert thief.queries == 0


@pytest.mark.parametrize(
    ("labels", "step"),
    [
        # Gradient of the logits p - y = (0.7311 - 1, 0.2689), at a learning rate of 0.1.
        ("top1", [0.02689, -0.02689]),
        ("truth", [-0.07311, 0.07311]),
        ("soft", [0, 0]),
    ],
)
def test_one_step_of_ftal_by_hand(labels, step):
    kernel, bias = remove(FTAL(labels), two_pixel_thief(ONE_IMAGE)).classifier.model.get_weights()
    # The image is (1, 0): only the first pixel's row of the kernel has a gradient.
    np.testing.assert_allclose(kernel, np.add(np.eye(2), [step, [0, 0]]), atol=1e-5)
    np.testing.assert_allclose(bias, step, atol=1e-5)


@pytest.fixture(scope="module")
def victim():
    made = untrained("one-convolution", (8, 8, 1), 10, seed=9)  # not the thief's seed
    # Biases of zero, as fresh ones are, would look alike.
    made.model.get_layer("head").bias.assign(np.linspace(0.1, 1, 10))
    return made


# Kernel; scale, shift, mean and variance of batch norm; kernel and bias of the head.
BODY, HEAD = slice(0, 5), slice(5, 7)


@pytest.mark.parametrize(("attack", "layers"), [(FTLL, 1), (RTLL, 1), (FTAL, 3), (RTAL, 3)])
def test_the_named_layers_move_and_no_other(victim, attack, layers):
    thief = thief_of(victim)
    removal = remove(attack(), thief)
    new, old = removal.classifier.model.get_weights(), victim.model.get_weights()
    same = [np.array_equal(mine, its) for mine, its in zip(new, old, strict=True)]
    assert same[BODY] == [attack in (FTLL, RTLL)] * 5
    assert same[HEAD] == [False, False]
    assert removal.summary["facts"] == {"changed_layers": layers}
    assert removal.summary["queries"] == 0


@pytest.mark.parametrize("attack", [FTLL, FTAL, RTLL, RTAL])
def test_only_re_training_starts_from_a_fresh_head(victim, trainings, attack):
    remove(attack(), thief_of(victim, images=32))
    initial, old = trainings[0].initial, victim.model.get_weights()
    for mine, its in zip(initial[BODY], old[BODY], strict=True):
        np.testing.assert_array_equal(mine, its)
    fresh = attack in (RTLL, RTAL)
    assert np.array_equal(initial[5], old[5]) is not fresh
    np.testing.assert_array_equal(initial[6], np.zeros(10) if fresh else old[6])


def test_a_fresh_head_is_the_seeds(victim, trainings):
    for seed in (3, 3, 4):
        remove(RTLL(), thief_of(victim, seed=seed, images=32))
    heads = [training.initial[5] for training in trainings]
    assert np.array_equal(heads[0], heads[1]) and not np.array_equal(heads[0], heads[2])


def test_changed_layers_are_counted_not_believed(victim):
    thief = thief_of(victim)
    model = thief.build_like_victim((8, 8, 1))
    model.set_weights(victim.model.get_weights())
    assert changed_layers(model, thief) == 0
    model.get_layer("head").bias.assign_add(tf.ones(10))
    assert changed_layers(model, thief) == 1


@pytest.fixture(scope="module")
def keras_victim():
    """A user's model: a model inside a model, grey levels in, probabilities out."""
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    body = tf.keras.Sequential(
        [layers.Conv2D(3, 3, activation="relu"), layers.BatchNormalization(), layers.Flatten()]
    )
    head = layers.Dense(10, activation="softmax")
    model = tf.keras.Sequential([tf.keras.Input((8, 8, 1)), body, layers.Dense(6), head])
    return Classifier.from_keras(model, scale=255.0)


@pytest.mark.parametrize("name", ["ftll", "rtal"])
def test_the_weights_of_a_users_own_keras_model(keras_victim, tmp_path, name):
    before = keras_victim.weights_sha256
    removal = remove(REMOVALS[name](), thief_of(keras_victim, learning_rate=1e-4))
    new, old = removal.classifier.model.get_weights(), keras_victim.model.get_weights()
    same = [np.array_equal(mine, its) for mine, its in zip(new, old, strict=True)]
    # Convolution, batch norm, whose statistics stay, dense layer, head.
    moves = [False] * 2 if name == "ftll" else [True] * 2
    moves += [moves[0]] * 2 + [False] * 2 + [moves[0]] * 2 + [True] * 2
    assert same == [not move for move in moves]
    assert removal.summary["net"] == "keras" and keras_victim.weights_sha256 == before

    removal.save(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "summary.json",
        "weights.npz",
    }
    images = load("digits").test.images
    again = Classifier.load(tmp_path / "out")
    np.testing.assert_array_equal(
        again.predict_labels(images), removal.classifier.predict_labels(images)
    )


def test_the_last_layer_must_be_there():
    inputs = tf.keras.Input((1, 1, 2))
    model = Classifier.from_keras(tf.keras.Model(inputs, tf.keras.layers.Flatten()(inputs)))
    thief = dataclasses.replace(two_pixel_thief(ONE_IMAGE, recipe=ONE_STEP), victim=model)
    with pytest.raises(ValueError, match="a dense layer"):
        remove(FTLL(), thief)


def test_the_default_rate_spares_a_net_without_batch_norm():
    """Without a bound on the gradient this net fell from 98 to 43 %."""
    digits = load("digits")
    tf.keras.utils.set_random_seed(1)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            tf.keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(digits.train.floats(), digits.train.labels, epochs=6, verbose=0)
    victim = Classifier.from_keras(model)
    thief = dataclasses.replace(thief_of(victim, images=1_200), recipe=FTAL.recipe)
    summary = remove(FTAL(), thief).summary
    assert summary["victim_accuracy"] > 0.95
    assert summary["test_accuracy"] > summary["victim_accuracy"] - 0.03
