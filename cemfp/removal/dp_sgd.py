"""Extraction with differential privacy: no single image shapes the thief's net much.

Abadi16: M. Abadi, A. Chu, I. Goodfellow, H. B. McMahan, I. Mironov, K. Talwar, L. Zhang. Deep
Learning with Differential Privacy. CCS 2016.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from cemfp.models.nets import NETS
from cemfp.removal.attack import Family, Stolen
from cemfp.removal.extraction import Extraction
from cemfp.removal.per_image_norms import conv2d_norms, dense_norms, group_norm_norms
from cemfp.removal.thief import RemovalError, Thief
from cemfp.training.loop import Gradients
from cemfp.training.recipe import Recipe

# Full precision: a lower one gains nothing here, and its rounding blurs the clip.
PRIVATE = Recipe(
    epochs=12, batch_size=256, learning_rate=0.5, weight_decay=0.0, precision="float32"
)

LEARNED = 0.1  # far above chance: a tenth of the way from chance to always right
ACCOUNTANT = "RDP, Poisson sampling"


@dataclasses.dataclass(frozen=True)
class DPSGD(Extraction):
    """Train a fresh net on the victim's probabilities with DP-SGD [Abadi16, Alg. 1].

    Each image's gradient is clipped to a norm, their sum gets Gaussian noise, and the training loop
    takes the mean as any other gradient: momentum and weight decay are post-processing.

    Batch norm would let each image into the gradients of the others, which no clip bounds: the net
    is a resnet with group norm. The noise grows with the number of weights, the signal does not:
    a narrow, shallow net learns more than a large one.

    The accountant takes for granted that a step draws each image by chance of its own (Poisson
    sampling). The training loop cuts shuffled images into batches instead, as nearly everybody
    does; the fact `epsilon_any_order` holds for it, too, and is larger. Both hold against somebody
    who does not know the seed.

    Attributes:
        noise_multiplier: Standard deviation of the noise on the sum, in units of `clip`.
        clip: L2 norm to which the gradient of an image is clipped.
        delta: Probability that the guarantee may fail with; below one over the number of images.
    """

    name: ClassVar[str] = "dp-sgd"
    family: ClassVar[Family] = "adapted"
    recipe: ClassVar[Recipe | None] = PRIVATE

    noise_multiplier: float = 0.6
    clip: float = 1.0
    delta: float = 1e-5

    def __post_init__(self) -> None:
        if not (self.noise_multiplier > 0 and self.clip > 0 and 0 < self.delta < 1):
            raise RemovalError(
                "expected noise_multiplier > 0, clip > 0 and delta in (0, 1). "
                f"Received: {self.noise_multiplier}, {self.clip}, {self.delta}"
            )

    def __call__(self, thief: Thief) -> Stolen:
        """Ask once for every image, train privately, add up what that cost."""
        arguments = with_group_norm(thief)
        gradients = private_gradients(self.clip, self.noise_multiplier)
        cost = spent(self, len(thief.images), thief.recipe)
        model = thief.train(
            thief.images.images,
            thief.ask_transfer_set(),
            build=lambda shape: NETS[thief.net](shape, thief.victim.classes, **arguments),
            gradients=gradients,
        )
        used = {"noise_multiplier": self.noise_multiplier, "clip": self.clip}
        return Stolen(model, cost | used | learned(model, thief), arguments)


def with_group_norm(thief: Thief) -> dict[str, Any]:
    """Return the arguments of the thief's net, with group norm in place of batch norm.

    Raises:
        RemovalError: The net has no such form.
    """
    if not thief.net.startswith("resnet"):
        raise RemovalError(
            "expected a resnet, which has a form with group norm: DP-SGD takes no batch norm. "
            f"Received: {thief.net}; choose resnet20"
        )
    return {**thief.arguments, "norm": "group"}


def private_gradients(clip: float, noise_multiplier: float) -> Gradients:
    """Return a `gradients` hook for `training.train`: mean of clipped gradients, and noise.

    This is TensorFlow Privacy's fast gradient clipping: one pass measures the norm of each image's
    gradient layer by layer, a second one is plain back-propagation of the loss, in which each image
    weighs what clips its gradient. For ResNet20 on crops of 20 pixels (one thread) that makes 210
    images/s, where image by image (microbatches of 1) makes 165 and the library's vectorised
    optimizer, by a Jacobian, 50; without privacy it is 460.

    Args:
        clip: L2 norm that no image's gradient exceeds.
        noise_multiplier: Standard deviation of the noise on the sum, in units of `clip`.

    Raises:
        RemovalError: tensorflow-privacy is not installed.
    """
    _require_extra()
    from tensorflow_privacy.privacy.fast_gradient_clipping import clip_grads
    from tensorflow_privacy.privacy.fast_gradient_clipping.gradient_clipping_utils import (
        add_aggregate_noise,
    )
    from tensorflow_privacy.privacy.fast_gradient_clipping.layer_registry import LayerRegistry

    registry = LayerRegistry()
    registry.insert(tf.keras.layers.Conv2D, conv2d_norms)
    registry.insert(tf.keras.layers.GroupNormalization, group_norm_norms)
    registry.insert(tf.keras.layers.Dense, dense_norms)

    def losses(targets: tf.Tensor, logits: tf.Tensor, weights: Any = None) -> tf.Tensor:
        del weights
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    @tf.autograph.experimental.do_not_convert
    def gradients(
        model: tf.keras.Model, images: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Clip each image's gradient, average, add the noise."""
        norms = clip_grads.compute_gradient_norms(
            model, registry, images, targets, per_example_loss_fn=losses
        )
        weights = clip_grads.compute_clip_weights(clip, norms)
        with tf.GradientTape() as tape:
            each = losses(targets, model(images, training=True))
            clipped = tf.reduce_mean(tf.stop_gradient(weights) * each)
        means = tape.gradient(clipped, model.trainable_variables)
        noised = add_aggregate_noise(
            means, tf.shape(images)[0], clip, noise_multiplier, loss_reduction="mean"
        )
        return tf.reduce_mean(each), noised

    return gradients


