"""Any labelled set of images of TensorFlow Datasets, by the name that it has there."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from cemfp.data.arrays import Arrays
from cemfp.data.dataset import DataError
from cemfp.data.listing import TEST, TEST_FOLDERS, TRAIN
from cemfp.data.pictures import as_pixels
from cemfp.data.spec import TFDS, DataSpec


def from_tfds(target: str, spec: DataSpec) -> Arrays:
    """Read `NAME` or `NAME:SPLIT`, downloaded on first use; it is held in memory once.

    Without a split the set's own `train` and `test` (or `validation`) are the parts; a set with one
    split, or a split that was named, is parted by the seed.

    Raises:
        DataError: It is neither there nor can be downloaded, or is no set of images and labels.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    name, split = _parse(target)
    try:
        builder = tfds.builder(name)
        if not builder.is_prepared():
            builder.download_and_prepare()
        features, available = builder.info.features, list(builder.info.splits)
    except Exception as error:  # TFDS raises whatever its client raised
        raise DataError(
            f"expected {TFDS}NAME of TensorFlow Datasets. Received: {TFDS}{target} "
            f"({_reason(error)}); set TFDS_DATA_DIR to a directory that holds it, or connect to "
            "the network once"
        ) from error
    if not {"image", "label"} <= set(features or ()):
        raise DataError(
            f"expected a set of images with labels. Received: {TFDS}{target} of "
            f"{', '.join(list(features or ())[:8])}"
        )
    test = next((other for other in TEST_FOLDERS if other in available), None)
    whole = TRAIN if TRAIN in available else available[0]
    parts = {TRAIN: whole, TEST: test} if not split and test and whole == TRAIN else {}
    try:
        read = {
            part: _read(builder, own, spec) for part, own in (parts or {"": split or whole}).items()
        }
    except (ValueError, KeyError, OSError, tf.errors.OpError) as error:
        raise DataError(f"{TFDS}{target} cannot be read ({_reason(error)})") from error
    classes = tuple(getattr(features["label"], "names", None) or ())
    return Arrays(builder.info.full_name, read, classes)


def _parse(target: str) -> tuple[str, str]:
    """Return name and split; `mnist:3.0.1` has a version, which is part of the name."""
    name, _, last = target.rpartition(":")
    if name and last[:1].isalpha():
        return name, last
    return target, ""


def _read(builder: Any, split: str, spec: DataSpec) -> tuple[np.ndarray, np.ndarray]:
    images: list[np.ndarray] = []
    labels: list[int] = []
    for row in builder.as_dataset(split=split, shuffle_files=False).as_numpy_iterator():
        image = row["image"]
        if spec.size is not None and image.dtype == np.uint8:
            channels = spec.channels or (1 if image.shape[2] == 1 else 3)
            picture = image[..., 0] if image.shape[2] == 1 else image
            image = as_pixels(Image.fromarray(picture), channels, spec.size)[0]
        if images and image.shape != images[0].shape:
            raise ValueError(
                f"images of {images[0].shape[:2]} and {image.shape[:2]}; add --image-size HxW"
            )
        images.append(image)
        labels.append(row["label"])
    if not images:
        raise ValueError(f"no image in the split {split}")
    return np.stack(images), np.array(labels)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
