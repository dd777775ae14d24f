"""The conversion policy, kind by kind, on images drawn by hand."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cemfp.data.pictures import Damaged, decode, look, strict_decoding


@pytest.fixture(autouse=True)
def strict():
    with strict_decoding():
        yield


def write(tmp_path, image, name="x.png", **settings):
    path = tmp_path / name
    image.save(path, **settings)
    return path


def decoded(path, channels=3):
    return decode(path, channels, look(path).size)


def test_grey_kinds_stay_exact(tmp_path):
    levels = np.array([[0, 100], [200, 255]], np.uint8)
    grey = Image.fromarray(levels)
    for name, image in {
        "plain": grey,
        "palette": grey.convert("P"),
        "opaque": Image.merge("LA", (grey, Image.new("L", (2, 2), 255))),
        "deep": Image.fromarray(levels.astype(np.uint16) * 257),
    }.items():
        path = write(tmp_path, image, f"{name}.png")
        assert look(path).grey, name
        assert decoded(path, 1)[0][..., 0].tolist() == levels.tolist(), name
        assert decoded(path, 3)[0].tolist() == levels[..., None].repeat(3, 2).tolist(), name


def test_sixteen_bits_are_rounded_not_cut(tmp_path):
    # 257 * 7 + 129 is nearer to 8 than to 7; cut to its high byte it would be 7.
    path = write(tmp_path, Image.fromarray(np.array([[257 * 7 + 129, 65535]], np.uint16)))
    image, done = decoded(path, 1)
    assert image.ravel().tolist() == [8, 255] and "16 bits made 8" in done


def test_one_bit(tmp_path):
    path = write(tmp_path, Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"))
    assert look(path).mode == "1" and decoded(path, 1)[0].ravel().tolist() == [0, 255]


def test_transparent_pixels_are_laid_over_white(tmp_path):
    # Half of 100 over 255: 100 * 128 / 255 + 255 * 127 / 255 = 177.2
    colour = Image.new("RGBA", (1, 1), (100, 0, 0, 128))
    image, done = decoded(write(tmp_path, colour))
    assert image.ravel().tolist() == [177, 127, 127] and "laid over white" in done
    grey = write(tmp_path, Image.new("LA", (1, 1), (100, 0)), "grey.png")
    assert decoded(grey, 1)[0].item() == 255
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    path = write(tmp_path, palette, "palette.png", transparency=0)
    assert look(path).mode == "P+tRNS"
    assert decoded(path)[0].tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_cmyk_becomes_rgb_and_says_so(tmp_path):
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    path = write(tmp_path, image, "x.jpg", quality=100)
    pixels, done = decoded(path)
    assert look(path).mode == "CMYK" and "CMYK made RGB" in done
    assert np.abs(pixels[4, 4].astype(int) - [0, 255, 255]).max() <= 3


@pytest.mark.parametrize("turned", [3, 6])
def test_exif_orientation(tmp_path, turned):
    exif = Image.Exif()
    exif[0x0112] = turned
    levels = np.array([[0, 50, 100], [150, 200, 250]], np.uint8)
    path = write(tmp_path, Image.fromarray(levels), exif=exif)
    expected = {3: np.rot90(levels, 2), 6: np.rot90(levels, -1)}[turned]
    assert look(path).size == expected.shape and "turned as EXIF says" in look(path).remarks
    assert decoded(path, 1)[0][..., 0].tolist() == expected.tolist()


def test_a_gif_named_jpg_is_opened_and_said_to_be_one(tmp_path):
    frames = [Image.new("L", (2, 2), level) for level in (10, 200)]
    frames[0].save(tmp_path / "x.jpg", "GIF", save_all=True, append_images=frames[1:])
    found = look(tmp_path / "x.jpg")
    assert any("GIF named .jpg" in remark for remark in found.remarks)
    assert "first of several frames" in found.remarks
    assert decoded(tmp_path / "x.jpg")[0].max() == 10


def test_making_smaller_averages(tmp_path):
    # A bilinear filter without antialiasing would take single pixels of the pattern: 0 or 255.
    board = np.indices((32, 32)).sum(0) % 2 * 255
    path = write(tmp_path, Image.fromarray(board.astype(np.uint8)))
    image, done = decode(path, 1, (4, 4))
    assert "resized" in done and np.all(np.abs(image.astype(int) - 127) < 3)


def test_colour_is_made_grey_on_demand_only(tmp_path):
    path = write(tmp_path, Image.new("RGB", (1, 1), (255, 0, 0)))
    assert not look(path).grey
    image, done = decoded(path, 1)
    assert image.item() == 76 and "colour made grey" in done  # 0.299 * 255


def bomb():
    """A PNG that says it has a hundred thousand pixels each way."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"x")) + chunk(b"IEND", b"")


def floating():
    file = io.BytesIO()
    Image.fromarray(np.ones((2, 2), np.float32)).save(file, "TIFF")
    return file.getvalue()


BROKEN = {
    "empty": (b"", "empty file"),
    "page": (b"<!DOCTYPE html><html>", "HTML"),
    "text": (b"no image at all", "no image"),
    "bomb": (bomb(), "bomb|too many"),
    "floating": (floating(), "floating-point"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "no image"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_image_says_so(tmp_path, case):
    content, said = BROKEN[case]
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(Damaged, match=said):
        decoded(tmp_path / "x.png")
