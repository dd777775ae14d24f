"""A part of ImageNet [Russakovsky15] at 224 x 224 pixels, through TensorFlow Datasets.

Russakovsky15: O. Russakovsky et al. ImageNet Large Scale Visual Recognition Challenge. IJCV 2015.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp.data.dataset import DataError, Dataset, Split, make_dataset

if TYPE_CHECKING:
    import tensorflow as tf

TFDS_NAME = "imagenet2012"
ARCHIVES = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")
# All of it would be 190 GB in memory; this is 2.7 GB.
SIZES = {"train": 12_800, "validation": 5_000}
SHORTER, SIDE = 256, 224  # the usual test crop of nets for ImageNet
BATCH = 100


def load_imagenet224() -> Dataset:
    """Return the first images of ImageNet's training and validation splits, uint8.

    Each is scaled to a shorter side of 256 and cropped to its central 224 x 224 pixels. Classes are
    WordNet numbers in ascending order, the labels of Keras' published nets.

    Raises:
        DataError: The images are not on disk, or damaged. Their licence demands that a person
            downloads them.
    """
    import tensorflow as tf

    builder = _prepared()
    try:
        whole = {name: builder.info.splits[name].num_examples for name in SIZES}
        train, test = (_read(builder, name, min(whole[name], SIZES[name])) for name in SIZES)
    except (ValueError, KeyError, OSError, tf.errors.OpError) as error:
        raise DataError(
            f"{builder.data_path}: expected ImageNet. Received: a damaged copy "
            f"({_reason(error)}); delete it and prepare it again from the archives"
        ) from error
    note = (
        f"the first {len(train):,} of {whole['train']:,} training and {len(test):,} of "
        f"{whole['validation']:,} validation images, central {SIDE} x {SIDE} pixels"
    )
    classes = tuple(builder.info.features["label"].names)
    return make_dataset("imagenet224", train, test, classes, stand_in=True, note=note)


def _prepared() -> Any:
    """Return TFDS' builder of a set that is on disk, made from the archives if need be."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(TFDS_NAME)
    if builder.is_prepared():
        return builder
    manual = Path(builder.data_path).parents[1] / "downloads" / "manual"
    missing = [name for name in ARCHIVES if not (manual / name).is_file()]
    if missing:
        raise DataError(
            f"ImageNet is not in the TFDS data directory, and its licence lets no program download "
            f"it: register at https://image-net.org/download-images and put {' and '.join(missing)}"
            f" into {manual}, or set TFDS_DATA_DIR to a directory that holds {TFDS_NAME}."
        )
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever the archives' readers raised
        raise DataError(
            f"{manual}: expected ImageNet's archives and 300 GB of room. Received: "
            f"{_reason(error)}; download the archives again or make room"
        ) from error
    return builder


def _read(builder: Any, name: str, count: int) -> Split:
    """Fill one array with the first `count` images, some at a time.

    No shuffling: rows come in the order in which they lie on disk, the same everywhere.
    """
    import tensorflow as tf

    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    labels = np.empty(count, np.int64)
    rows = builder.as_dataset(split=f"{name}[:{count}]", shuffle_files=False)
    rows = rows.map(
        lambda row: (central_square(row["image"]), row["label"]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    start = 0
    for some, own in rows.batch(BATCH):
        stop = start + len(own)
        images[start:stop], labels[start:stop] = some, own
        start = stop
    if start != count:
        raise ValueError(f"{start} of {count} images of the split {name}")
    return Split(images, labels)


def central_square(image: tf.Tensor) -> tf.Tensor:
    """Return the central 224 x 224 pixels, uint8, of an image (h, w, 3) with shorter side 256."""
    import tensorflow as tf

    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    size = tf.cast(tf.round(sides * (SHORTER / tf.reduce_min(sides))), tf.int32)
    # Antialiasing, as image libraries do it: photographs are mostly made smaller here.
    scaled = tf.image.resize(image, size, antialias=True)
    top, left = tf.unstack((size - SIDE) // 2)
    square = tf.ensure_shape(scaled[top : top + SIDE, left : left + SIDE], (SIDE, SIDE, 3))
    return tf.cast(tf.clip_by_value(tf.round(square), 0, 255), tf.uint8)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
