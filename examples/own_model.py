"""Photos in folders, and a classifier of plain Keras code: `python -m examples.own_model photos`.

Nothing here is of this package but the reading of CIFAR-10, which stands for a user's own photos.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import tensorflow as tf
from PIL import Image

BATCH, LEARNING_RATE = 64, 1e-3
PATH = click.Path(path_type=Path)


@click.group()
def main() -> None:
    """Make what the tutorial starts from."""


@main.command()
@click.argument("folder", type=PATH)
@click.option("--train", type=click.IntRange(1), default=500, show_default=True)
@click.option("--test", type=click.IntRange(1), default=100, show_default=True)
def photos(folder: Path, train: int, test: int) -> None:
    """Write the first so many CIFAR-10 images of each class to FOLDER, as PNG files."""
    from cemfp.data import load

    data = load("cifar10")
    for part, split, count in (("train", data.train, train), ("test", data.test, test)):
        for label, name in enumerate(data.classes):
            place = folder / part / name
            place.mkdir(parents=True, exist_ok=True)
            for row in np.flatnonzero(split.labels == label)[:count]:
                Image.fromarray(split.images[row]).save(place / f"{row:05d}.png")


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("model", type=PATH)
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--net", type=click.Choice(["plain", "convnext"]), default="plain", show_default=True)
def train(folder: Path, model: Path, epochs: int, seed: int, net: str) -> None:
    """Train a small net on the photos in FOLDER, and save it as MODEL, a .keras file."""
    tf.keras.utils.set_random_seed(seed)
    learn, test = (images(folder / part, seed) for part in ("train", "test"))
    made = NETS[net](len(learn.class_names))
    made.compile(
        tf.keras.optimizers.Adam(
            tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * len(learn))
        ),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    made.fit(learn, epochs=epochs, verbose=2)
    _, accuracy = made.evaluate(test, verbose=0)
    made.save(model)
    click.echo(f"{model}: right on {accuracy:.1%} of the test images")


def images(folder: Path, seed: int) -> tf.data.Dataset:
    """Return batches of (images (n, 32, 32, 3) from 0 to 255, labels (n,))."""
    return tf.keras.utils.image_dataset_from_directory(
        folder, image_size=(32, 32), batch_size=BATCH, seed=seed
    )


def plain(classes: int) -> tf.keras.Model:
    """Return an untrained net of six convolutions, which takes grey levels from 0 to 255."""
    layers = tf.keras.layers
    inputs = tf.keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.RandomFlip("horizontal")(x)
    for width in (16, 32, 64):
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def convnext(classes: int) -> tf.keras.Model:
    """Return an untrained net in the manner of ConvNeXt: depthwise, layer norm, wide GELU."""
    layers = tf.keras.layers
    inputs = tf.keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = layers.RandomFlip("horizontal")(x)
    for width in (32, 64, 128):
        x = layers.Conv2D(width, 2, strides=2)(x)
        for _ in range(2):
            y = layers.DepthwiseConv2D(5, padding="same")(x)
            y = layers.LayerNormalization(epsilon=1e-6)(y)
            y = layers.Dense(2 * width, activation="gelu")(y)
            x = layers.Add()([x, layers.Dense(width)(y)])
    x = layers.LayerNormalization(epsilon=1e-6)(layers.GlobalAveragePooling2D()(x))
    return tf.keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


NETS = {"plain": plain, "convnext": convnext}


if __name__ == "__main__":
    main()
