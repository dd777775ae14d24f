"""Evasion attacks on the source alone as fingerprint methods: the yardsticks of [Lukas21]."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from cemfp import attacks
from cemfp.fingerprint.models import Domain, Models, Progress, Starts


@dataclasses.dataclass(frozen=True)
class FromAttack:
    """Adversarial examples of the source, made without any defender's ensemble.

    Attributes:
        attack: Name in `attacks.ATTACKS`.
        epsilon: L-inf radius on the [0, 1] pixel scale.
    """

    adversarial: ClassVar[bool] = True
    ensemble: ClassVar[bool] = False
    starts: ClassVar[Starts] = "correct"
    domain: ClassVar[Domain] = "image"

    attack: str
    epsilon: float = 0.025

    def __post_init__(self) -> None:
        if self.attack not in attacks.ATTACKS or not self.epsilon > 0:
            raise ValueError(
                f"expected an attack among {', '.join(attacks.ATTACKS)} and epsilon > 0. "
                f"Received: {self.attack!r}, {self.epsilon}"
            )

    @property
    def name(self) -> str:
        """The attack's name."""
        return self.attack

    def __call__(
        self, images: np.ndarray, models: Models, *, seed: int, progress: Progress | None = None
    ) -> np.ndarray:
        """Return images (n, h, w, c) that leave the source's own labels."""
        source = models.white_box(self.attack)
        labels = source.predict_labels(images)
        result = attacks.ATTACKS[self.attack](images, labels, source, self.epsilon, seed)
        if progress is not None:
            progress(1, 1, self.attack)
        return result
