"""FGM, BIM and PGD of the Adversarial Robustness Toolbox (ART), as functions of images and net.

Parameters as in [Lukas21, A.1]: at most 10 iterations with step size 0.01.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from art.attacks.evasion import BasicIterativeMethod, FastGradientMethod, ProjectedGradientDescent
from art.estimators.classification import TensorFlowV2Classifier

from cemfp.classifier import Classifier

Attack = Callable[[np.ndarray, np.ndarray, Classifier, float, int], np.ndarray]

STEP_SIZE = 0.01
ITERATIONS = 10
BATCH = 128


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
    images: np.ndarray, labels: np.ndarray, source: Classifier, epsilon: float, seed: int
) -> np.ndarray:
    """Projected gradient descent from one random start; arguments as for `fgm`."""
    attack = ProjectedGradientDescent(
        _estimator(source),
        eps=epsilon,
        eps_step=min(STEP_SIZE, epsilon),
        max_iter=ITERATIONS,
        num_random_init=1,
        batch_size=BATCH,
        verbose=False,
    )
    with _numpy_seed(seed):
        return attack.generate(images, _one_hot(labels, source))


ATTACKS: dict[str, Attack] = {"fgm": fgm, "bim": bim, "pgd": pgd}


def _estimator(source: Classifier) -> TensorFlowV2Classifier:
    return TensorFlowV2Classifier(
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
