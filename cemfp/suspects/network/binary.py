"""Tensors as bytes, as the binary tensor extension of the Open Inference Protocol has them."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from cemfp.suspects.base import SuspectError
from cemfp.suspects.network import bodies, tensors
from cemfp.suspects.network.api import Api
from cemfp.suspects.network.reading import quoted
from cemfp.suspects.network.tensors import Tensor

# Little-endian, as the extension says.
TYPES = {
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}


def pack(api: Api, taken: Tensor, images: np.ndarray) -> tuple[bytes, list[int]]:
    """Return images (n, h, w, c) as bytes, and the shape of the tensor that they are."""
    if taken.kind == "text":
        files = [bodies.as_file(image, api.image) for image in images]
        return b"".join(struct.pack("<I", len(x)) + x for x in files), [len(images)]
    array = bodies.as_array(images, api.image)
    return array.astype(TYPES[taken.type]).tobytes(), list(array.shape)


def unpack(output: dict[str, Any], rest: bytes) -> bytes:
    """Put the data of an output that is in the bytes into it; return the bytes after it."""
    parameters = output.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return rest
    if type(size) is not int or not 0 < size <= len(rest):
        raise SuspectError(
            "expected an output with as many bytes as it says. Received: "
            f"{quoted(repr(size))}, and {len(rest)} bytes."
        )
    content, rest = rest[:size], rest[size:]
    kind = str(output.get("datatype"))
    if kind == "BYTES":
        output["data"] = _texts(content)
        return rest
    width = np.dtype(TYPES[kind]).itemsize if kind in TYPES else 0
    if not width or size % width:
        raise SuspectError(f"expected an output of a known type. Received: {quoted(kind)}.")
    output["data"] = np.frombuffer(content, TYPES[kind]).tolist()
    return rest


def _texts(content: bytes) -> list[str]:
    """Return texts, each of which is led by its length in four bytes."""
    texts, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "little")
        text, at = content[at + 4 : at + 4 + length], at + 4 + length
        if at > len(content):
            raise SuspectError("expected texts led by their length. Received: fewer bytes.")
        texts.append(text.decode("utf-8", "replace"))
    return texts


def shaped(output: dict[str, Any]) -> Any:
    """Return the data of an output, flat or not, as one row for each image, as its shape says."""
    data, shape = output.get("data"), tensors.shape_of(output.get("shape"))
    if not isinstance(data, list) or not data:
        raise SuspectError("expected an output with data from the server. Received: none.")
    if shape is None or len(shape) != 2 or any(isinstance(item, list) for item in data):
        return data
    if math.prod(shape) != len(data):
        raise SuspectError(
            f"expected an output of shape {list(shape)}. Received: {len(data)} values."
        )
    return [data[i : i + shape[1]] for i in range(0, len(data), shape[1])]
