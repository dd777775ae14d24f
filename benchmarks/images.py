"""Many images of a user's own through conversion and training: `python -m benchmarks.images`.

The images are drawn noise, 16 files that are linked to as often as wanted: decoding costs what it
costs with files of their own. Counted is anonymous memory, which no file backs: the page cache
may hold the converted images for as long as nothing else wants it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.harness import machine
from cemfp.data import load
from cemfp.training import loop
from cemfp.training.recipe import Recipe

CLASSES, DIFFERENT, BATCH, CROP = 10, 16, 64, 32
SIZES = 5_000, 50_000


@click.command()
@click.argument("images", nargs=-1, type=click.IntRange(2 * CLASSES))
@click.option("--side", type=click.IntRange(CROP), default=224, show_default=True)
@click.option("--write", type=click.Path(path_type=Path), help="Write the rows to this file, too.")
def main(images: tuple[int, ...], side: int, write: Path | None) -> None:
    """Convert IMAGES JPEG files of SIDE pixels and feed them to one epoch of training.

    IMAGES are one number or several, by default 5,000 and 50,000; each has a process of its own.
    """
    facts = machine()
    rows = []
    for count in images or SIZES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(one, (count, side)))
    text = json.dumps({"machine": facts, "side": side, "rows": rows}, indent=2)
    click.echo(text)
    if write is not None:
        write.write_text(text + "\n")


def one(count: int, side: int) -> dict[str, Any]:
    """Return the row of so many images, drawn for it and thrown away."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["CEMFP_DATA_CACHE"] = str(Path(place) / "cache")
        return {"images": count, **measure(draw(Path(place) / "images", count, side))}


def draw(root: Path, count: int, side: int) -> Path:
    """Write a folder of `count` JPEG images in `CLASSES` folders; return it."""
    originals = root.parent / "originals"
    originals.mkdir()
    rng = np.random.default_rng(0)
    for number in range(DIFFERENT):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((side, side)).save(originals / f"{number}.jpg", quality=90)
    for number in range(count):
        folder = root / str(number % CLASSES)
        folder.mkdir(parents=True, exist_ok=True)
        os.link(originals / f"{number % DIFFERENT}.jpg", folder / f"{number}.jpg")
    return root


def measure(root: Path) -> dict[str, Any]:
    """Return rates in images per second, and anonymous memory in MiB beyond the start's.

    The net sees crops of few pixels, so that feeding is what takes the time; every image is read
    whole.
    """
    with Peak() as conversion:
        dataset = load(str(root))
    count = len(dataset.train) + len(dataset.test)
    held, loop.LARGEST_HELD = loop.LARGEST_HELD, 0  # small runs, too, are fed call by call
    recipe = Recipe(
        epochs=1, batch_size=BATCH, crop=CROP, full_size=0.0, pad=0, precision="float32",
        learning_rate=0.001,
    )  # fmt: skip
    try:
        with Peak() as feeding:
            loop.train(_net, dataset.train.images, dataset.train.labels, recipe, seed=0)
    finally:
        loop.LARGEST_HELD = held
    return {
        "pixels_mib": round(dataset.train.images.nbytes / 2**20),
        "conversion": {"rate": round(count / conversion.seconds, 1), "mib": conversion.mib},
        "feeding": {"rate": round(len(dataset.train) / feeding.seconds, 1), "mib": feeding.mib},
    }


def _net(shape: tuple[int | None, ...]) -> tf.keras.Model:
    inputs = tf.keras.Input(shape)
    x = tf.keras.layers.GlobalAveragePooling2D()(inputs)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(CLASSES)(x))


class Peak:
    """The most anonymous memory in a block beyond that at its start, looked at all the time.

    Attributes:
        mib: It, in MiB.
        seconds: What the block took.
    """

    def __init__(self) -> None:
        self.mib, self.seconds = 0, 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._start, self._began = anonymous(), time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self.mib = max(self.mib, (anonymous() - self._start) >> 20)


def anonymous() -> int:
    """Return the bytes of this process that no file backs; Linux only."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) * 1024


if __name__ == "__main__":
    main()
