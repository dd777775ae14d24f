"""What a server says of its inputs and outputs, whoever's protocol it is."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from cemfp.suspects.base import SuspectError
from cemfp.suspects.network.api import Picture
from cemfp.suspects.network.reading import quoted

CHANNELS = (1, 3)
LARGEST_BATCH = 256  # a server's word must not fill the memory


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output.

    Attributes:
        name: The model's choice.
        kind: float, whole or text.
        shape: With -1 for any size; None if unknown.
        type: As the server calls it.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    type: str


def kind_of(type: Any) -> str:
    """Return float, whole or text for the name of a type: DT_FLOAT, FP32, UINT8, BYTES.

    Raises:
        SuspectError: It is none of these.
    """
    text = str(type).upper()
    for pattern, kind in (
        ("(DT_)?(FLOAT|DOUBLE|HALF|BFLOAT|FP|BF)[0-9]*", "float"),
        ("(DT_)?U?INT[0-9]*", "whole"),
        ("(DT_)?(STRING|BYTES)", "text"),
    ):
        if re.fullmatch(pattern, text):
            return kind
    raise SuspectError(f"expected a tensor of numbers or texts. Received: {quoted(text)}.")


def shape_of(read: Any) -> tuple[int, ...] | None:
    """Return a shape whose sizes may be texts; None if it is none."""
    if not isinstance(read, list) or len(read) > 8:
        return None
    try:
        sizes = tuple(int(size) for size in read)
    except (TypeError, ValueError):
        return None
    return tuple(size if 0 < size < 1 << 31 else -1 for size in sizes)


def choose(tensors: Sequence[Tensor], wanted: str | None, what: str) -> Tensor:
    """Return the tensor named, or the only one.

    Raises:
        SuspectError: There is none of this name, or several to choose from.
    """
    names = quoted(", ".join(tensor.name for tensor in tensors))
    named = [tensor for tensor in tensors if wanted in (None, tensor.name)]
    if len(named) == 1:
        return named[0]
    hint = "" if what == "input" else "; --output NAME chooses one"
    raise SuspectError(f"expected one {what}. Received: {names}{hint}.")


def picture(tensor: Tensor) -> tuple[Picture, tuple[int | None, ...] | None]:
    """Return how an image is written for an input, and the shape (h, w, c) of one, if known.

    Raises:
        SuspectError: It is no input for images, or for which side of 3 x 3 x 3 is which.
    """
    if tensor.kind == "text":
        return Picture("png"), None
    shape, numbers = tensor.shape, "whole" if tensor.kind == "whole" else "float"
    if shape is None:
        return Picture("array", numbers=numbers), None
    inner = shape[1:]
    if len(inner) == 1:
        return Picture("array", layout="flat", numbers=numbers), None
    if len(inner) == 2:  # grey images without a channel, which are known by their two sides
        return Picture("array", layout="hw", numbers=numbers), (*_sides(inner), 1)
    if len(inner) != 3:
        raise SuspectError(f"expected an input for images. Received: one of shape {list(shape)}.")
    first, last = inner[0] in CHANNELS, inner[2] in CHANNELS
    if first and last:
        raise SuspectError(
            f"expected an input whose channels come first or last. Received: {list(shape)}, which "
            "may be either; a description says it (image.layout, `cemfp suspect probe`)."
        )
    if first:
        return Picture("array", layout="chw", numbers=numbers), (*_sides(inner[1:]), inner[0])
    return Picture("array", numbers=numbers), (*_sides(inner[:2]), *_sides(inner[2:]))


def _sides(sizes: Sequence[int]) -> tuple[int | None, ...]:
    return tuple(None if size < 0 else size for size in sizes)


def classes_of(tensor: Tensor | None) -> int | None:
    """Return the number of classes of an output of scores, if it says so."""
    if tensor is None or tensor.kind != "float" or tensor.shape is None:
        return None
    return tensor.shape[1] if len(tensor.shape) == 2 and tensor.shape[1] > 1 else None


def batch_of(tensor: Tensor) -> int | None:
    """Return the number of images that an input insists on; None for any.

    Raises:
        SuspectError: So many that no question is sent.
    """
    if not tensor.shape or tensor.shape[0] < 0:
        return None
    if not 1 <= tensor.shape[0] <= LARGEST_BATCH:
        raise SuspectError(
            f"expected questions of 1 to {LARGEST_BATCH} images. Received: a model that wants "
            f"{tensor.shape[0]} at once."
        )
    return tensor.shape[0]
