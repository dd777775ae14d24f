"""DP-SGD: clipping and noise by hand and against single gradients, the accountant, what it learns.

The extra `dp` has to be installed.
"""

import dataclasses
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

from cemfp import data
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS
from cemfp.numerics import precision
from cemfp.removal import REMOVALS, RemovalError, Thief, remove
from cemfp.removal.dp_sgd import DPSGD, PRIVATE, learned, private_gradients, spent
from cemfp.training.loop import loss_gradients, soft_targets, train
from cemfp.training.recipe import Recipe
from tests.small_classifiers import linear

DIGITS = data.load("digits")


def batch(count, side=8, classes=10):
    rng = np.random.default_rng(0)
    images = tf.constant(rng.random((count, side, side, 1), np.float32))
    return images, tf.constant(soft_targets(rng.integers(0, classes, count), classes))


def net(shape, **options):
    return NETS["resnet20"](shape, 10, **({"width": 4, "depth": 8, "norm": "group"} | options))


def linear_net(shape):
    return NETS["linear"](shape, 10)


def test_clipping_on_a_linear_layer_by_hand():
    # All weights 0: p = (1/2, 1/2), and for class 0 p - t = (-1/2, 1/2). The kernel's gradient is
    # x (p - t)^T, the bias's p - t: squared norm (|x|^2 + 1) / 2.
    # x = (1, 0): norm 1, clipped to 0.8. x = (0, 0): norm 0.71, left alone.
    # Means: kernel (0.8 (1, 0)^T (-1/2, 1/2) + 0) / 2, bias (0.8 + 1) / 2 (-1/2, 1/2).
    model = linear([[0, 0], [0, 0]]).model
    images = tf.constant([[1.0, 0.0], [0.0, 0.0]], shape=(2, 1, 1, 2))
    targets = tf.constant([[1.0, 0.0]] * 2)
    loss, (kernel, bias) = private_gradients(0.8, 0.0)(model, images, targets)
    np.testing.assert_allclose(kernel, [[-0.2, 0.2], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(bias, [-0.45, 0.45], atol=1e-6)
    assert float(loss) == pytest.approx(np.log(2))


# An odd side pads `same` on one edge more than on the other when it halves. Nets that train on
# crops are built for any side.
@pytest.mark.parametrize(("side", "shape"), [(8, (8, 8, 1)), (7, (None, None, 1))])
def test_each_image_of_a_resnet_is_clipped_as_if_it_came_alone(side, shape):
    tf.keras.utils.set_random_seed(0)
    model = net(shape)
    # Group norm's scale and shift start at 1 and 0; no weight may be special.
    rng = np.random.default_rng(1)
    model.set_weights([w + 0.1 * rng.standard_normal(w.shape) for w in model.get_weights()])
    images, targets = batch(6, side)
    alone = [loss_gradients(model, images[i : i + 1], targets[i : i + 1])[1] for i in range(6)]
    norms = np.array([float(tf.linalg.global_norm(gradient)) for gradient in alone])
    clip = float(np.median(norms))
    assert norms.min() < clip < norms.max()
    expected = [
        np.mean([g * min(1, clip / n) for g, n in zip(gradients, norms, strict=True)], axis=0)
        for gradients in zip(*alone, strict=True)
    ]
    _, clipped = private_gradients(clip, 0.0)(model, images, targets)
    for mine, single in zip(clipped, expected, strict=True):
        np.testing.assert_allclose(mine, single, atol=1e-4 * clip)


def test_a_clip_beyond_all_norms_without_noise_is_plain_training():
    model = net((8, 8, 1))
    images, targets = batch(5)
    loss, mine = private_gradients(1e6, 0.0)(model, images, targets)
    plain_loss, plain = loss_gradients(model, images, targets)
    assert float(loss) == pytest.approx(float(plain_loss))
    for a, b in zip(mine, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.usefixtures("bfloat16")
def test_lower_precision_keeps_the_clip_up_to_rounding():
    with precision.policy("mixed_bfloat16"):
        model = net((8, 8, 1))
    images, targets = batch(1)
    _, clipped = private_gradients(0.01, 0.0)(model, images, targets)
    assert float(tf.linalg.global_norm(clipped)) == pytest.approx(0.01, rel=0.05)


def test_noise_has_the_stated_deviation_and_is_new_in_each_step():
    # Noise of 3 clips of 2 on the sum of 4 images: 1.5 on their mean. 3,200 weights give the
    # deviation within 1.3 %.
    model = linear(np.zeros((3200, 2)), shape=(40, 80, 1)).model
    images, targets = tf.zeros((4, 40, 80, 1)), tf.constant([[1.0, 0.0]] * 4)
    tf.keras.utils.set_random_seed(0)
    step = tf.function(private_gradients(2.0, 3.0))
    first, second = (step(model, images, targets)[1][0].numpy() for _ in range(2))
    # Black images: the kernel's own gradient is 0.
    for noise in (first, second, (first - second) / np.sqrt(2)):
        assert abs(noise.mean()) < 0.1
        assert noise.std() == pytest.approx(1.5, rel=0.05)


RECIPE = Recipe(epochs=5, batch_size=100)


def test_epsilon_is_the_library_s_own_figure():
    from tensorflow_privacy import compute_dp_sgd_privacy_statement

    cost = spent(DPSGD(noise_multiplier=1.1, delta=1e-4), 1000, RECIPE)
    statement = compute_dp_sgd_privacy_statement(1000, 100, 5, 1.1, 1e-4, used_microbatching=False)
    any_order, sampled = map(float, re.findall(r":\s+(\d+\.\d+)\s", statement)[:2])
    assert cost["epsilon"] == pytest.approx(sampled, abs=6e-4)
    assert cost["epsilon_any_order"] == pytest.approx(any_order, abs=6e-4)
    assert cost["delta"] == 1e-4


def test_epsilon_falls_with_noise_and_grows_with_epochs_and_batch():
    def epsilon(noise=1.0, **changes):
        return spent(DPSGD(noise), 1000, dataclasses.replace(RECIPE, **changes))["epsilon"]

    assert epsilon(noise=2.0) < epsilon() < epsilon(noise=0.7)
    assert epsilon() < epsilon(epochs=6)
    assert epsilon() < epsilon(batch_size=200)


@pytest.fixture(scope="module")
def victim():
    """A linear classifier of digits, right about nine in ten."""
    recipe = Recipe(epochs=5, batch_size=100, learning_rate=0.5, flip=False, pad=0)
    images, labels = DIGITS.train.images, DIGITS.train.labels
    model = train(linear_net, images, labels, recipe, seed=0)
    return Classifier(model, ClassifierConfig("linear", (8, 8, 1), 10))


def thief(victim, **options):
    recipe = dataclasses.replace(
        PRIVATE, epochs=10, batch_size=120, flip=False, crop=7, full_size=0.0
    )
    settings = {"images": DIGITS.train, "arguments": {"width": 4, "depth": 8}, "recipe": recipe}
    settings |= options
    return Thief(victim, DIGITS, seed=0, **settings)


def test_it_learns_digits_and_says_what_that_cost(victim, tmp_path):
    attacker = thief(victim)
    before = attacker.victim.weights_sha256
    result = remove(REMOVALS["dp-sgd"](noise_multiplier=0.8), attacker)
    summary, facts = result.summary, result.summary["facts"]
    assert summary["test_accuracy"] > 0.45  # measured: 0.61; chance is 0.1
    assert facts["learned"] and "failed" not in facts
    assert facts["noise_multiplier"] == 0.8 and facts["clip"] == 1.0
    expected = spent(DPSGD(0.8), len(DIGITS.train), attacker.recipe)
    assert facts["epsilon"] == expected["epsilon"] < facts["epsilon_any_order"]
    assert summary["queries"] == len(DIGITS.train) and summary["family"] == "adapted"
    assert attacker.victim.weights_sha256 == before
    # The net is another than the thief named, and a saved one is built anew.
    assert summary["arguments"] == {"width": 4, "depth": 8, "norm": "group"}
    assert attacker.arguments == {"width": 4, "depth": 8}
    result.save(tmp_path)
    assert Classifier.load(tmp_path).weights_sha256 == result.classifier.weights_sha256
    names = {type(layer).__name__ for layer in result.classifier.model.layers}
    assert "GroupNormalization" in names and "BatchNormalization" not in names


def test_a_net_that_learned_nothing_says_so(victim):
    # All scores 0: the answer is class 0, which a tenth of the digits are.
    model = linear(np.zeros((64, 10)), shape=(8, 8, 1)).model
    facts = learned(model, thief(victim))
    assert facts["learned"] is False
    assert "not far above chance (0.100)" in facts["failed"]


def test_the_seed_decides_every_bit():
    def weights(seed):
        few = DIGITS.train.take(np.arange(64))
        recipe = dataclasses.replace(PRIVATE, epochs=2, batch_size=16, pad=1)
        gradients = private_gradients(1.0, 1.0)
        model = train(linear_net, few.images, few.labels, recipe, seed=seed, gradients=gradients)
        return model.get_weights()

    first, same, other = (weights(seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_net_with_batch_norm_only_is_one_clear_line_and_costs_no_query(victim):
    attacker = thief(victim, net="densenet", arguments={})
    with pytest.raises(RemovalError, match=r"^expected a resnet.* Received: densenet; choose"):
        DPSGD()(attacker)
    assert attacker.queries == 0


def test_a_missing_extra_is_one_clear_line_and_costs_no_query(victim, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_privacy", None)
    attacker = thief(victim)
    with pytest.raises(RemovalError, match=r"^the extra dp is missing: pip install 'cemfp\[dp\]'$"):
        DPSGD()(attacker)
    assert attacker.queries == 0


@pytest.mark.parametrize(
    "options", [{"noise_multiplier": 0}, {"clip": 0}, {"clip": -1.0}, {"delta": 0}, {"delta": 1}]
)
def test_bad_parameters_are_one_clear_line(options):
    with pytest.raises(RemovalError, match=r"^expected noise_multiplier > 0.* Received: "):
        DPSGD(**options)
