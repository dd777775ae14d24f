"""How a model wants its images: the range and order of the numbers that it was trained on."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np

Number = float | tuple[float, ...]
Images = TypeVar("Images")

# Mean and standard deviation of ImageNet's channels, red first, as most published nets have them.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# What Keras' nets with weights from Caffe subtract, red first.
_CAFFE = (123.68, 116.779, 103.939)


@dataclasses.dataclass(frozen=True)
class Convention:
    """A model is fed `x * scale + offset` for images x in [0, 1], red first.

    Attributes:
        scale: One number, or one for each channel.
        offset: The same.
        bgr: Whether the channels are then reversed.
    """

    scale: Number = 1.0
    offset: Number = 0.0
    bgr: bool = False

    def __call__(self, images: Images) -> Images:
        """Return images (n, h, w, c) as the model wants them: an array or a tensor, as given."""
        if self == UNIT:
            return images
        # Plain numbers stay such: an ensemble folds them into the first layer.
        scale, offset = (
            np.array(x, np.float32) if isinstance(x, tuple) else x
            for x in (self.scale, self.offset)
        )
        fed: Any = images
        fed = fed * scale + offset
        return fed[:, :, :, ::-1] if self.bgr else fed

    def fits(self, channels: int) -> bool:
        """Whether images of so many channels can be fed so."""
        sizes = {len(x) for x in (self.scale, self.offset) if isinstance(x, tuple)}
        return sizes <= {channels} and (channels > 1 or not self.bgr)

    def __str__(self) -> str:
        """The options of the command line that ask for it."""
        parts = [f"--scale {_text(self.scale)}"]
        if self.offset != 0.0:
            parts.append(f"--offset {_text(self.offset)}")
        return " ".join([*parts, *(["--bgr"] if self.bgr else [])])

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Convention:
        """Rebuild from JSON; what is missing has its default.

        Raises:
            ValueError: Not the fields of a convention.
        """
        read: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()
        }
        numbers = [read.get(n, 1.0) for n in ("scale", "offset")]
        flat = [x for v in numbers for x in (v if isinstance(v, tuple) else (v,))]
        sound = all(isinstance(x, int | float) and np.isfinite(x) for x in flat) and len(flat) < 64
        if not sound or not isinstance(read.get("bgr", False), bool):
            raise ValueError(f"expected scale, offset and bgr of an input. Received: {fields}")
        return cls(**read)


UNIT = Convention()
COMMON: dict[str, Convention] = {
    "[0, 1]": UNIT,
    "[0, 255]": Convention(255.0),
    "[-1, 1]": Convention(2.0, -1.0),
    "ImageNet's mean and deviation": Convention(
        tuple(round(1 / s, 5) for s in _DEVIATION),
        tuple(round(-m / s, 5) for m, s in zip(_MEAN, _DEVIATION, strict=True)),
    ),
    "[0, 1], blue first": Convention(bgr=True),
    "[0, 255], blue first": Convention(255.0, bgr=True),
    "[-1, 1], blue first": Convention(2.0, -1.0, bgr=True),
    "Caffe's": Convention(255.0, tuple(-m for m in _CAFFE), bgr=True),
}


def _text(number: Number) -> str:
    return ",".join(f"{x:g}" for x in (number if isinstance(number, tuple) else (number,)))
