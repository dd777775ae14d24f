"""A suspect for images of another size than the fingerprint's."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from cemfp.suspects.base import Suspect

METHODS = ("nearest", "bilinear", "bicubic", "lanczos", "box")
Method = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]


@dataclasses.dataclass(frozen=True)
class Resize:
    """How images are brought to the size that a suspect wants.

    Attributes:
        size: Height and width; None for what the suspect says of itself.
        method: Filter of Pillow.
    """

    size: tuple[int, int] | None = None
    method: Method = "bilinear"

    def shape(self, asked: tuple[int, ...], suspect: Any = None) -> tuple[int, ...]:
        """Return the shape (h, w, c) that images of the shape `asked` get for a suspect."""
        if self.size is not None:
            return (*self.size, asked[2])
        own = getattr(suspect, "input_shape", None) or (None, None, None)
        height, width = (o or a for o, a in zip(own[:2], asked[:2], strict=True))
        return (height, width, asked[2])

    def __call__(self, images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return images (n, height, width, c) of images (n, h, w, c), float32 in [0, 1]."""
        from PIL import Image

        resample = Image.Resampling[self.method.upper()]
        turned = np.moveaxis(np.asarray(images, np.float32), 3, 1)
        made = [
            [np.asarray(Image.fromarray(p).resize(size[::-1], resample)) for p in image]
            for image in turned
        ]
        # Filters that sharpen leave the range.
        planes = np.clip(np.array(made, np.float32), 0, 1)
        return np.ascontiguousarray(np.moveaxis(planes, 1, 3))


class Resized:
    """A suspect that gets each image in its own size; it is a suspect itself.

    Attributes:
        suspect: Who is asked.
        shape: What it gets (h, w, c).
        resize: How.
    """

    def __init__(self, suspect: Suspect, shape: tuple[int, ...], resize: Resize | None) -> None:
        self.suspect, self.shape, self.resize = suspect, shape, resize or Resize()
        self.classes = getattr(suspect, "classes", None)
        self.class_names = getattr(suspect, "class_names", ())

    def __call__(self, images: np.ndarray) -> Any:
        """Return the suspect's answer on images (n, h, w, c) of the fingerprint's size."""
        height, width, _ = self.shape
        return self.suspect(self.resize(images, (height, width)))

    def __str__(self) -> str:
        height, width, _ = self.shape
        return f"{height}x{width}, {self.resize.method}"
