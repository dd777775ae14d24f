"""Extraction attacks: a fresh net learns the victim's answers [Lukas21, Sec. 5 and A.5]."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from cemfp.removal.attack import Family, Stolen
from cemfp.removal.thief import RemovalError, Thief
from cemfp.training.recipe import Recipe

FROM_SCRATCH = Recipe()


@dataclasses.dataclass(frozen=True)
class Extraction:
    """What extraction attacks share: a net of the thief's own, trained from scratch."""

    family: ClassVar[Family] = "extraction"
    needs: ClassVar[tuple[str, ...]] = ("queries", "images")
    recipe: ClassVar[Recipe | None] = FROM_SCRATCH
    like_victim: ClassVar[bool] = False
    name: ClassVar[str]


@dataclasses.dataclass(frozen=True)
class Retrain(Extraction):
    """Train a fresh net on the victim's probabilities."""

    name: ClassVar[str] = "retrain"

    def __call__(self, thief: Thief) -> Stolen:
        """Ask once for every image, then train."""
        return Stolen(thief.train(thief.images.images, thief.ask_transfer_set()), {})


@dataclasses.dataclass(frozen=True)
class BlackBox(Extraction):
    """Train a fresh net on the victim's top-1 labels."""

    name: ClassVar[str] = "black-box"

    def __call__(self, thief: Thief) -> Stolen:
        """Ask once for every image, keep the label, train."""
        labels = thief.ask_transfer_set().argmax(axis=1)
        return Stolen(thief.train(thief.images.images, labels), {})


@dataclasses.dataclass(frozen=True)
class LabelSmoothing(Extraction):
    """Train a fresh net on the victim's labels, smoothed towards the uniform distribution.

    Attributes:
        smoothing: Probability that is spread over all classes.
    """

    name: ClassVar[str] = "label-smoothing"

    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise RemovalError(f"expected smoothing in [0, 1). Received: {self.smoothing}")

    def __call__(self, thief: Thief) -> Stolen:
        """Ask once for every image, smooth the label, train."""
        probabilities = thief.ask_transfer_set()
        classes = probabilities.shape[1]
        hard = np.eye(classes, dtype=np.float32)[probabilities.argmax(axis=1)]
        smooth = (1 - self.smoothing) * hard + np.float32(self.smoothing / classes)
        return Stolen(thief.train(thief.images.images, smooth), {})


@dataclasses.dataclass(frozen=True)
class Jagielski(Extraction):
    """Train a fresh net on the victim's probabilities at a temperature [Lukas21, Eq. 11, 12].

    Attributes:
        temperature: T'. The paper gives none; 1.5 is what the method's authors took.
        form: `softmax` is softmax(z / T') of the cited method; `print` is what Eq. 11 prints,
            exp(p^(1/T')), normalised.
    """

    name: ClassVar[str] = "jagielski"

    temperature: float = 1.5
    form: Literal["softmax", "print"] = "softmax"

    def __post_init__(self) -> None:
        if not self.temperature > 0 or self.form not in ("softmax", "print"):
            raise RemovalError(
                "expected temperature > 0 and form softmax or print. "
                f"Received: {self.temperature}, {self.form!r}"
            )

    def __call__(self, thief: Thief) -> Stolen:
        """Ask once for every image, soften the answer, train."""
        targets = soften(thief.ask_transfer_set(), self.temperature, self.form)
        return Stolen(thief.train(thief.images.images, targets), {})


@dataclasses.dataclass(frozen=True)
class Knockoff(Extraction):
    """Train a fresh net on random images of another domain that the victim labels.

    Attributes:
        budget: Queries; 0 spends one on every image.
    """

    name: ClassVar[str] = "knockoff"

    budget: int = 0

    def __call__(self, thief: Thief) -> Stolen:
        """Choose at random, ask, train."""
        chosen = _choose(thief, self.budget or len(thief.images))
        targets = thief.ask_transfer_set(chosen)
        share = np.bincount(targets.argmax(axis=1), minlength=targets.shape[1]) / len(targets)
        model = thief.train(thief.images.images[chosen], targets)
        return Stolen(model, {"label_shares": share.round(4).tolist()})


def soften(probabilities: np.ndarray, temperature: float, form: str = "softmax") -> np.ndarray:
    """Return probabilities (n, C) at a temperature, rows summing to 1; see `Jagielski`."""
    if form == "print":
        scores = probabilities.astype(np.float64) ** (1.0 / temperature)
    else:
        scores = np.log(np.maximum(probabilities.astype(np.float64), 1e-30)) / temperature
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def _choose(thief: Thief, count: int) -> np.ndarray:
    """Return the rows of a random part of the transfer set."""
    if count > len(thief.images):
        raise RemovalError(
            f"expected a budget of at most {len(thief.images)} queries, one per image. "
            f"Received: {count}"
        )
    return thief.chance().permutation(len(thief.images))[:count]
