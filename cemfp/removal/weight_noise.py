"""Noise on the weights: the cheapest modification attack, without data or training."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from cemfp.removal.attack import Family, Stolen
from cemfp.removal.kernels import values, with_changed_kernels
from cemfp.removal.thief import RemovalError, Thief
from cemfp.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class WeightNoise:
    """Add Gaussian noise to every kernel; biases and batch norm stay.

    Attributes:
        scale: Standard deviation of the noise, as a share of the kernel's own; > 0.
    """

    name: ClassVar[str] = "weight-noise"
    family: ClassVar[Family] = "modification"
    needs: ClassVar[tuple[str, ...]] = ("weights",)
    recipe: ClassVar[Recipe | None] = None
    like_victim: ClassVar[bool] = True

    scale: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf"):
            raise RemovalError(f"expected a finite scale > 0. Received: {self.scale}")

    def __call__(self, thief: Thief) -> Stolen:
        """Draw the noise."""
        rng = thief.chance()
        model = with_changed_kernels(thief, lambda kernel, _: noisy(kernel, self.scale, rng))
        pairs = zip(values(model), values(thief.victim.model), strict=True)
        measured = [float(np.std(mine - theirs) / np.std(theirs)) for mine, theirs in pairs]
        return Stolen(model, {"relative_noise": round(float(np.mean(measured)), 6)})


def noisy(kernel: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return a kernel plus normal noise of `scale` times the kernel's own standard deviation."""
    noise = rng.normal(0.0, scale * float(kernel.std()), kernel.shape)
    return kernel + noise.astype(np.float32)
