"""The evasion attack: a thief's detector of fingerprint queries [Hitaj19; Lukas21, Sec. 5].

A thief who recognises the queries of a fingerprint answers them at random. He trains a binary
classifier to tell benign images from adversarial examples of his own surrogate, and hopes that
it recognises the defender's. A fingerprint is non-evasive where this detector's ROC AUC is low.

Hitaj19: D. Hitaj, B. Hitaj, L. V. Mancini. Evasion Attacks against Watermarking Techniques found
in MLaaS Systems. SDS 2019.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cemfp.attacks import ATTACKS
from cemfp.data import Split
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS
from cemfp.models.roles import Origin, Role, require_origin, require_roles
from cemfp.numerics import metrics, ops
from cemfp.training.loop import Progress, train
from cemfp.training.recipe import Recipe

DETECTED = ("fgm", "pgd", "cw")
THIEF_ROLES = (Role.ATTACKER, Role.EVALUATION)
FEWEST_IMAGES = 12
# A low rate: at 0.1 a training of this length may fall from no loss back to chance, and stay there.
RECIPE = Recipe(epochs=20, batch_size=64, learning_rate=0.02, pad=0)
# Changes are small and local: a narrow, shallow net finds them as well as a deep one, faster.
NET, ARGUMENTS = "resnet20", {"width": 8, "depth": 8}
_RESAMPLES = 2_000


class EvasionError(ValueError):
    """No detector can be trained or asked; the message says why."""


class Detection(NamedTuple):
    """How well a detector tells adversarial images from benign ones.

    Attributes:
        auc: ROC AUC: the chance that an adversarial image scores above a benign one; 0.5 is blind.
        interval: 95 % percentile bootstrap over images, both groups resampled.
        adversarial, benign: Number of images of each kind.
    """

    auc: float
    interval: metrics.Interval
    adversarial: int
    benign: int


@dataclasses.dataclass(frozen=True)
class Detector:
    """A thief's detector.

    Attributes:
        classifier: A net of two classes, benign and adversarial, that `train_detector` made.
    """

    classifier: Classifier

    @property
    def own_task(self) -> Detection:
        """How well it does on the thief's held-out images: what it was trained for."""
        told = self.classifier.config.training["own_task"]
        return Detection(**{**told, "interval": metrics.Interval(*told["interval"])})

    def score(self, images: np.ndarray) -> np.ndarray:
        """Return the log-odds (n,) that images are adversarial: (n, h, w, c), uint8 or [0, 1]."""
        logits = self.classifier.predict_logits(as_served(images))
        return logits[:, 1] - logits[:, 0]

    def detect(self, inputs: np.ndarray, benign: np.ndarray) -> Detection:
        """Return how well it tells `inputs` from benign images; see `score` for both.

        The benign images must not be among those that the detector was trained on.
        """
        scores = self.score(inputs), self.score(benign)
        interval = metrics.roc_auc_interval(*scores, resamples=_RESAMPLES, seed=0)
        return Detection(metrics.roc_auc(*scores), interval, len(inputs), len(benign))


def as_served(images: np.ndarray) -> np.ndarray:
    """Return images (n, h, w, c) as uint8: what reaches a service.

    Fingerprints are rounded to 8 bits. A detector trained on unrounded adversarial examples would
    learn to see the rounding, and then miss every fingerprint, or accuse every one, for that alone.
    """
    if images.dtype == np.uint8:
        return images
    return np.rint(255.0 * images).astype(np.uint8)


