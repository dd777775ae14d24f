"""IPGuard: inputs next to the source's decision boundary [Cao19], a yardstick of [Lukas21]."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import tensorflow as tf

from cemfp.fingerprint.models import Domain, Models, Progress, Starts
from cemfp.models.classifier import Classifier


def boundary_loss(logits: tf.Tensor, own: tf.Tensor, target: tf.Tensor, margin: float) -> tf.Tensor:
    """relu(z_i - z_j + k) + relu(max over t other than i, j of z_t - z_i), per image [Cao19].

    Zero once the target label j leads the source's own label i by `margin` k, with no third label
    above i: the input then lies between the two classes.

    Args:
        logits: Scores (n, C).
        own: The source's label i of the starting image (n,).
        target: Another label j (n,).
        margin: k, in logits.
    """
    classes = logits.shape[-1]
    own_score = tf.gather(logits, own, batch_dims=1)
    target_score = tf.gather(logits, target, batch_dims=1)
    pair = tf.one_hot(own, classes) + tf.one_hot(target, classes)
    third = tf.reduce_max(logits - 1e9 * pair, axis=-1)
    return tf.nn.relu(own_score - target_score + margin) + tf.nn.relu(third - own_score)


@dataclasses.dataclass(frozen=True)
class IPGuard:
    """Move images to the boundary between the source's label and a random other one.

    Attributes:
        margin: k of `boundary_loss`. Defaults to 0: the boundary itself.
        steps: Most Adam steps; an image whose loss is 0 stays where it is.
        learning_rate: Adam's step size on the [0, 1] pixel scale.
    """

    name: ClassVar[str] = "ipguard"
    adversarial: ClassVar[bool] = False
    ensemble: ClassVar[bool] = False
    epsilon: ClassVar[float | None] = None
    starts: ClassVar[Starts] = "correct"
    domain: ClassVar[Domain] = "image"

    margin: float = 0.0
    steps: int = 1000
    learning_rate: float = 1e-3

    def __call__(
        self, images: np.ndarray, models: Models, *, seed: int, progress: Progress | None = None
    ) -> np.ndarray:
        """Return the images (n, h, w, c) moved to the boundary; the key is the source's answer."""
        source = models.white_box(self.name)
        own = source.predict_labels(images)
        classes = source.classes
        shift = np.random.default_rng(seed).integers(1, classes, len(images))
        adversarial = tf.Variable(images)
        step = self._compile(source, adversarial, own, (own + shift) % classes)
        for number in range(self.steps):
            finished = float(step())
            if progress is not None:
                progress(number + 1, self.steps, f"{finished:.0%} at the boundary")
            if finished == 1.0:
                break
        return adversarial.numpy()

    def _compile(
        self, source: Classifier, adversarial: tf.Variable, own: np.ndarray, target: np.ndarray
    ) -> Callable[[], tf.Tensor]:
        """Return one compiled step, which returns the share of images at the boundary."""
        optimizer = tf.keras.optimizers.Adam(self.learning_rate, jit_compile=False)
        optimizer.build([adversarial])

        @tf.function
        def step() -> tf.Tensor:
            with tf.GradientTape() as tape:
                loss = boundary_loss(source(adversarial), own, target, self.margin)
            before, finished = adversarial.value(), loss == 0.0
            optimizer.apply_gradients([(tape.gradient(loss, adversarial), adversarial)])
            moved = tf.clip_by_value(adversarial, 0.0, 1.0)
            adversarial.assign(tf.where(finished[:, None, None, None], before, moved))
            return tf.reduce_mean(tf.cast(finished, tf.float32))

        return step
