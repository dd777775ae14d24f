"""Sensitive samples: images whose answers change with the smallest change of the weights [He19].

They are made to prove that a deployed model is untouched, so pruning breaks them: the fragile
counter-example of [Wang21, A.4].

He19: Z. He, T. Zhang, R. B. Lee. Sensitive-Sample Fingerprinting of Deep Neural Networks. CVPR
2019.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from cemfp.ensemble import steps
from cemfp.ensemble.folding import fold
from cemfp.fingerprint.models import Domain, Models, Progress, Starts
from cemfp.models.classifier import Classifier
from cemfp.models.keras_models import kernels_of
from cemfp.numerics import ops

BATCH = 50  # images at a time: the second derivative keeps activations many times over
SAMPLES = 8  # what [Wang21, A.4] asks

Step = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def output_change(
    source: Classifier, images: tf.Tensor, directions: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Derivative of the softmax outputs y as the kernels W move along `directions`.

    For standard normal directions u, the expectation of |dy/dW u|^2 is the sensitivity
    sum_i |dy_i/dW|_F^2 of [He19]. So one pass over the whole batch estimates, without bias,
    what would otherwise take one pass for each image and each class.

    Args:
        source: The net; everything it holds but kernels stands still.
        images: x (n, h, w, c); the result is differentiable in it.
        directions: One tensor for each of `kernels(source)`, of its shape.

    Returns:
        dy/dW u (n, C).
    """
    weights = kernels(source)
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(weights)
            outputs = tf.nn.softmax(source(images))
        # The gradient v' dy/dW is linear in v, so that its slope in v along u is dy/dW u.
        # Keras' nets trace twenty times faster this way than with a forward accumulator.
        v = tf.ones_like(outputs)
        outer.watch(v)
        slopes = inner.gradient(outputs, weights, v, unconnected_gradients="zero")
        pairs = zip(slopes, directions, strict=True)
        along = tf.add_n([tf.reduce_sum(slope * direction) for slope, direction in pairs])
    return outer.gradient(along, v)


def kernels(source: Classifier) -> list[tf.Variable]:
    """Return the weights that count: those of convolutions and dense layers, no vectors.

    Raises:
        ValueError: There is none.
    """
    found = kernels_of(source.model)
    if not found:
        raise ValueError(
            f"expected a source with kernels. Received: {source.model.name}, whose weights are all "
            "vectors; take another method"
        )
    return found


def sensitivity(
    source: Classifier, images: np.ndarray, *, draws: int = 100, seed: int
) -> np.ndarray:
    """Estimate sum_i |dy_i/dW|_F^2 (n,) of each image (n, h, w, c), float32 in [0, 1].

    Args:
        source: The net.
        images: All in one batch.
        draws: Directions to average over; the relative error is at most sqrt(2 / draws).
        seed: Decides the directions.
    """
    estimate = tf.function(lambda x, seed: _squared_change(source, x, seed))
    x = tf.constant(images, tf.float32)
    return np.mean([estimate(x, tf.constant([seed, i])) for i in range(draws)], axis=0)


def neuron_cover(active: np.ndarray, size: int) -> np.ndarray:
    """Choose greedily the samples that activate most neurons together [He19].

    The paper's Maximum Active Neuron Cover: a changed weight shows only behind a neuron that some
    sample activates. Equal gains go to the lower index, also when nothing is left to gain.

    Args:
        active: Whether a sample activates a neuron (n, neurons), bool.
        size: How many to choose, from 1 to n.

    Returns:
        Their indices (size,), first choice first.

    Raises:
        ValueError: `size` is out of range.
    """
    if not 1 <= size <= len(active):
        raise ValueError(
            f"expected a size from 1 to the number of samples. Received: {size} of {len(active)}; "
            "make more candidates or ask for fewer"
        )
    missing, chosen = np.ones(active.shape[1], bool), np.zeros(len(active), bool)
    order = []
    for _ in range(size):
        gains = np.where(chosen, -1, np.count_nonzero(active & missing, axis=1))
        best = int(gains.argmax())
        order.append(best)
        chosen[best], missing = True, missing & ~active[best]
    return np.array(order, np.int64)


