"""Pruning: which weights go, when, and that they stay gone while momentum pulls at them."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.removal import RemovalError, pruning, remove
from cemfp.removal.kernels import kernels, values
from cemfp.removal.pruning import (
    FinePruning,
    Masks,
    Prune,
    channel_activity,
    magnitude_mask,
    sparsity_at,
    train_masked,
)
from tests.removal.untrained import thief_of, untrained_victim, vectors


def test_the_smallest_weights_go():
    # Sizes 0.1 < 0.2 < 0.3 < 0.4: half of four weights are the first and the last.
    (mask,) = magnitude_mask([np.array([[0.1, -0.4], [0.3, -0.2]])], 0.5)
    np.testing.assert_array_equal(mask, [[False, True], [True, False]])


def test_scope_says_who_is_compared_with_whom():
    small, large = np.array([0.1, 0.2]), np.array([4.0, -3.0])
    together = magnitude_mask([small, large], 0.5, "global")
    np.testing.assert_array_equal(together, [[False, False], [True, True]])
    apart = magnitude_mask([small, large], 0.5, "layer")
    np.testing.assert_array_equal(apart, [[False, True], [True, False]])


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 1.0])
def test_the_count_is_exact(sparsity):
    masks = magnitude_mask([np.arange(1.0, 8.0), np.ones((2, 2))], sparsity)
    # round(0.3 * 11) = 3
    assert sum(int(np.sum(~mask)) for mask in masks) == {0.0: 0, 0.3: 3, 1.0: 11}[sparsity]


def test_the_schedule_by_hand():
    assert sparsity_at(0.0, 0.8) == 0.0 and sparsity_at(1.0, 0.8) == 0.8
    # 0.8 + (0 - 0.8) (1/2)^3 = 0.7, and 0.8 + (0.2 - 0.8) / 8 = 0.725
    assert sparsity_at(0.5, 0.8) == pytest.approx(0.7)
    assert sparsity_at(0.5, 0.8, initial=0.2) == pytest.approx(0.725)


def test_weights_go_when_they_are_due():
    model, choose = untrained_victim().model, Prune(0.8, ramp=0.5, updates=2).schedule()
    total = sum(kernel.size for kernel in values(model))

    def gone(done):
        masks = choose(done, 100, model)
        return None if masks is None else sum(int(np.sum(~mask)) for mask in masks)

    # The ramp takes 50 steps: half of it is done at 25, all of it at 50.
    assert [gone(done) for done in (0, 24, 25, 49, 50, 100)] == [
        0, None, round(0.7 * total), None, round(0.8 * total), None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("precision", "scope"), [("float32", "layer"), ("mixed_bfloat16", "global")]
)
def test_sparsity_is_exact_after_training(request, precision, scope):
    if precision != "float32":
        request.getfixturevalue("bfloat16")
    victim = untrained_victim()
    before = victim.weights_sha256
    removal = remove(Prune(0.7, scope), thief_of(victim, precision=precision))
    model, facts = removal.classifier.model, removal.summary["facts"]
    zeros = [int(np.sum(kernel == 0)) for kernel in values(model)]
    sizes = [kernel.size for kernel in values(model)]
    if scope == "global":
        assert sum(zeros) == round(0.7 * sum(sizes))
    else:
        assert zeros == [round(0.7 * size) for size in sizes]
    assert facts["sparsity"] == sum(zeros) / sum(sizes) and facts["scope"] == scope
    assert list(facts["sparsity_per_layer"].values()) == [
        zero / size for zero, size in zip(zeros, sizes, strict=True)
    ]
    assert victim.weights_sha256 == before
    assert all(kernel.dtype == np.float32 for kernel in values(model))


def test_biases_and_batch_norm_are_never_masked():
    tuned = vectors(remove(Prune(0.95), thief_of(untrained_victim())).classifier.model)
    assert all(np.all(vector != 0) for vector in tuned)


def test_weights_that_are_gone_stay_gone_for_every_loss(monkeypatch):
    # At step 16 a third of the weights goes, with the velocity of 16 steps.
    moved = tf.Variable(0.0)
    victim = untrained_victim()

    def choose(done, total, model):
        return magnitude_mask(values(model), 0.33) if done == 16 else None

    made = []
    monkeypatch.setattr(pruning, "Masks", lambda choose: made.append(Masks(choose)) or made[0])

    def spy(model, images, targets):
        for kernel, mask in zip(kernels(model), made[0].masks, strict=True):
            moved.assign(tf.maximum(moved, tf.reduce_max(tf.abs(kernel * (1.0 - mask)))))
        return loss_gradients(model, images, targets)

    loss_gradients = pruning.loss_gradients
    monkeypatch.setattr(pruning, "loss_gradients", spy)
    train_masked(thief_of(victim, momentum=0.9, schedule="constant"), "top1", choose)
    assert sum(int(np.sum(mask.numpy() == 0)) for mask in made[0].masks) > 100
    assert float(moved) == 0.0


def test_activity_of_channels_by_hand():
    inputs = tf.keras.Input((1, 2, 2))
    pooled = tf.keras.layers.GlobalAveragePooling2D()(inputs)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(3, name="head")(pooled))
    classifier = Classifier(model, ClassifierConfig("keras", (1, 2, 2), 3))
    images = np.array([[[[0.2, 1.0], [0.4, 0.0]]], [[[0.0, 0.5], [0.2, 0.5]]]], np.float32)
    # Channel 0: (0.2 + 0.4 + 0.0 + 0.2) / 4 = 0.2; channel 1: 2.0 / 4 = 0.5.
    np.testing.assert_allclose(channel_activity(classifier, images), [0.2, 0.5], atol=1e-7)


def test_fine_pruning_cuts_off_the_dormant_channels():
    victim = untrained_victim()
    before, thief = victim.weights_sha256, thief_of(victim)
    activity = channel_activity(victim, thief.images.images)
    removal = remove(FinePruning(0.25), thief)
    rows = removal.classifier.model.get_layer("head").kernel.numpy()
    # 8 channels, of which round(0.25 * 8) = 2 go.
    np.testing.assert_array_equal(
        np.flatnonzero(np.all(rows == 0, axis=1)), np.sort(np.argsort(activity)[:2])
    )
    assert removal.summary["facts"] == {"channels": 8, "channel_sparsity": 0.25}
    assert np.sum(rows == 0) == 2 * 10 and victim.weights_sha256 == before


@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0.0},
        {"sparsity": 1.0},
        {"sparsity": float("nan")},
        {"scope": "net"},
        {"ramp": 0.0},
        {"ramp": 1.5},
        {"updates": 0},
    ],
)
def test_bad_options_are_one_line(options):
    with pytest.raises(RemovalError, match=r"^expected [^\n]*Received: [^\n]*$"):
        Prune(**options)


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_a_bad_share_is_one_line(share):
    with pytest.raises(RemovalError, match=r"^expected [^\n]*Received: [^\n]*$"):
        FinePruning(share)
