"""Input transforms in front of a model: the cheapest defence of a thief against fingerprints.

A `Transformed` suspect is a suspect: whatever takes the one takes the other.
"""

from __future__ import annotations

import dataclasses
import io
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from cemfp.suspects.base import Suspect, SuspectError

# Images (n, h, w, c) float32 in [0, 1], strength, seed -> images of the same shape and range.
Change = Callable[[np.ndarray, float, int], np.ndarray]


class Transform(NamedTuple):
    """One kind of transform.

    Attributes:
        change: The function.
        unit: What its strength is.
        low, high: Range of the strength, both included.
        whole: Whether the strength is a whole number.
        default: Strength where none is given; `None` asks for one.
    """

    change: Change
    unit: str
    low: float
    high: float
    whole: bool = False
    default: float | None = None


def jpeg(images: np.ndarray, quality: float, seed: int = 0) -> np.ndarray:
    """Compress and decompress each image, rounded to 8 bits; grey (c = 1) or coloured (c = 3).

    Colours lose half their resolution, as in every common JPEG file.
    """
    del seed
    if images.shape[3] not in (1, 3):
        raise SuspectError(
            f"expected images of 1 or 3 channels for jpeg. Received: {images.shape[3]}."
        )
    pixels = np.rint(images * 255.0).astype(np.uint8)
    decoded = np.stack(
        [
            _jpeg(image.squeeze(axis=2) if image.shape[2] == 1 else image, int(quality))
            for image in pixels
        ]
    )
    return decoded.reshape(images.shape).astype(np.float32) / np.float32(255)


def reduce_bits(images: np.ndarray, bits: float, seed: int = 0) -> np.ndarray:
    """Round each channel to 2^bits values, evenly spaced from 0 to 1."""
    del seed
    levels = np.float32(2 ** int(bits) - 1)
    return np.rint(images * levels) / levels


def blur(images: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    """Convolve height and width with a Gaussian of `sigma` pixels; borders are mirrored."""
    import scipy.ndimage  # slow, and no other transform needs it

    del seed
    return scipy.ndimage.gaussian_filter(images, (0.0, sigma, sigma, 0.0))


def add_noise(images: np.ndarray, deviation: float, seed: int = 0) -> np.ndarray:
    """Add Gaussian noise and clip to [0, 1].

    The same image always gets the same noise, however questions are put together.
    """
    noise = [
        np.random.default_rng([seed, zlib.crc32(image.tobytes())]).normal(0, deviation, image.shape)
        for image in images
    ]
    return np.clip(images + np.stack(noise).astype(np.float32), 0.0, 1.0)


def flip(images: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    """Mirror every image left to right."""
    del strength, seed
    return images[:, :, ::-1]


TRANSFORMS: dict[str, Transform] = {
    "jpeg": Transform(jpeg, "quality", 1, 100, whole=True),
    "bit-depth": Transform(reduce_bits, "bits per channel", 1, 8, whole=True),
    "blur": Transform(blur, "sigma in pixels", 0.0, 100.0),
    "noise": Transform(add_noise, "standard deviation on the [0, 1] scale", 0.0, 1.0),
    "flip": Transform(flip, "1, or left out", 1, 1, whole=True, default=1.0),
}


@dataclasses.dataclass(frozen=True)
class Transformed:
    """A suspect that changes every image before it answers.

    Attributes:
        suspect: What answers.
        name: Key in `TRANSFORMS`.
        strength: JPEG quality (1 to 100), bits per channel (1 to 8), sigma of the blur in pixels,
            standard deviation of the noise on the [0, 1] scale; 1 for `flip`.
        seed: Decides the noise.
    """

    suspect: Suspect
    name: str
    strength: float
    _: dataclasses.KW_ONLY
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.name, self.strength)

    def __call__(self, images: np.ndarray) -> Any:
        """Return the suspect's answer on the changed images (n, h, w, c), float32 in [0, 1]."""
        if not len(images):
            return self.suspect(images)
        if images.min() < 0 or images.max() > 1:
            raise SuspectError(
                f"expected images in [0, 1] for {self.name}. Received: {images.min():.2f} to "
                f"{images.max():.2f}; inputs of the domain signed go to a model itself only."
            )
        change = TRANSFORMS[self.name].change
        changed = change(images, self.strength, self.seed)
        return self.suspect(np.ascontiguousarray(changed, dtype=np.float32))

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The suspect's, if it says."""
        return getattr(self.suspect, "input_shape", None)

    @property
    def classes(self) -> int | None:
        """The suspect's, if it says."""
        return getattr(self.suspect, "classes", None)


def parse(spec: str) -> tuple[str, float]:
    """Return name and strength of a transform written NAME=STRENGTH: jpeg=75, flip.

    Raises:
        SuspectError: No such transform, or no such strength.
    """
    name, _, text = spec.partition("=")
    known = TRANSFORMS.get(name)
    try:
        strength = known.default if known is not None and not text else float(text)
    except ValueError:
        strength = None
    if known is None or strength is None:
        raise SuspectError(
            f"expected NAME=STRENGTH, with NAME one of {', '.join(TRANSFORMS)}. Received: {spec}."
        )
    _check(name, strength)
    return name, strength


def through(suspect: Suspect, spec: str, *, seed: int = 0) -> Transformed:
    """Put a transform, written as for `parse`, in front of a suspect."""
    return Transformed(suspect, *parse(spec), seed=seed)


def _jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Return 8-bit pixels (h, w) or (h, w, 3) as a JPEG file of them shows them."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with PIL.Image.open(file) as image:
        return np.asarray(image)


def _check(name: str, strength: float) -> None:
    if name not in TRANSFORMS:
        raise SuspectError(
            f"expected a transform among {', '.join(TRANSFORMS)}. Received: {name!r}."
        )
    _, unit, low, high, whole, _ = TRANSFORMS[name]
    if not (math.isfinite(strength) and low <= strength <= high) or (whole and strength % 1):
        kind = "a whole number " if whole else ""
        raise SuspectError(
            f"expected {name} with a strength of {kind}from {low:g} to {high:g} ({unit}). "
            f"Received: {strength:g}."
        )
