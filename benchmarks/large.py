"""`cemfp protect` on large images: `python -m benchmarks.large --write FILE`.

Keras' own MobileNetV2 at 224 pixels, the narrow one, trained for some passes over few pictures,
begins at weights that were trained on other classes here: no public ones are downloaded. The
pictures are CIFAR-10's, enlarged: they stand in for photographs, and only the cost is of interest.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.harness import machine
from cemfp.data import load
from cemfp.owner.protect import SUMMARY

SIDE, ALPHA, BATCH, EPOCHS, LEARNING_RATE = 224, 0.35, 16, 15, 1e-3
STARTING, OWN = ("bird", "cat", "deer", "dog", "ship", "truck"), ("airplane", "automobile", "frog")
TEST = 40  # pictures of each class


@click.command()
@click.option("--images", type=click.IntRange(8), default=48, show_default=True, help="Per class.")
@click.option("--budget", default="30m", show_default=True, help="Of `cemfp protect`.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory.  [default: a scratch one]")
@click.option("--write", type=click.Path(path_type=Path), help="Write the row to this file, too.")
def main(images: int, budget: str, out: Path | None, write: Path | None) -> None:
    """Protect a MobileNetV2 of 224 pixels, and tell the time and the memory."""
    facts = machine()
    with tempfile.TemporaryDirectory() as scratch:
        row = measure(out or Path(scratch), images, budget)
    text = json.dumps({"machine": facts, "side": SIDE, "rows": [row]}, indent=1)
    click.echo(text)
    if write is not None:
        write.write_text(text + "\n")


def measure(place: Path, images: int, budget: str) -> dict[str, Any]:
    """Make data and models in `place`, run the command there, and return what it took."""
    place.mkdir(parents=True, exist_ok=True)
    draw(place / "other", STARTING, images)
    draw(place / "photos", OWN, images)
    # Models are made in processes of their own: their memory is not the command's.
    for arguments in (("other", "start.h5"), ("photos", "model.keras", "start.h5")):
        code = f"from benchmarks.large import train; train(*{arguments!r})"
        subprocess.run([sys.executable, "-c", code], cwd=place, env=environment(), check=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    protect = (
        "protect model.keras --data photos --start start.h5 --out protected "
        f"--budget {budget} --inputs 20"
    )
    began = time.monotonic()
    command = [sys.executable, "-m", "cemfp", *protect.split()]
    done = subprocess.run(command, cwd=place, env=environment(), check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = place / "protected" / SUMMARY
    return {
        "command": f"cemfp {protect}",
        "images": images * len(OWN),
        "model": f"MobileNetV2, alpha {ALPHA}, {EPOCHS} epochs",
        "status": done.returncode,
        "seconds": round(time.monotonic() - began, 1),
        "core_seconds": round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1
        ),
        # Of the largest process, those that made the models included.
        "peak_mib": round(after.ru_maxrss / 1024),
        "summary": json.loads(nowhere(summary, place)) if summary.is_file() else None,
    }


def nowhere(summary: Path, place: Path) -> str:
    """Return what a file says without the folder: nobody needs to know where it was."""
    return summary.read_text().replace(f"{place.resolve()}/", "")


def environment() -> dict[str, str]:
    """Return the environment of a command that runs elsewhere: it finds this checkout."""
    found = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(found)}


def draw(folder: Path, classes: tuple[str, ...], images: int) -> None:
    """Write so many pictures of each class to `folder`, enlarged, and some to test with."""
    data = load("cifar10")
    for part, split, count in (("train", data.train, images), ("test", data.test, TEST)):
        for name in classes:
            place = folder / part / name
            place.mkdir(parents=True, exist_ok=True)
            rows = np.flatnonzero(split.labels == data.classes.index(name))
            for row in rows[:count]:
                picture = Image.fromarray(split.images[row])
                picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(place / f"{row}.png")


def train(folder: str, model: str, start: str | None = None) -> None:
    """Train MobileNetV2 by plain Keras code, on from `start` if that is given, and save it."""
    tf.keras.utils.set_random_seed(0)
    learn = tf.keras.utils.image_dataset_from_directory(
        Path(folder) / "train", image_size=(SIDE, SIDE), batch_size=BATCH, seed=0
    )
    made = net(len(learn.class_names))
    if start is not None:
        made.load_weights(start, by_name=True, skip_mismatch=True)
    made.compile(tf.keras.optimizers.Adam(LEARNING_RATE), "sparse_categorical_crossentropy")
    made.fit(learn, epochs=EPOCHS, verbose=2)
    made.save(model)


def net(classes: int) -> tf.keras.Model:
    """Return an untrained MobileNetV2 that takes grey levels from 0 to 255.

    Keras' running means of batch norm need thousands of steps; these need some dozens.
    """
    inputs = tf.keras.Input((SIDE, SIDE, 3))
    x = tf.keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    body = tf.keras.applications.MobileNetV2(
        input_tensor=x, alpha=ALPHA, include_top=False, weights=None, pooling="avg"
    )
    top = tf.keras.layers.Dense(classes, activation="softmax", name=f"of_{classes}")(body.output)
    made = tf.keras.Model(inputs, top)
    config = made.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "BatchNormalization":
            layer["config"]["momentum"] = 0.9
    return tf.keras.Model.from_config(config)


if __name__ == "__main__":
    main()
