"""Characteristic examples: inputs made of noise that the source puts into random classes [Wang21].

One optimiser and three pieces that compose: noise on the weights, the mean of several draws, and a
projection. C-, RC- and LTRC-examples differ in nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import tensorflow as tf

from cemfp.ensemble.ensemble import number_format
from cemfp.ensemble.noisy import LossGradient, mean_of_draws, under_noise
from cemfp.fingerprint.models import Domain, Models, Progress, Starts
from cemfp.numerics import ops

Projection = Callable[[tf.Tensor], tf.Tensor]

# In a step, and after the last one: the two projections converge fast, as few pixels are clipped.
ALTERNATIONS, LAST_ALTERNATIONS = 3, 100


def random_labels(count: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return the target labels (count,): what `random_starts` draws first, without its noise."""
    return rng.integers(classes, size=count)


def random_starts(
    count: int, input_shape: tuple[int, ...], classes: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return noise U[0, 1] (count, h, w, c), float32, and random target labels (count,)."""
    rng = np.random.default_rng(seed)
    targets = random_labels(count, classes, rng)
    return rng.random((count, *input_shape), np.float32), targets


@dataclasses.dataclass(frozen=True)
class Characteristic:
    """Descend from noise to the loss of a random label: no data needed [Wang21, Sec. 2].

    Attributes:
        name: `c`, `rc`, `rc-gm` or `ltrc`.
        delta: Bound of the uniform noise on the source's kernels, in units of the weights: a
            stand-in for what pruning does to them. 0 means none.
        draws: Noisy copies in each step, over which loss and gradient are averaged (q).
        k: Low frequencies that are filtered out, as few transfer without them: DCT coefficients
            with i + j < k, per channel. 0 filters nothing.
        domain: `signed` is the paper's: the filtered input has mean 0 and negative values, and only
            who runs the model itself can feed it. `image` keeps the mean, and alternates filter and
            clipping, so that the result is an image that an API accepts.
        steps: Gradient steps [Wang21, A.3].
        step_size: Change of a pixel in one step, on the [0, 1] scale; the paper names none.
        eta: An input whose loss (in nats) falls below this is finished. The paper has 1e-6 [Wang21,
            Eq. 1], of which a net with batch norm and weight decay is never so sure: all steps are
            then made, and the result transfers to every net. Hence 0.1; see
            `experiments/characteristic_stopping.py`.
    """

    adversarial: ClassVar[bool] = False
    ensemble: ClassVar[bool] = False
    epsilon: ClassVar[float | None] = None
    starts: ClassVar[Starts] = "noise"

    name: str
    delta: float = 0.03
    draws: int = 1
    k: int = 2
    domain: Domain = "image"
    steps: int = 500
    step_size: float = 0.01
    eta: float = 0.1

    def __post_init__(self) -> None:
        finite = all(0 <= value < float("inf") for value in (self.delta, self.k, self.eta))
        if not finite or min(self.draws, self.steps) < 1:
            raise ValueError(
                "expected finite delta, k and eta >= 0, draws and steps >= 1. Received: "
                f"{self.delta}, {self.k}, {self.eta}, {self.draws}, {self.steps}"
            )
        if self.domain not in ("image", "signed") or not 0 < self.step_size <= 1:
            raise ValueError(
                "expected domain image or signed and step_size in (0, 1]. Received: "
                f"{self.domain!r}, {self.step_size}"
            )

    def label(self) -> str:
        """Short name for people, with what tells it from its sisters."""
        band = f" k {self.k} {self.domain}" if self.k else ""
        return f"{self.name}{band} delta {self.delta}"

    def __call__(
        self, images: np.ndarray, models: Models, *, seed: int, progress: Progress | None = None
    ) -> np.ndarray:
        """Return `images` (n, h, w, c), which are `random_starts`, moved; all in one batch.

        Their target labels are those that `random_starts` gives for the same seed.
        """
        side = min(images.shape[1:3])
        if self.k > side:
            raise ValueError(f"expected k of at most the image's side {side}. Received: {self.k}")
        source = models.white_box(self.name)
        _, targets = random_starts(len(images), images.shape[1:], source.classes, seed=seed)
        loss_gradient = under_noise(source, self.delta)
        if self.draws > 1:
            loss_gradient = mean_of_draws(loss_gradient, self.draws)
        inputs = tf.Variable(images)
        finished = tf.Variable(tf.zeros(len(images), tf.bool))
        step = self._compile(loss_gradient, inputs, tf.constant(targets), finished)
        for number in range(self.steps):
            loss, done = (float(value) for value in step(tf.constant([seed, number])))
            if progress is not None:
                progress(number + 1, self.steps, f"loss {loss:.2g}, {done:.0%} finished")
            if done == 1.0:
                break
        return self._last(inputs).numpy()

    def precision(self, models: Models) -> str:
        """Return the number format that the gradients were computed in, for the record."""
        return number_format([models.white_box(self.name)])

    def project(self, x: tf.Tensor, alternations: int = ALTERNATIONS) -> tf.Tensor:
        """Return `x` (n, h, w, c) as an allowed input: clipped, and without low frequencies.

        `signed`: HighPass(Clip(x)) [Wang21, Eq. 3], which leaves [0, 1] again. `image`: the two
        projections in turns, the clipping last.
        """
        x = tf.clip_by_value(x, 0.0, 1.0)
        if self.k == 0:
            return x
        if self.domain == "signed":
            return ops.high_pass(x, self.k)
        for _ in range(alternations):
            x = tf.clip_by_value(ops.high_pass(x, self.k, keep_mean=True), 0.0, 1.0)
        return x

    def _last(self, x: tf.Tensor) -> tf.Tensor:
        """Clean an image more thoroughly than in a step; a signed input is final as it is."""
        clean = self.domain == "image" and self.k > 0
        return self.project(x, LAST_ALTERNATIONS) if clean else tf.convert_to_tensor(x)

    def _compile(
        self,
        loss_gradient: LossGradient,
        inputs: tf.Variable,
        targets: tf.Tensor,
        finished: tf.Variable,
    ) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        """Return one compiled step: takes a seed, returns mean loss and share finished."""

        @tf.function
        def step(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            losses, gradient = loss_gradient(inputs.value(), targets, seed)
            # Noise is no solution however well it is answered: it was never projected.
            finished.assign(finished | ((losses < self.eta) & (seed[1] > 0)))
            moved = self.project(inputs - self.step_size * tf.sign(gradient))
            inputs.assign(tf.where(finished[:, None, None, None], inputs, moved))
            return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(finished, tf.float32))

        return step


def low_frequency_share(x: np.ndarray, k: int) -> float:
    """Return the share of the energy of `x` (n, h, w, c), means aside, with i + j < k."""
    energy = ops.dct(tf.constant(x)).numpy() ** 2
    energy[:, 0, 0] = 0.0
    low = ops.low_frequencies(x.shape[1], x.shape[2], k)
    return float(energy[:, low].sum() / energy.sum())