def spent(attack: DPSGD, count: int, recipe: Recipe) -> dict[str, Any]:
    """Return the privacy spent by training on `count` images.

    Returns:
        `epsilon` at `delta` by Renyi accounting, adding or removing one image, with Poisson
        sampling; `epsilon_any_order` with every image once in each epoch, in any order.

    Raises:
        RemovalError: tensorflow-privacy is not installed.
    """
    _require_extra()
    import dp_accounting as privacy

    batch = min(recipe.batch_size, count)
    noise = privacy.GaussianDpEvent(attack.noise_multiplier)
    step = privacy.PoissonSampledDpEvent(batch / count, noise)

    def epsilon(event: Any, times: int) -> float:
        composed = privacy.SelfComposedDpEvent(event, times)
        return float(privacy.rdp.RdpAccountant().compose(composed).get_epsilon(attack.delta))

    return {
        "epsilon": epsilon(step, recipe.epochs * (count // batch)),
        "epsilon_any_order": epsilon(noise, recipe.epochs),
        "delta": attack.delta,
        "accountant": ACCOUNTANT,
    }


def learned(model: tf.keras.Model, thief: Thief) -> dict[str, Any]:
    """Return whether the net is far above chance on the test images; if not, say so."""
    test, classes = thief.dataset.test, thief.victim.classes
    parts = [test.take(rows) for rows in np.array_split(np.arange(len(test)), -(-len(test) // 500))]
    scores = [model.predict(part.floats(), batch_size=500, verbose=0) for part in parts]
    answers = np.concatenate(scores).argmax(axis=1)
    accuracy = float(np.mean(answers == test.labels))
    least = 1 / classes + LEARNED * (1 - 1 / classes)
    if accuracy >= least:
        return {"learned": True}
    sentence = (
        f"accuracy {accuracy:.3f} is not far above chance ({1 / classes:.3f}); "
        "take more images or epochs, less noise, or a narrower net"
    )
    return {"learned": False, "failed": sentence}


def _require_extra() -> None:
    """Raise a clear error unless the extra `dp` is installed."""
    try:
        import dp_accounting.rdp  # noqa: F401
        import tensorflow_privacy  # noqa: F401
    except ImportError as error:
        raise RemovalError("the extra dp is missing: pip install 'cemfp[dp]'") from error
