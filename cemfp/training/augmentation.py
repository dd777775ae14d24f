"""Random crops and mirror images, inside the compiled training step."""

from __future__ import annotations

import tensorflow as tf


def augment(
    images: tf.Tensor, size: int, *, flip: bool, seed: tf.Tensor, margin: int = 0
) -> tf.Tensor:
    """Return a random square crop of each image as float32 in [0, 1], half of them mirrored.

    Args:
        images: (n, h, w, c) uint8 or float32, already padded.
        size: Side of the crop.
        flip: Whether to mirror.
        seed: (2,) int32, decides everything.
        margin: Pixels on every edge that no crop may touch.
    """
    count, side = tf.shape(images)[0], images.shape[1]
    last = side - size - margin
    offsets = tf.random.stateless_uniform((2, count, 1), seed, margin, last + 1, tf.int32)
    rows, columns = offsets[0] + tf.range(size), offsets[1] + tf.range(size)
    if flip:
        mirrored = tf.random.stateless_uniform((count, 1), seed + 1, 0, 2, tf.int32) == 1
        columns = tf.where(mirrored, columns[:, ::-1], columns)
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    images = tf.gather(images, columns, axis=2, batch_dims=1)
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    return images
