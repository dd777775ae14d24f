"""The training loop: one step by hand, schedules, seeds, what learns and what must not."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from cemfp import data
from cemfp.models.nets import NETS
from cemfp.training.loop import TrainingDiverged, loss_gradients, soft_targets, train
from cemfp.training.recipe import Recipe

PLAIN = Recipe(
    epochs=1,
    batch_size=2,
    learning_rate=0.5,
    schedule="constant",
    momentum=0.9,
    weight_decay=0.0,
    flip=False,
    pad=0,
    precision="float32",
)


def change(recipe=PLAIN, **changes):
    return dataclasses.replace(recipe, **changes)


def linear_net(shape, classes=2):
    """Logits = sum of all pixels @ kernel (1, classes) + bias."""
    inputs = tf.keras.Input(shape)
    total = tf.keras.layers.Lambda(lambda x: tf.reduce_sum(x, axis=(1, 2)))(inputs)
    dense = tf.keras.layers.Dense(classes, kernel_initializer="zeros", name="head")
    return tf.keras.Model(inputs, dense(total))


def tiny_net(shape):
    """A net with batch norm for images of any size, cheap to compile."""
    inputs = tf.keras.Input(shape)
    x = tf.keras.layers.Conv2D(4, 3)(inputs)
    x = tf.keras.layers.ReLU()(tf.keras.layers.BatchNormalization()(x))
    x = tf.keras.layers.GlobalAveragePooling2D()(x)
    x = tf.keras.layers.Dense(10, name="head")(x)
    return tf.keras.Model(inputs, tf.keras.layers.Activation("linear", dtype="float32")(x))


ONES = np.ones((2, 1, 1, 1), np.float32)
CLASS_0 = np.zeros(2, np.int64)


def after_steps(steps, **changes):
    """Kernel and bias of class 0 after `steps` steps on pixels that are 1 and of class 0."""
    kernel, bias = train(linear_net, ONES, CLASS_0, change(epochs=steps, **changes), seed=0).weights
    return kernel.numpy()[0, 0], bias.numpy()[0]


def test_one_step_by_hand():
    # Zero weights: softmax = (1/2, 1/2), so the gradient of class 0's score is 1/2 - 1 = -1/2,
    # for the kernel (input 1) as for the bias. Velocity v = g = -1/2; Nesterov's step is
    # rate * (g + 0.9 v) = 0.5 * (-0.95) = -0.475.
    kernel, bias = after_steps(1)
    assert kernel == pytest.approx(0.475) and bias == pytest.approx(0.475)


def test_two_steps_by_hand():
    # Both weights are 0.475 for class 0 and -0.475 for class 1: the scores differ by 1.9 and
    # p_0 = 1 / (1 + e^-1.9) = 0.869892, so g = -0.130108, v = 0.9 * -0.5 + g = -0.580108, and the
    # step is 0.5 * (g + 0.9 v) = 0.5 * -0.652206 = -0.326103.
    kernel, bias = after_steps(2)
    assert kernel == pytest.approx(0.801103, abs=1e-5)
    assert bias == pytest.approx(0.801103, abs=1e-5)


def test_weight_decay_shrinks_kernels_and_spares_biases():
    # As above, with 0.2 * 0.475 = 0.095 added to the kernel's second gradient: g = -0.035108,
    # v = -0.45 + g = -0.485108, step 0.5 * (g + 0.9 v) = -0.235853. The first gradient decays 0.
    kernel, bias = after_steps(2, weight_decay=0.2)
    assert kernel == pytest.approx(0.475 + 0.235853, abs=1e-5)
    assert bias == pytest.approx(0.801103, abs=1e-5)


def test_clipping_bounds_the_norm_over_all_variables():
    # Four gradients of +-1/2 have the norm 1; clipped to 0.1 each is 0.05, and the step 0.0475.
    assert after_steps(1, clip_norm=0.1) == pytest.approx((0.0475, 0.0475))
    assert after_steps(1, clip_norm=1.5) == pytest.approx((0.475, 0.475))


def test_the_schedule_is_asked_at_the_share_of_steps_made():
    # Cosine over two steps: rates 0.5 and 0.25, the second step is half that of the test above.
    kernel, _ = after_steps(2, schedule="cosine")
    assert kernel == pytest.approx(0.475 + 0.326103 / 2, abs=1e-5)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # progress:   0    1/8  1/4  5/8  1
        ("one-cycle", (0.0, 0.1, 0.2, 0.1, 0.0)),
        ("constant", (0.2, 0.2, 0.2, 0.2, 0.2)),
        # 0.1 (1 + cos(pi p)); cos(pi/8) = .92388, cos(pi/4) = .70711, cos(5 pi/8) = -.38268
        ("cosine", (0.2, 0.192388, 0.170711, 0.061732, 0.0)),
    ],
)
def test_rates_by_hand(schedule, expected):
    recipe = change(schedule=schedule, learning_rate=0.2, warmup=0.25)
    rates = recipe.rate(tf.constant([0.0, 0.125, 0.25, 0.625, 1.0]))
    np.testing.assert_allclose(rates, expected, atol=1e-6)


def test_one_cycle_without_a_way_up_or_down():
    ends = tf.constant([0.0, 0.5, 1.0])
    down = change(schedule="one-cycle", warmup=0.0).rate(ends)
    np.testing.assert_allclose(down[1:], [0.25, 0.0], atol=1e-6)
    up = change(schedule="one-cycle", warmup=1.0).rate(ends)
    np.testing.assert_allclose(up[:2], [0.0, 0.25], atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"schedule": "linear"},
        {"warmup": 1.5},
        {"full_size": -0.1},
        {"crop": -1},
        {"pad": -1},
    ],
    ids=str,
)
def test_an_impossible_recipe_is_refused(changes):
    with pytest.raises(ValueError, match=r"expected .* Received: "):
        change(**changes)


@pytest.mark.parametrize(
    ("images", "targets", "crop"),
    [(ONES, CLASS_0[:1], 0), (ONES[:0], CLASS_0[:0], 0), (ONES, CLASS_0, 2)],
    ids=["fewer targets", "nothing", "crop larger than the image"],
)
def test_data_that_do_not_fit_are_refused(images, targets, crop):
    with pytest.raises(ValueError, match="expected images, as many targets"):
        train(linear_net, images, targets, change(crop=crop), seed=0)


def test_soft_targets():
    np.testing.assert_array_equal(soft_targets(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    probabilities = np.array([[0.25, 0.75]])
    np.testing.assert_array_equal(soft_targets(probabilities, 2), probabilities)
    assert soft_targets(probabilities, 2).dtype == np.float32


def test_soft_labels_pull_towards_the_teacher():
    # With p = (3/4, 1/4) the first gradient is 1/2 - 3/4 = -1/4: half the step by hand above, and
    # in the end the net answers 3/4, not 1.
    teacher = np.array([[0.75, 0.25], [0.75, 0.25]])
    kernel, _ = train(linear_net, ONES, teacher, PLAIN, seed=0).get_weights()
    assert kernel[0, 0] == pytest.approx(0.2375)
    model = train(linear_net, ONES, teacher, change(epochs=100), seed=0)
    np.testing.assert_allclose(tf.nn.softmax(model(ONES)), teacher, atol=1e-3)


def test_eight_bit_images_train_like_their_floats():
    grey = np.array([51, 204], np.uint8).reshape(2, 1, 1, 1)
    floats = grey.astype(np.float32) / 255
    kernels = [
        train(linear_net, images, np.array([0, 1]), PLAIN, seed=0).get_weights()[0]
        for images in (grey, floats)
    ]
    np.testing.assert_allclose(*kernels, rtol=1e-6)
    assert np.abs(kernels[0]).max() > 0


def nan_loss(model, images, targets):
    loss, gradients = loss_gradients(model, images, targets)
    return loss * math.nan, gradients


def nan_gradient(model, images, targets):
    loss, gradients = loss_gradients(model, images, targets)
    return loss, [gradient * math.nan for gradient in gradients]


@pytest.mark.parametrize("gradients", [nan_loss, nan_gradient])
def test_divergence_is_an_error_with_advice(gradients):
    with pytest.raises(TrainingDiverged, match=r"nothing was saved. Lower the learning rate"):
        train(linear_net, ONES, CLASS_0, PLAIN, seed=0, gradients=gradients)


def test_a_learning_rate_far_too_high_diverges():
    digits = data.load("digits").train.take(np.arange(64))
    recipe = change(epochs=8, batch_size=8, learning_rate=1e20)
    with pytest.raises(TrainingDiverged, match="1e\\+20"):
        train(tiny_net, digits.images, digits.labels, recipe, seed=0)


def weights_after(seed=0, epochs=1, net=tiny_net, **options):
    digits = data.load("digits").train.take(np.arange(64))
    recipe = change(epochs=epochs, batch_size=16, learning_rate=0.05, pad=1, flip=True)
    model = train(net, digits.images, digits.labels, recipe, seed=seed, **options)
    return dict(zip([v.name for v in model.weights], model.get_weights(), strict=True))


def test_the_seed_decides_every_bit():
    first, same, other = weights_after(1), weights_after(1), weights_after(2)
    assert all(np.array_equal(a, b) for a, b in zip(first.values(), same.values(), strict=True))
    assert not np.array_equal(first["head/kernel:0"], other["head/kernel:0"])


def test_only_the_layers_asked_for_learn():
    initial = list(weights_after(3).values())
    after = weights_after(4, initial=initial, trainable=lambda layer: layer.name == "head")
    changed = {
        name.split("/")[0]
        for (name, weight), old in zip(after.items(), initial, strict=True)
        if not np.array_equal(weight, old)
    }
    # Frozen batch norm keeps its statistics, too.
    assert changed == {"head"}


def test_training_starts_from_the_weights_given_and_leaves_them():
    initial = list(weights_after(3).values())
    copies = [weight.copy() for weight in initial]
    frozen = weights_after(9, initial=initial, trainable=lambda layer: False, gradients=no_gradient)
    for start, copy, end in zip(initial, copies, frozen.values(), strict=True):
        np.testing.assert_array_equal(start, copy)
        np.testing.assert_array_equal(start, end)


def no_gradient(model, images, targets):
    logits = model(images, training=True)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits)), []


def test_progress_counts_up_to_the_last_step():
    seen = []
    digits = data.load("digits").train.take(np.arange(70))
    # 70 images in batches of 4 are 17 steps, the short batch dropped: two calls in each epoch.
    train(
        tiny_net,
        digits.images,
        digits.labels,
        change(epochs=2, batch_size=4, learning_rate=0.01),
        seed=0,
        progress=lambda done, total, text: seen.append((done, total, text[:5])),
    )
    assert seen == [(16, 34, "loss "), (17, 34, "loss "), (33, 34, "loss "), (34, 34, "loss ")]


def test_a_set_smaller_than_a_batch_is_one_batch():
    seen = []
    train(
        linear_net,
        ONES,
        CLASS_0,
        change(batch_size=500, epochs=3),
        seed=0,
        progress=lambda done, total, text: seen.append(total),
    )
    assert seen == [3, 3, 3]


def test_every_epoch_sees_each_image_once_in_a_new_order():
    orders = []

    def record(model, images, targets):
        loss, gradients = loss_gradients(model, images, targets)
        tf.py_function(lambda x: orders.append(x.numpy().ravel().tolist()), [images], [])
        return loss, gradients

    images = (np.arange(8, dtype=np.float32) / 8).reshape(8, 1, 1, 1)
    labels = np.zeros(8, np.int64)
    train(linear_net, images, labels, change(epochs=2, batch_size=4), seed=0, gradients=record)
    first, second = orders[0] + orders[1], orders[2] + orders[3]
    assert sorted(first) == sorted(second) == images.ravel().tolist()
    assert first != second


def test_small_crops_come_first_and_the_full_size_last():
    sides = []

    def record(model, images, targets):
        tf.py_function(lambda x: sides.append(x.shape[1]), [images], [])
        return loss_gradients(model, images, targets)

    digits = data.load("digits").train.take(np.arange(16))
    recipe = change(epochs=4, batch_size=16, crop=6, full_size=0.25, pad=1)
    model = train(tiny_net, digits.images, digits.labels, recipe, seed=0, gradients=record)
    assert sides == [6, 6, 6, 8]
    assert model.input_shape == (None, 8, 8, 1)


def seen_images(images, *, seed=0, **changes):
    """What the net sees of `images` at each step, one batch of all of them."""
    seen = []

    def record(model, images, targets):
        tf.py_function(lambda x: seen.append(x.numpy()), [images], [])
        return loss_gradients(model, images, targets)

    labels = np.zeros(len(images), np.int64)
    recipe = change(batch_size=len(images), learning_rate=0.01, **changes)
    train(tiny_net, images, labels, recipe, seed=seed, gradients=record)
    return seen


def test_small_crops_stay_inside_the_image_and_full_size_ones_use_the_padding():
    white = np.ones((40, 8, 8, 1), np.float32)
    *small, full = seen_images(white, epochs=4, crop=6, full_size=0.25, pad=2)
    assert all(crop.shape == (40, 6, 6, 1) and crop.min() == 1.0 for crop in small)
    assert full.shape == white.shape and full.min() == 0.0


def test_every_step_and_every_seed_augments_in_its_own_way():
    # One image, so that order plays no part: only its place in the padding and its mirroring do.
    image = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1) / 64
    first, same, other = (
        [x.tobytes() for x in seen_images(image, seed=seed, epochs=6, pad=3, flip=True)]
        for seed in (1, 1, 2)
    )
    assert first == same and first != other
    assert len(set(first)) > 3


@pytest.mark.usefixtures("bfloat16")
def test_lower_precision_ends_in_a_float32_model():
    digits = data.load("digits").train.take(np.arange(16))
    dtypes = []

    def record(model, images, targets):
        dtypes.append(model.layers[1].compute_dtype)
        return loss_gradients(model, images, targets)

    recipe = change(precision="mixed_bfloat16", learning_rate=0.01)
    model = train(tiny_net, digits.images, digits.labels, recipe, seed=0, gradients=record)
    assert set(dtypes) == {"bfloat16"}
    assert all(layer.compute_dtype == "float32" for layer in model.layers)
    assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_it_learns_the_digits():
    digits = data.load("digits")
    recipe = change(epochs=5, batch_size=64, learning_rate=0.1, schedule="one-cycle")
    model = train(
        lambda shape: NETS["resnet20"](shape, 10, width=8, depth=8),
        digits.train.images,
        digits.train.labels,
        recipe,
        seed=0,
    )
    right = model(digits.test.images).numpy().argmax(axis=1) == digits.test.labels
    assert right.mean() > 0.9


def test_smoothing_spreads_a_share_of_a_label_and_spares_answers():
    # 0.2 of class 1 spread over 4 classes: 0.05 for each, 0.85 for the label.
    np.testing.assert_allclose(soft_targets(np.array([1]), 4, 0.2), [[0.05, 0.85, 0.05, 0.05]])
    answers = np.array([[0.1, 0.9]])
    np.testing.assert_allclose(soft_targets(answers, 2, 0.2), answers)