def train_detector(
    surrogate: Classifier,
    images: Split,
    *,
    epsilon: float,
    recipe: Recipe = RECIPE,
    seed: int,
    progress: Progress | None = None,
) -> Detector:
    """Train a thief's detector on half of `images` and judge it on the other half.

    Half of the images are attacked: FGM, PGD and CW take turns, so that each adversarial example
    has its own image beside it among the benign ones. All are rounded to 8 bits.

    Args:
        surrogate: The thief's own copy, whose adversarial examples are learnt.
        images: Benign images of the thief; their labels are not used.
        epsilon: L-inf radius of the attacks on the [0, 1] scale.
        recipe: How to train.
        seed: Decides which half is held out, the attacks' random starts, and the training.
        progress: Called as (steps done, steps in all, text), for each attack and for the training.

    Raises:
        RoleError: The surrogate has another role than `attacker` or `evaluation`, or is none.
        EvasionError: Too few images, a radius that is not positive, or one that changes nothing.
    """
    require_roles([surrogate], THIEF_ROLES, "detector, the thief's surrogate")
    require_origin([surrogate], [Origin.SURROGATE], "detector, the thief's surrogate")
    if len(images) < FEWEST_IMAGES or not 0 < epsilon <= 1:
        raise EvasionError(
            f"expected at least {FEWEST_IMAGES} images and epsilon in (0, 1]. "
            f"Received: {len(images)} and {epsilon}"
        )
    order = np.random.default_rng(seed).permutation(len(images))
    benign = as_served(images.images[order])
    adversarial, changed = _attack(surrogate, benign, epsilon, seed, progress)
    half = len(order) // 2
    model = train(
        lambda shape: NETS[NET](shape, 2, **ARGUMENTS),
        np.concatenate([benign[:half], adversarial[:half][changed[:half]]]),
        np.repeat([0, 1], [half, changed[:half].sum()]),
        recipe,
        seed=seed,
        progress=progress,
    )
    config = _config(surrogate, len(images), epsilon, recipe, seed)
    detector = Detector(Classifier(model, config))
    own_task = detector.detect(adversarial[half:][changed[half:]], benign[half:])
    config.training["own_task"] = own_task._asdict()
    return detector


def check_thief(surrogate: Classifier, source_sha256: str) -> None:
    """Refuse the fingerprint's own source in place of a thief's surrogate.

    Raises:
        EvasionError: It is the source.
    """
    if surrogate.weights_sha256 == source_sha256:
        raise EvasionError(
            "expected a surrogate that a thief trained. Received: the fingerprint's own source "
            f"(weights {source_sha256[:12]}), which no thief has"
        )


def _attack(
    surrogate: Classifier, benign: np.ndarray, epsilon: float, seed: int, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return adversarial examples (n, h, w, c) uint8, and which differ from their image (n,).

    An attack that finds nothing returns the image, which is then no adversarial example.
    """
    starts = benign.astype(np.float32) / np.float32(255)
    labels = surrogate.predict_labels(starts)
    adversarial = benign.copy()
    for number, name in enumerate(DETECTED):
        mine = slice(number, None, len(DETECTED))
        if progress is not None:
            progress(number, len(DETECTED), f"{name} on the surrogate")
        made = ATTACKS[name](starts[mine], labels[mine], surrogate, epsilon, seed)
        # Inside the ball, as a defender rounds: with 2.55 grey levels, 3 would give it away.
        made = ops.quantize(tf.constant(made), tf.constant(starts[mine]), epsilon).numpy()
        adversarial[mine] = as_served(made)
    changed = (adversarial != benign).any(axis=(1, 2, 3))
    half = len(benign) // 2
    if not changed[:half].any() or not changed[half:].any():
        raise EvasionError(
            f"expected attacks that change some pixel. Received: epsilon {epsilon}, below one grey "
            "level of 8 bits; raise it"
        )
    return adversarial, changed


def _config(
    surrogate: Classifier, images: int, epsilon: float, recipe: Recipe, seed: int
) -> ClassifierConfig:
    training: dict[str, Any] = {
        "detects": list(DETECTED),
        "epsilon": epsilon,
        "images": images,
        "surrogate_sha256": surrogate.weights_sha256,
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
    }
    arguments: dict[str, Any] = dict(ARGUMENTS)
    return ClassifierConfig(
        NET, surrogate.input_shape, 2, arguments, Role.ATTACKER, Origin.REFERENCE, training
    )
