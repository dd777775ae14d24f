"""A contact sheet: a few images of each class with its name, to see with one look what is there."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from cemfp.data import Dataset
from cemfp.storage.files import write_atomic

PER_CLASS, MOST_CLASSES, TILE, GAP, LETTERS = 8, 50, 64, 4, 160


def contact_sheet(dataset: Dataset, path: Path) -> int:
    """Draw the first training images of each class to a PNG; return how many classes are on it.

    Each image is scaled to `TILE` pixels, without smoothing if it is smaller.
    """
    shown = min(len(dataset.classes), MOST_CLASSES)
    width, row = LETTERS + PER_CLASS * (TILE + GAP), TILE + GAP
    sheet = Image.new("RGB", (width, shown * row), "white")
    draw = ImageDraw.Draw(sheet)
    for index, name in enumerate(dataset.classes[:shown]):
        draw.text(
            (GAP, index * row + TILE // 2), f"{index}  {name}"[:24], fill="black", anchor="lm"
        )
        for place, at in enumerate(np.flatnonzero(dataset.train.labels == index)[:PER_CLASS]):
            corner = (LETTERS + place * (TILE + GAP), index * row)
            sheet.paste(_tile(dataset.train.images[at]), corner)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    write_atomic(path, file.getvalue())
    return shown


def _tile(image: np.ndarray) -> Image.Image:
    levels = image if image.dtype == np.uint8 else np.rint(image * 255).astype(np.uint8)
    picture = Image.fromarray(np.asarray(levels.squeeze(2) if levels.shape[2] == 1 else levels))
    small = max(picture.size) <= TILE
    way = Image.Resampling.NEAREST if small else Image.Resampling.BILINEAR
    return picture.convert("RGB").resize((TILE, TILE), way)
