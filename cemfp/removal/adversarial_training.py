"""Adversarial training on the victim's answers: the thief's net learns not to be fooled at all.

It is the paper's attack adapted to fingerprints that are adversarial examples [Lukas21, Sec. 5]:
what no longer fools the surrogate no longer confers.

Madry17: A. Madry, A. Makelov, L. Schmidt, D. Tsipras, A. Vladu. Towards Deep Learning Models
Resistant to Adversarial Attacks. arXiv 2017.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from cemfp.data import Split
from cemfp.numerics.ops import project_linf
from cemfp.removal.attack import Family, Stolen
from cemfp.removal.extraction import Extraction
from cemfp.removal.thief import RemovalError, Thief
from cemfp.training.loop import Gradients, loss_gradients, soft_targets

ROBUST_STEPS, ROBUST_STEP = 20, 0.25  # the measurement: PGD steps, each a share of epsilon
SIGNIFICANCE = 0.01
BATCH = 250


@dataclasses.dataclass(frozen=True)
class AdversarialTraining(Extraction):
    """Train a fresh net on adversarial images of itself and the victim's probabilities [Madry17].

    Each training step first moves its images by PGD to where the net is most wrong about the
    victim's answer, then learns from these images alone.

    Attributes:
        epsilon: L-inf radius on the [0, 1] scale. The paper gives none.
        steps: PGD steps in each training step; the time of a step grows with 1 + 2/3 `steps`.
        step_size: Size of one; 0 stands for 2.5 epsilon / steps, enough to cross the ball.
        random_start: Whether PGD starts at a random point of the ball, not at the image.
        robust_images: Test images on which the robust accuracy is measured, the first ones.
    """

    name: ClassVar[str] = "advtrain"
    family: ClassVar[Family] = "adapted"

    epsilon: float = 8 / 255
    steps: int = 7
    step_size: float = 0.0
    random_start: bool = True
    robust_images: int = 1000

    def __post_init__(self) -> None:
        if (
            not 0 < self.epsilon < 1
            or self.step_size < 0
            or min(self.steps, self.robust_images) < 1
        ):
            raise RemovalError(
                "expected epsilon in (0, 1), step_size >= 0, steps and robust_images >= 1. "
                f"Received: {self.epsilon}, {self.step_size}, {self.steps}, {self.robust_images}"
            )

    def __call__(self, thief: Thief) -> Stolen:
        """Ask once for every image, train adversarially, attack the result and the victim.

        A black box has no gradient to attack it with: then the result's robustness stands alone.
        """
        targets = thief.ask_transfer_set()
        gradients = adversarial_gradients(self, seed=thief.seed)
        model = thief.train(thief.images.images, targets, gradients=gradients)
        test = thief.dataset.test.take(np.arange(min(self.robust_images, len(thief.dataset.test))))
        mine = right_under_pgd(model, test, self.epsilon, seed=thief.seed)
        facts: dict[str, Any] = {"epsilon": self.epsilon}
        if not hasattr(thief.victim, "model"):
            return Stolen(model, facts | {"robust_accuracy": float(np.mean(mine))})
        victims = right_under_pgd(thief.victim.model, test, self.epsilon, seed=thief.seed)
        return Stolen(model, facts | robustness(mine, victims))


def adversarial_gradients(attack: AdversarialTraining, *, seed: int) -> Gradients:
    """Return a `gradients` hook for `training.train`: loss and gradients on PGD's images."""
    generator = tf.random.Generator.from_seed(seed)
    step_size = attack.step_size or min(2.5 * attack.epsilon / attack.steps, attack.epsilon)

    def gradients(
        model: tf.keras.Model, images: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Attack the batch, then learn from it."""
        moved = pgd(
            model,
            images,
            targets,
            epsilon=attack.epsilon,
            step_size=step_size,
            steps=attack.steps,
            generator=generator if attack.random_start else None,
        )
        return loss_gradients(model, moved, targets)

    return gradients


def pgd(
    model: tf.keras.Model,
    images: tf.Tensor,
    targets: tf.Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    generator: tf.random.Generator | None = None,
) -> tf.Tensor:
    """Maximise the cross-entropy by projected gradient ascent on its sign [Madry17, Eq. 2.2].

    The net is in inference mode. In training mode every step would push its batch-norm statistics
    towards half-finished images, and no image's gradient would be its own.

    Args:
        model: Logits out.
        images: (n, h, w, c) float32 in [0, 1].
        targets: Probabilities (n, C).
        epsilon: L-inf radius on the [0, 1] scale.
        step_size: Size of a step.
        steps: Number of steps.
        generator: Draws the start, uniform in the ball; by default it is the image.

    Returns:
        Images of the same shape and type, in the ball and in [0, 1].
    """
    x = images
    if generator is not None:
        noise = generator.uniform(tf.shape(images), -epsilon, epsilon)
        x = project_linf(images + noise, images, epsilon)
    # Compiled, it is one loop in the graph: unrolled, the net would be traced `steps` times.
    for _ in tf.range(steps):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            logits = model(x, training=False)
            # The sum, not the mean: a batch's size must not push gradients to underflow.
            loss = tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
        x = project_linf(x + step_size * tf.sign(tape.gradient(loss, x)), images, epsilon)
    return x


def right_under_pgd(
    model: tf.keras.Model, split: Split, epsilon: float, *, seed: int
) -> np.ndarray:
    """Return whether each image (n,) keeps its true label under 20 PGD steps from a random start.

    Args:
        model: The net under attack, white box; logits out.
        split: Images and their ground truth.
        epsilon: L-inf radius on the [0, 1] scale; a step is a quarter of it.
        seed: Decides the starts.
    """
    generator = tf.random.Generator.from_seed(seed)

    @tf.function(reduce_retracing=True)
    def answers(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return the labels (n,) after the attack."""
        size = epsilon * ROBUST_STEP
        moved = pgd(
            model,
            images,
            targets,
            epsilon=epsilon,
            step_size=size,
            steps=ROBUST_STEPS,
            generator=generator,
        )
        return tf.argmax(model(moved, training=False), axis=1)

    images, targets = split.floats(), soft_targets(split.labels, model.output_shape[-1])
    parts = [
        answers(tf.constant(images[i : i + BATCH]), tf.constant(targets[i : i + BATCH])).numpy()
        for i in range(0, len(split), BATCH)
    ]
    return np.concatenate(parts) == split.labels


def robustness(mine: np.ndarray, victims: np.ndarray) -> dict[str, Any]:
    """Compare two models that were attacked on the same images.

    Args:
        mine: Whether the surrogate was right on each image (n,).
        victims: Whether the victim was.

    Returns:
        Both robust accuracies, whether the surrogate is more robust by an exact one-sided sign test
        on the images that tell them apart, and, where it is not, a sentence under `failed`.
    """
    from scipy.stats import binomtest

    won, lost = int(np.sum(mine & ~victims)), int(np.sum(~mine & victims))
    chance = binomtest(won, won + lost, alternative="greater").pvalue if won else 1.0
    facts: dict[str, Any] = {
        "robust_accuracy": float(np.mean(mine)),
        "robust_accuracy_of_victim": float(np.mean(victims)),
        "robust": bool(chance < SIGNIFICANCE),
    }
    if not facts["robust"]:
        facts["failed"] = (
            f"robust accuracy {facts['robust_accuracy']:.3f} is not significantly above the "
            f"victim's {facts['robust_accuracy_of_victim']:.3f}; train for more epochs"
        )
    return facts
