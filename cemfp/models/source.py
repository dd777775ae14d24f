"""What every model to protect has, whether one sees its weights or not."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from cemfp.models.convention import Convention


class Source(Protocol):
    """The model to protect, as far as most steps need it: a `Classifier`, or a black box.

    Attributes:
        role, origin: Those of a source.
        input_shape: Height, width and channels of an input.
        classes: Number of classes.
        class_names: Their names in order; empty where nobody said them.
        weights_sha256: What tells it from other models.
        convention: How it wants its images.
    """

    @property
    def role(self) -> str: ...

    @property
    def origin(self) -> str: ...

    @property
    def input_shape(self) -> tuple[int, int, int]: ...

    @property
    def classes(self) -> int: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def weights_sha256(self) -> str: ...

    @property
    def convention(self) -> Convention: ...

    def predict_logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits (n, C)."""

    def predict_labels(self, images: np.ndarray) -> np.ndarray:
        """Return the top-1 label (n,) of each image."""
