"""Images as what a server takes: files, arrays, JSON, forms."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from cemfp.suspects.base import SuspectError
from cemfp.suspects.network.api import IMAGE, IMAGES, SHAPE, Api, Picture

JSON = {"content-type": "application/json"}
SCALE = 255.0
SLACK = 1e-3  # of a grey level: rounding of k / 255 * 255


def encode(api: Api, images: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """Return the body of a question on images (n, h, w, c), and the headers that say what it is.

    Raises:
        SuspectError: The images cannot be written so.
    """
    if api.body.json is not None:
        return to_json(fill(api, images)), JSON
    if len(images) != 1:
        raise SuspectError("expected one image at a time for this body: leave --batch out.")
    file = as_file(images[0], api.image)
    kind = f"image/{api.image.format}"
    if api.body.raw:
        return file, {"content-type": kind}
    return _form(str(api.body.form), file, api.image.format, api.body.fields)


def to_json(value: Any) -> bytes:
    """Return the JSON of a question; numbers that JSON has not are refused."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except ValueError:
        raise SuspectError("expected finite numbers in an image.") from None


def fill(api: Api, images: np.ndarray) -> Any:
    """Return the JSON template of an API with images (n, h, w, c) in it."""
    if api.pictures:
        items = [base64.b64encode(as_file(x, api.image)).decode() for x in images]
        shape = [len(images)]
    else:
        array = as_array(images, api.image)
        # In float64 each float32 is written so that exactly it is read again.
        items = array.astype(np.float64 if array.dtype.kind == "f" else array.dtype).tolist()
        shape = list(array.shape)
    if api.insists == 1 and len(items) != 1:
        raise SuspectError("expected one image at a time for this body: leave --batch out.")
    each = [_replace(api.body.each, {IMAGE: item}) for item in items]
    return _replace(api.body.json, {IMAGE: items[0], IMAGES: each, SHAPE: shape})


def as_array(images: np.ndarray, picture: Picture) -> np.ndarray:
    """Return images (n, h, w, c) in a layout, float32 or int64.

    Raises:
        SuspectError: Whole numbers are wanted, and these are none.
    """
    if picture.layout == "chw":
        images = images.transpose(0, 3, 1, 2)
    elif picture.layout == "hw":
        images = images[..., 0]
    elif picture.layout == "flat":
        images = images.reshape(len(images), -1)
    if picture.numbers == "float":
        return np.ascontiguousarray(images, np.float32)
    whole = np.rint(images)
    if images.max() <= 1 or np.abs(images - whole).max() > SLACK:
        raise SuspectError("the server takes whole numbers: add --scale 255, or what it wants.")
    return np.ascontiguousarray(whole).astype(np.int64)


def as_file(image: np.ndarray, picture: Picture) -> bytes:
    """Return an image (h, w, c), float32 in [0, 1], as a PNG or JPEG file.

    Raises:
        SuspectError: It is outside [0, 1], or neither grey nor coloured.
    """
    import PIL.Image

    if image.shape[2] not in (1, 3) or image.min() < 0 or image.max() > 1:
        raise SuspectError(
            "expected images of 1 or 3 channels in [0, 1], which are sent as files. Received: "
            f"{image.shape[2]} channels, {image.min():.2f} to {image.max():.2f}; leave --scale out."
        )
    pixels = np.rint(image * SCALE).astype(np.uint8)
    made = PIL.Image.fromarray(pixels[:, :, 0] if image.shape[2] == 1 else pixels)
    file = io.BytesIO()
    settings = {"quality": picture.quality, "subsampling": 0} if picture.format == "jpeg" else {}
    made.save(file, picture.format.upper(), **settings)
    return file.getvalue()


def _form(
    field: str, file: bytes, kind: str, fields: Mapping[str, str]
) -> tuple[bytes, dict[str, str]]:
    """Return a form with a file [RFC 7578]."""
    import httpx

    files = {field: (f"image.{kind}", file, f"image/{kind}")}
    made = httpx.Request("POST", "http://any", data=dict(fields), files=files)
    return made.read(), {"content-type": made.headers["content-type"]}


def _replace(template: Any, values: Mapping[str, Any]) -> Any:
    """Return a template with values in place of the texts that stand for them."""
    if isinstance(template, dict):
        return {key: _replace(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [_replace(item, values) for item in template]
    if not isinstance(template, str):
        return template
    if template in values:
        return values[template]
    image = values.get(IMAGE)
    return template.replace(IMAGE, image) if isinstance(image, str) else template
