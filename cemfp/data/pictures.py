"""From an image file to pixels: the one conversion policy.

A file is opened by its content, whatever its name says, and of several frames the first is taken.
It is turned as its EXIF orientation says. Transparent pixels are laid over white. A palette, CMYK
and other colour spaces become RGB, one bit becomes 0 and 255, and 16 bits of grey are divided by
257 and rounded (16 bits of colour are cut to 8 by Pillow). A resized image is squeezed to the
wanted height and width by Pillow's bilinear filter, which averages over all pixels that a new one
covers. Grey is repeated for three channels; colour becomes grey by ITU-R 601 luma. Refused are
files that end too early, 32-bit and floating-point pixels, formats not in `FORMATS`, and images of
more pixels than `MOST_PIXELS`, which may be decompression bombs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

POLICY = 1  # to be raised with any change of the above: it is part of the hash of cached images
SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".jfif", ".jpe"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".pgm", ".ppm", ".pbm", ".pnm"), "PPM"),
    **{".png": "PNG", ".gif": "GIF", ".bmp": "BMP", ".webp": "WEBP"},
}
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))
MOST_PIXELS = 1 << 26
BACKGROUND = 255
_GREY = {"1", "L", "LA", "La", "I"}


class Damaged(ValueError):
    """A file is no image that can be read; the message says why in a few words."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What an image file says before its pixels are decoded.

    Attributes:
        sha256: Hash of the file.
        size: Height and width, as the picture stands after its orientation.
        mode: Pillow's name of its kind of pixels, `+tRNS` added for a transparent colour.
        grey: Whether it has no colours.
        remarks: What is odd about it.
    """

    sha256: str
    size: tuple[int, int]
    mode: str
    grey: bool
    remarks: tuple[str, ...]


@contextlib.contextmanager
def strict_decoding() -> Iterator[None]:
    """Make decompression bombs an error and other remarks of Pillow silent; not for one thread."""
    Image.init()  # readers of all formats
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def look(path: Path) -> Look:
    """Return what the file `path` is.

    Raises:
        Damaged: No image.
    """
    with _opened(path) as (image, data):
        turned = _orientation(image)
        width, height = image.size
        remarks = _remarks(path, image)
        if turned != 1:
            remarks.append("turned as EXIF says")
        return Look(
            hashlib.sha256(data).hexdigest(),
            (width, height) if turned >= 5 else (height, width),
            image.mode + ("+tRNS" if "transparency" in image.info else ""),
            _is_grey(image),
            tuple(remarks),
        )


def decode(path: Path, channels: int, size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """Return an image file as uint8 (h, w, channels), and what was done to it.

    Raises:
        Damaged: No image, or one that ends too early.
    """
    with _opened(path) as (image, _):
        image.load()
        return as_pixels(ImageOps.exif_transpose(image), channels, size)


def as_pixels(
    image: Image.Image, channels: int, size: tuple[int, int]
) -> tuple[np.ndarray, list[str]]:
    """Return an image as uint8 (h, w, channels), and what was done to it."""
    done: list[str] = []
    image = _without_alpha(_eight_bits(image, done), done)
    if (image.height, image.width) != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        done.append("resized")
    wanted = "L" if channels == 1 else "RGB"
    if image.mode != wanted:
        done.append("colour made grey" if channels == 1 else "grey repeated for 3 channels")
        image = image.convert(wanted)
    return np.asarray(image, np.uint8).reshape(*size, channels), done


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Image.Image, bytes]]:
    """Yield the image and the file's bytes; whatever Pillow raises in the block is `Damaged`."""
    try:
        data = path.read_bytes()
        if not data:
            raise Damaged("empty file")
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Damaged(f"{image.width} x {image.height} pixels, too many")
            yield image, data
    except Damaged:
        raise
    except UnidentifiedImageError as error:
        html = data.lstrip()[:1] == b"<"
        raise Damaged("HTML or XML, no image" if html else "no image") from error
    except Exception as error:  # decoders raise many kinds on a broken file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Damaged(reason[:120]) from error


def _orientation(image: Image.Image) -> int:
    turned = image.getexif().get(ExifTags.Base.Orientation, 1)
    return turned if turned in range(1, 9) else 1


def _remarks(path: Path, image: Image.Image) -> list[str]:
    """Say what the name hides: another format, more frames than one."""
    # A phone's JPEG with a second picture.
    found = "JPEG" if image.format == "MPO" else image.format
    remarks = []
    if (named := SUFFIXES.get(path.suffix.lower())) not in (None, found):
        remarks.append(f"{found} named {path.suffix} (a {named} by its name)")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        remarks.append("first of several frames")
    return remarks


def _is_grey(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode in _GREY or image.mode.startswith("I;16")
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), 2, 0)
    return bool(np.array_equal(red, green) and np.array_equal(red, blue))


def _eight_bits(image: Image.Image, done: list[str]) -> Image.Image:
    """Return the image in L, LA, RGB or RGBA."""
    mode = image.mode
    if mode == "I" or mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 0xFFFF:
            raise Damaged("32-bit pixels")
        done.append("16 bits made 8")
        return Image.fromarray(np.rint(levels / 257).astype(np.uint8))
    if mode == "F":
        raise Damaged("floating-point pixels")
    transparent = "transparency" in image.info
    grey = {"1": "LA" if transparent else "L", "L": "LA" if transparent else "L"}
    colour = "RGBA" if transparent or mode in ("PA", "RGBA", "RGBa") else "RGB"
    wanted = grey.get(mode) or ("LA" if mode in ("LA", "La") else colour)
    if wanted == mode:
        return image
    if mode not in ("L", "RGB"):
        done.append(f"{mode} made {wanted}")
    if mode == "1":
        image = image.convert("L")
    if mode == "P" and _is_grey(image):
        # Its colours are kept in any case; this only keeps grey palettes exact for one channel.
        wanted = {"RGBA": "LA", "RGB": "L"}[wanted]
        image = image.convert("RGBA" if wanted == "LA" else "RGB")
    return image.convert(wanted)


def _without_alpha(image: Image.Image, done: list[str]) -> Image.Image:
    """Lay the image over the background."""
    if image.mode not in ("LA", "RGBA"):
        return image
    opaque = image.mode.removesuffix("A")
    if image.getchannel("A").getextrema()[0] == 255:
        return image.convert(opaque)
    done.append("laid over white")
    ground = Image.new(opaque, image.size, (BACKGROUND,) * len(opaque))
    ground.paste(image.convert(opaque), mask=image.getchannel("A"))
    return ground
