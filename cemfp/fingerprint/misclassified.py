"""Images that the source gets wrong, as they are: a fingerprint that costs nothing."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from cemfp.fingerprint.models import Domain, Models, Progress, Starts


@dataclasses.dataclass(frozen=True)
class Misclassified:
    """Ask test images that the source misclassifies; the key is its wrong answer.

    A copy inherits part of its source's mistakes, an independent model makes mistakes of its own.
    Nothing is perturbed, so there is nothing to detect; but a source that is nearly always right
    has few mistakes, and hard images mislead everybody the same way.
    """

    name: ClassVar[str] = "misclassified"
    adversarial: ClassVar[bool] = True
    ensemble: ClassVar[bool] = False
    epsilon: ClassVar[float | None] = None
    starts: ClassVar[Starts] = "misclassified"
    domain: ClassVar[Domain] = "image"

    def __call__(
        self, images: np.ndarray, models: Models, *, seed: int, progress: Progress | None = None
    ) -> np.ndarray:
        """Return the images (n, h, w, c) unchanged."""
        del models, seed
        if progress is not None:
            progress(1, 1, self.name)
        return images
