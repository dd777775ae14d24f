"""What one training step does to the weights: SGD with momentum, Muon for kernels, or AdamW.

Muon (Jordan 2024, "Muon: an optimizer for hidden layers in neural networks") replaces a kernel's
momentum, read as a matrix (output channels, all else), by the nearest matrix with equal singular
values. Directions that the gradient hardly shows are then learnt as fast as the others: on CIFAR-10
a ResNet20 of 4 epochs is 5 points better for it (one seed, `experiments/recipes.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import tensorflow as tf

from cemfp.models.keras_models import layers_of
from cemfp.training.recipe import Recipe

MUON_MOMENTUM = 0.6
# Coefficients and number of Newton-Schulz iterations, from Jordan's CIFAR-10 speed run.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 3
# Of Adam (Kingma and Ba 2015), with the decay of AdamW (Loshchilov and Hutter 2019).
_BETAS, _TINY = (0.9, 0.999), 1e-8


class Updates:
    """The optimizer's state and its step on all trainable variables of a model."""

    def __init__(self, model: tf.keras.Model, recipe: Recipe) -> None:
        self.recipe = recipe
        self.variables = model.trainable_variables
        self._slots = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]
        if recipe.optimizer == "adam":
            self._squares = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]
            self._made = tf.Variable(0.0)
        kernels = _normalised_kernels(model) if recipe.optimizer == "muon" else set()
        # Kernels of one shape are orthogonalised together: a few large products, not many small.
        self._groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, variable in enumerate(self.variables):
            if variable.ref() in kernels:
                self._groups[tuple(variable.shape)].append(place)
        muon = {place for places in self._groups.values() for place in places}
        self._plain = [place for place in range(len(self.variables)) if place not in muon]

    def apply(self, gradients: Sequence[tf.Tensor], progress: tf.Tensor) -> None:
        """Make one step; `progress` is the share of steps already made, in [0, 1]."""
        if self.recipe.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.recipe.clip_norm)
        share = self.recipe.share(progress)
        if self.recipe.optimizer == "adam":
            self._adam(gradients, self.recipe.learning_rate * share)
            return
        for place in self._plain:
            variable, gradient = self.variables[place], gradients[place]
            if len(variable.shape) > 1:
                gradient += self.recipe.weight_decay * variable
            step = self._with_momentum(place, gradient, self.recipe.momentum)
            variable.assign_sub(self.recipe.learning_rate * share * step)
        for shape, places in self._groups.items():
            steps = [self._with_momentum(p, gradients[p], MUON_MOMENTUM) for p in places]
            matrices = [tf.reshape(step, (-1, shape[-1])) for step in steps]
            for place, matrix in zip(
                places, tf.unstack(orthogonalise(tf.stack(matrices))), strict=True
            ):
                self._turn(
                    self.variables[place],
                    self.recipe.muon_rate * share * tf.reshape(matrix, shape),
                )

    def _adam(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        """Step along the mean gradient over the root of its mean square, both without bias."""
        made = self._made.assign_add(1.0)
        first, second = (1.0 - tf.pow(beta, made) for beta in _BETAS)
        for place, gradient in enumerate(gradients):
            variable = self.variables[place]
            mean, square = self._slots[place], self._squares[place]
            mean.assign(_BETAS[0] * mean + (1.0 - _BETAS[0]) * gradient)
            square.assign(_BETAS[1] * square + (1.0 - _BETAS[1]) * tf.square(gradient))
            step = mean / first / (tf.sqrt(square / second) + _TINY)
            if len(variable.shape) > 1:
                step += self.recipe.weight_decay * variable
            variable.assign_sub(rate * step)

    def _with_momentum(self, place: int, gradient: tf.Tensor, momentum: float) -> tf.Tensor:
        """Nesterov's step."""
        velocity = self._slots[place].assign(momentum * self._slots[place] + gradient)
        return gradient + momentum * velocity

    @staticmethod
    def _turn(kernel: tf.Variable, step: tf.Tensor) -> None:
        """Step from the sphere of norm sqrt(output channels).

        The normalisation behind such a kernel makes its length meaningless; were it free, it would
        grow and the steps would turn it ever less.
        """
        length = tf.sqrt(float(kernel.shape[-1])) / (tf.norm(kernel) + 1e-7)
        kernel.assign(kernel * length - step)


def orthogonalise(matrices: tf.Tensor) -> tf.Tensor:
    """Return matrices (n, r, c) with the same singular vectors, and singular values near 1.

    Newton-Schulz iteration: some matrix products, no decomposition. Values end between about 0.5
    and 1.2 (Jordan 2024) for singular values that were above a few hundredths of the norm.
    """
    a, b, c = _COEFFICIENTS
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else tf.transpose(matrices, (0, 2, 1))
    x = x / (tf.norm(x, axis=(1, 2), keepdims=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * square + c * tf.matmul(square, square), x)
    return x if wide else tf.transpose(x, (0, 2, 1))


def _normalised_kernels(model: tf.keras.Model) -> set[object]:
    """References of the kernels whose length does not matter: of convolutions without a bias."""
    return {
        layer.kernel.ref()
        for layer in layers_of(model)
        if type(layer) is tf.keras.layers.Conv2D and not layer.use_bias
    }