def active_neurons(source: Classifier, images: np.ndarray) -> np.ndarray:
    """Whether each output of each ReLU, place by place, is above 0: (n, neurons), bool.

    Raises:
        ValueError: The net has no ReLU, or a layer that `folding.fold` does not know.
    """
    folded = fold(source.model)
    relus = [s.output for s in folded.program if s.kind in ("relu", "relu6")] if folded else []
    if folded is None or not relus:
        raise ValueError(
            f"expected a source of common Keras layers with ReLUs. Received: {source!r}; "
            "choose its samples by another rule"
        )
    weights = [steps.prepare(*pair) for pair in zip(folded.program, folded.weights, strict=True)]
    dtypes = steps.types(folded.program, tf.float32)
    rows = []
    for i in range(0, len(images), BATCH):
        x = tf.constant(images[i : i + BATCH], tf.float32)
        values = steps.run(folded.program, x, weights, dtypes)
        flat = [tf.reshape(values[place] > 0, (len(x), -1)) for place in relus]
        rows.append(tf.concat(flat, axis=1).numpy())
    return np.concatenate(rows)


def choose(images: np.ndarray, source: Classifier, size: int = SAMPLES) -> np.ndarray:
    """Return the indices (size,) of the images (n, h, w, c) that `neuron_cover` chooses."""
    return neuron_cover(active_neurons(source, images), size)


@dataclasses.dataclass(frozen=True)
class SensitiveSamples:
    """Make the source's outputs on each image as sensitive to its kernels as the ball allows.

    All images are perturbed and returned; those that cover most neurons become the fingerprint.

    Attributes:
        epsilon: L-inf radius, on the [0, 1] pixel scale.
        steps: Steps of projected sign-gradient ascent, each along one new random direction of the
            weights: more steps gain more than more directions for each.
        step_size: How far the first step moves each pixel, on the same scale. The others shrink
            linearly towards 0: sensitivity peaks at the boundary between two labels, which steps
            of one size jump across.
    """

    name: ClassVar[str] = "sensitive"
    adversarial: ClassVar[bool] = False
    ensemble: ClassVar[bool] = False
    starts: ClassVar[Starts] = "correct"
    domain: ClassVar[Domain] = "image"

    epsilon: float = 0.1
    steps: int = 100
    step_size: float = 0.003

    def __post_init__(self) -> None:
        sizes = 0 < self.epsilon <= 1 and 0 < self.step_size <= 1
        if not sizes or self.steps < 1:
            raise ValueError(
                "expected epsilon and step_size in (0, 1] and steps >= 1. Received: "
                f"{self.epsilon}, {self.step_size}, {self.steps}; pixels run from 0 to 1"
            )

    def __call__(
        self, images: np.ndarray, models: Models, *, seed: int, progress: Progress | None = None
    ) -> np.ndarray:
        """Return the images (n, h, w, c), each moved by at most epsilon; none is dropped."""
        step = self._compile(models.white_box(self.name))
        moved: list[np.ndarray] = []
        total = self.steps * math.ceil(len(images) / BATCH)
        for place in range(0, len(images), BATCH):
            x = start = tf.constant(images[place : place + BATCH], tf.float32)
            for number in range(self.steps):
                size = self.step_size * (1 - number / self.steps)
                x, reached = step(x, start, tf.constant(size), tf.constant([seed, number]))
                if progress is not None:
                    done = len(moved) * self.steps + number + 1
                    progress(done, total, f"sensitivity {float(reached):.3g}")
            moved.append(x.numpy())
        return np.concatenate(moved)

    def _compile(self, source: Classifier) -> Step:
        """Return one compiled step: images, centres, size, seed to images, mean sensitivity."""

        @tf.function(reduce_retracing=True)
        def step(
            x: tf.Tensor, start: tf.Tensor, size: tf.Tensor, seed: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                reached = _squared_change(source, x, seed)
            # Images do not see each other, so that the gradient of the sum is each image's own.
            moved = x + size * tf.sign(tape.gradient(reached, x))
            return ops.project_linf(moved, start, self.epsilon), tf.reduce_mean(reached)

        return step


def _squared_change(source: Classifier, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """|dy/dW u|^2 for one random direction u (n,); differentiable in `x`."""
    weights = kernels(source)
    seeds = tf.unstack(tf.random.split(seed, len(weights)))
    pairs = zip(weights, seeds, strict=True)
    directions = [tf.random.stateless_normal(weight.shape, own) for weight, own in pairs]
    return tf.reduce_sum(tf.square(output_change(source, x, directions)), axis=-1)
