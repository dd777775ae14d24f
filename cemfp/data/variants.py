"""Data sets with the noise floor that JPEG compression took away, as named variants.

Every image of a JPEG-compressed set lies on the grid of its compression: any change of a grey level
leaves the grid, and is seen, or is removed by compressing again. Neither happens to photographs
that were scaled or developed after compression. A variant moves each image by part of a pixel, adds
noise of a few grey levels, or both: once, by random numbers that its own pixels seed, so that an
image is the same wherever it occurs.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping

import numpy as np

from cemfp.data.dataset import DataError, Dataset, Split, make_dataset

WEAKEST = 0.5  # standard deviation of mixed noise, grey levels


@dataclasses.dataclass(frozen=True)
class Variant:
    """How the images of a variant are made from those of the set.

    Attributes:
        noise: Largest change of a value, in grey levels of 8 bits; each from -noise to noise is as
            likely.
        shift: Whether each image first moves by a quarter to three quarters of a pixel down and to
            the right, by bilinear interpolation with mirrored borders.
        mixed: Whether each image draws how strong its noise is, as photographs differ: normal noise
            with a standard deviation of half a grey level to `noise` of them.
    """

    noise: int = 0
    shift: bool = False
    mixed: bool = False

    def __str__(self) -> str:
        parts = ["moved by part of a pixel"] if self.shift else []
        if self.mixed:
            parts.append(f"with normal noise of half a grey level to {self.noise}")
        elif self.noise:
            levels = "grey level" if self.noise == 1 else "grey levels"
            parts.append(f"with noise of up to {self.noise} {levels}")
        return "every image " + " and ".join(parts)


VARIANTS: Mapping[str, Variant] = {
    "noise1": Variant(noise=1),
    "noise2": Variant(noise=2),
    "noise3": Variant(noise=3),
    "shift": Variant(shift=True),
    "shift-noise1": Variant(noise=1, shift=True),
    "shift-mixed3": Variant(noise=3, shift=True, mixed=True),
}


def variants_of(name: str, load: Callable[[], Dataset]) -> dict[str, Callable[[], Dataset]]:
    """Return the loaders of all variants of the set `name`, by their own names."""
    return {f"{name}-{kind}": _loader(name, kind, load) for kind in VARIANTS}


def _loader(name: str, kind: str, load: Callable[[], Dataset]) -> Callable[[], Dataset]:
    variant = VARIANTS[kind]

    def load_variant() -> Dataset:
        return _varied(load(), f"{name}-{kind}", variant)

    load_variant.__doc__ = f"Return `{name}`, {variant}: uint8."
    return load_variant


def _varied(dataset: Dataset, name: str, variant: Variant) -> Dataset:
    made_from = dataset.provenance
    return make_dataset(
        name,
        Split(vary(dataset.train.images, variant), dataset.train.labels),
        Split(vary(dataset.test.images, variant), dataset.test.labels),
        dataset.classes,
        stand_in=made_from.stand_in,
        note=f"{made_from.note}; {variant}" if made_from.note else str(variant),
    )


def vary(images: np.ndarray, variant: Variant) -> np.ndarray:
    """Return the images (n, h, w, c) uint8 as `variant` has them, uint8.

    Raises:
        DataError: The images are no uint8: they have no grid of grey levels.
    """
    if images.dtype != np.uint8:
        raise DataError(f"expected uint8 images for a variant. Received: {images.dtype}")
    return np.stack([_vary(image, variant) for image in images])


def _vary(image: np.ndarray, variant: Variant) -> np.ndarray:
    seed = hashlib.sha256(np.ascontiguousarray(image).data).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    pixels = image.astype(np.float32)
    if variant.shift:
        down, right = rng.uniform(0.25, 0.75, 2).astype(np.float32)
        pixels = np.pad(pixels, ((1, 0), (1, 0), (0, 0)), mode="reflect")
        pixels = (1 - down) * pixels[1:] + down * pixels[:-1]
        pixels = (1 - right) * pixels[:, 1:] + right * pixels[:, :-1]
    if variant.mixed:
        spread = rng.uniform(WEAKEST, variant.noise)
        pixels = pixels + rng.normal(0.0, spread, image.shape).astype(np.float32)
    changed = np.rint(pixels).astype(np.int16)
    if variant.noise and not variant.mixed:
        changed += rng.integers(-variant.noise, variant.noise + 1, image.shape, np.int16)
    return np.clip(changed, 0, 255).astype(np.uint8)
