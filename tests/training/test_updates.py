"""Muon: which kernels, what step, what length; Adam; and what the recipe says about them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cemfp.models.nets import NETS
from cemfp.training.recipe import Recipe
from cemfp.training.updates import Updates, orthogonalise

MUON = Recipe(
    learning_rate=0.5, schedule="constant", weight_decay=0.0, optimizer="muon", muon_rate=0.25
)


@pytest.mark.parametrize("shape", [(2, 4, 12), (1, 12, 4)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrices = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = orthogonalise(tf.constant(matrices)).numpy()
    for before, after in zip(matrices, found, strict=True):
        u, _, v = np.linalg.svd(before, full_matrices=False)
        # In the basis of the singular vectors the result is diagonal again.
        core = u.T @ after @ v.T
        np.testing.assert_allclose(core, np.diag(np.diag(core)), atol=1e-4)
        assert np.all((np.diag(core) > 0.4) & (np.diag(core) < 1.3))


def test_one_iteration_by_hand(monkeypatch):
    # diag(3, 4) has the norm 5: singular values s = 0.6 and 0.8 become a s + b s^3 + c s^5.
    monkeypatch.setattr("cemfp.training.updates._ITERATIONS", 1)
    found = orthogonalise(tf.constant([[[3.0, 0.0], [0.0, 4.0]]]))[0]
    expected = [3.4445 * s - 4.775 * s**3 + 2.0315 * s**5 for s in (0.6, 0.8)]
    np.testing.assert_allclose(found, np.diag(expected), rtol=1e-5, atol=1e-6)


def two_kernels():
    """A 1 x 1 convolution without a bias and one with, as (2, 2) matrices, and a dense layer."""
    inputs = tf.keras.Input((1, 1, 2))
    x = tf.keras.layers.Conv2D(2, 1, use_bias=False, name="free")(inputs)
    x = tf.keras.layers.Conv2D(2, 1, name="biased")(x)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(2, name="head")(x))


def test_a_step_from_the_sphere_by_hand():
    # The kernel has norm 2, and comes to the sphere of norm sqrt(2) first. The gradient's first
    # Nesterov step is 1.6 of it; its direction, orthogonalised, loses all scale.
    model = two_kernels()
    kernel = model.get_layer("free").kernel
    kernel.assign(np.reshape([[2.0, 0.0], [0.0, 0.0]], kernel.shape))
    gradients = [tf.ones_like(variable) for variable in model.trainable_variables]
    gradients[0] = tf.reshape(tf.constant([[0.3, 0.0], [0.0, 0.3]]), kernel.shape)
    direction = orthogonalise(tf.eye(2)[None])[0].numpy()
    Updates(model, MUON).apply(gradients, tf.constant(0.0))
    expected = np.array([[np.sqrt(2), 0], [0, 0]]) - 0.25 * direction
    np.testing.assert_allclose(np.reshape(kernel, (2, 2)), expected, rtol=1e-5, atol=1e-6)


def test_only_convolutions_without_a_bias_are_turned():
    model = two_kernels()
    before = [variable.numpy() for variable in model.trainable_variables]
    gradients = [tf.ones_like(variable) for variable in model.trainable_variables]
    Updates(model, MUON).apply(gradients, tf.constant(0.0))
    # All others take SGD's first Nesterov step: 0.5 * (1 + 0.9) of a gradient of ones.
    for variable, start in list(zip(model.trainable_variables, before, strict=True))[1:]:
        np.testing.assert_allclose(variable, start - 0.95, rtol=1e-5)


def test_the_schedule_scales_both_rates():
    falling = dataclasses.replace(MUON, schedule="cosine")
    full, half = two_kernels(), two_kernels()
    half.set_weights(full.get_weights())
    gradients = [tf.ones_like(variable) for variable in full.trainable_variables]
    starts = [variable.numpy() for variable in full.trainable_variables]
    starts[0] *= np.sqrt(2) / np.linalg.norm(starts[0])
    Updates(full, falling).apply(gradients, tf.constant(0.0))
    Updates(half, falling).apply(gradients, tf.constant(0.5))
    for whole, part, start in zip(
        full.trainable_variables, half.trainable_variables, starts, strict=True
    ):
        np.testing.assert_allclose(part - start, (whole - start) / 2, rtol=1e-4, atol=1e-6)


def test_every_convolution_of_a_resnet_is_turned_and_keeps_its_length():
    model = NETS["resnet20"]((8, 8, 3), 10, width=4, depth=8)
    gradients = [
        tf.random.stateless_normal(variable.shape, (0, place))
        for place, variable in enumerate(model.trainable_variables)
    ]
    updates = Updates(model, dataclasses.replace(MUON, muon_rate=1e-6))
    updates.apply(gradients, tf.constant(0.0))
    kernels = [v for v in model.trainable_variables if len(v.shape) == 4]
    assert len(kernels) == 9
    for kernel in kernels:
        assert np.linalg.norm(kernel) == pytest.approx(np.sqrt(kernel.shape[-1]), rel=1e-4)


def test_the_gradient_of_all_is_clipped_before():
    model, clipped = two_kernels(), two_kernels()
    clipped.set_weights(model.get_weights())
    gradients = [tf.ones_like(variable) for variable in model.trainable_variables]
    norm = float(tf.linalg.global_norm(gradients))
    Updates(model, MUON).apply([g / norm for g in gradients], tf.constant(0.0))
    Updates(clipped, dataclasses.replace(MUON, clip_norm=1.0)).apply(gradients, tf.constant(0.0))
    for one, other in zip(model.weights, clipped.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "bad",
    [
        {"optimizer": "lion"},
        {"muon_rate": 0.0},
        {"label_smoothing": 1.0},
        {"label_smoothing": -0.1},
    ],
)
def test_recipes_that_cannot_be(bad):
    with pytest.raises(ValueError, match="expected"):
        Recipe(**bad)


def test_two_steps_of_adam_by_hand():
    # With one gradient twice, mean and mean square without their bias are g and g^2: each step is
    # the rate, whatever g is, towards -sign(g). The matrix decays by rate * decay * itself first.
    inputs = tf.keras.Input((1,))
    dense = tf.keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
    model = tf.keras.Model(inputs, dense(inputs))
    recipe = Recipe(optimizer="adam", learning_rate=0.1, schedule="constant", weight_decay=0.5)
    updates = Updates(model, recipe)
    for _ in range(2):
        updates.apply([tf.constant([[3.0]]), tf.constant([-0.01])], tf.constant(0.0))
    # kernel: 1 - 0.1 (1 + 0.5) = 0.85, then 0.85 - 0.1 (1 + 0.425) = 0.7075; bias: 1 + 2 x 0.1.
    np.testing.assert_allclose(dense.kernel, [[0.7075]], rtol=1e-5)
    np.testing.assert_allclose(dense.bias, [1.2], rtol=1e-5)
