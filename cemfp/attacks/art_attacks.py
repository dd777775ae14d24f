"""FGM, BIM, PGD and CW-L-inf of the Adversarial Robustness Toolbox (ART): images and net in.

Parameters as in [Lukas21, A.1]: at most 10 iterations with step size 0.01; for CW-L-inf at most 50
with learning rate 0.01, confidence 0.5.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from art.attacks.evasion import (
    BasicIterativeMethod,
    CarliniLInfMethod,
    FastGradientMethod,
    ProjectedGradientDescent,
)
from art.estimators.classification import TensorFlowV2Classifier

from cemfp.models.classifier import Classifier

Attack = Callable[[np.ndarray, np.ndarray, Classifier, float, int], np.ndarray]

STEP_SIZE = 0.01
ITERATIONS = 10
BATCH = 128
CW_ITERATIONS, CW_LEARNING_RATE, CW_CONFIDENCE = 50, 0.01, 0.5


def fgm(
    images: np.ndarray, labels: np.ndarray, source: Classifier, epsilon: float, seed: int
) -> np.ndarray:
    """Fast gradient method: one step of size epsilon along the gradient's sign; untargeted.

    Args:
        images: (n, h, w, c) float32 in [0, 1].
        labels: Labels to leave (n,).
        source: The net under attack, white box.
        epsilon: L-inf radius on the [0, 1] scale.
        seed: Decides random starts; unused here.
    """
    del seed
    attack = FastGradientMethod(_estimator(source), eps=epsilon, batch_size=BATCH)
    return attack.generate(images, _one_hot(labels, source))


def bim(
    images: np.ndarray, labels: np.ndarray, source: Classifier, epsilon: float, seed: int
) -> np.ndarray:
    """Basic iterative method: PGD from the image itself; arguments as for `fgm`."""
    del seed
    attack = BasicIterativeMethod(
        _estimator(source),
        eps=epsilon,
        eps_step=min(STEP_SIZE, epsilon),
        max_iter=ITERATIONS,
        batch_size=BATCH,
        verbose=False,
    )
    return attack.generate(images, _one_hot(labels, source))


def pgd(
    images: np.ndarray,
    labels: np.ndarray,
    source: Classifier,
    epsilon: float,
    seed: int,
    *,
    iterations: int = ITERATIONS,
    step_size: float = STEP_SIZE,
) -> np.ndarray:
    """Projected gradient descent from one random start; arguments as for `fgm`.

    A stronger one, which measures robustness, takes more `iterations` of a `step_size` of its own.
    """
    attack = ProjectedGradientDescent(
        _estimator(source),
        eps=epsilon,
        eps_step=min(step_size, epsilon),
        max_iter=iterations,
        num_random_init=1,
        batch_size=BATCH,
        verbose=False,
    )
    with _numpy_seed(seed):
        return attack.generate(images, _one_hot(labels, source))


def cw(
    images: np.ndarray, labels: np.ndarray, source: Classifier, epsilon: float, seed: int
) -> np.ndarray:
    """Carlini and Wagner's L-inf attack: the smallest change that wins by a margin of 0.5 logits.

    Arguments as for `fgm`. The attack has no radius: where its change is larger than epsilon it is
    projected onto the ball, and may be no adversarial example any more; where it finds none it
    returns the image. It works image by image, about a twentieth of a second each.

    ART's gradient leaves out the constant c of the published loss, so that its search over c
    repeats one run 21 times; we fix c = 1, where loss and gradient agree. Of its shrinking bounds
    tau we take the first: the later ones accept any change of label, whatever the confidence, and
    on ResNet20 changed nothing at 25 times the cost. The result is the first step at which the
    margin is reached: up to 0.005 per pixel beyond the smallest change where pixels are mid-grey,
    more where they are near 0 or 1, since the steps are made in tanh space.
    """
    del seed
    attack = CarliniLInfMethod(
        _estimator(source),
        confidence=CW_CONFIDENCE,
        learning_rate=CW_LEARNING_RATE,
        max_iter=CW_ITERATIONS,
        initial_const=1.0,
        largest_const=1.5,  # below 2 c: no second round
        decrease_factor=1 / 256,  # below ART's smallest tau: no second round here either
        batch_size=BATCH,
        verbose=False,
    )
    found = attack.generate(images, _one_hot(labels, source))
    return np.clip(np.clip(found, images - epsilon, images + epsilon), 0.0, 1.0)


ATTACKS: dict[str, Attack] = {"fgm": fgm, "bim": bim, "pgd": pgd, "cw": cw}


class _Estimator(TensorFlowV2Classifier):
    """ART's, with the gradient of a logit compiled: a third of the time for one image."""

    def class_gradient(
        self, x: np.ndarray, label: np.ndarray | None = None, **extra: Any
    ) -> np.ndarray:
        """Return the gradient of each image's logit `label` (n, 1, h, w, c)."""
        if not isinstance(label, np.ndarray):
            return super().class_gradient(x, label, **extra)
        return self._logit_gradient(tf.constant(x), tf.constant(label)).numpy()[:, np.newaxis]

    @functools.cached_property
    def _logit_gradient(self) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        @tf.function(reduce_retracing=True)
        def gradient(x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                score = tf.gather(self.model(x, training=False), label, batch_dims=1)
            return tape.gradient(score, x)

        return gradient


def _estimator(source: Classifier) -> TensorFlowV2Classifier:
    return _Estimator(
        model=tf.function(source.model, reduce_retracing=True),
        nb_classes=source.classes,
        input_shape=source.input_shape,
        loss_object=tf.keras.losses.CategoricalCrossentropy(from_logits=True),
        clip_values=(0.0, 1.0),
    )


def _one_hot(labels: np.ndarray, source: Classifier) -> np.ndarray:
    return np.eye(source.classes, dtype=np.float32)[labels]


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which ART draws from, and put its state back."""
    former = np.random.get_state()  # noqa: NPY002 - the generator is ART's choice
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(former)  # noqa: NPY002
