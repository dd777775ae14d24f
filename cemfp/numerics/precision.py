"""Which number format is fastest here: probed once in a process, never assumed."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator

import tensorflow as tf

POLICIES = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
MINIMUM_GAIN = 1.1  # a lower precision has to pay for itself


def choose(name: str) -> str:
    """Return the Keras policy to train with: `name`, or what a quick probe prefers for `auto`.

    Raises:
        ValueError: No such policy.
    """
    if name not in POLICIES:
        raise ValueError(f"expected a precision among {', '.join(POLICIES)}. Received: {name!r}")
    return _fastest() if name == "auto" else name


def compute_type(name: str) -> tf.DType:
    """Return the format for the convolutions of frozen nets; `auto` is the faster one.

    It never gives float16, whose narrow range would flush small input gradients to zero.

    Raises:
        ValueError: No such precision.
    """
    if name not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"expected precision auto, float32 or bfloat16. Received: {name!r}")
    if name == "auto":
        return tf.bfloat16 if _fastest() == "mixed_bfloat16" else tf.float32
    return tf.as_dtype(name)


@functools.cache
def _fastest() -> str:
    """Time a convolution of a small ResNet, forward and backward, in each format (under 1 s)."""
    half = "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"
    gain = _seconds(tf.float32) / _seconds(tf.float16 if half == "mixed_float16" else tf.bfloat16)
    return half if gain > MINIMUM_GAIN else "float32"


def _seconds(dtype: tf.DType) -> float:
    images = tf.cast(tf.random.stateless_normal((64, 32, 32, 16), (0, 0)), dtype)
    kernel = tf.cast(tf.random.stateless_normal((3, 3, 16, 16), (0, 1)), dtype)

    @tf.function
    def step(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            loss = tf.reduce_sum(
                tf.nn.conv2d(tf.nn.conv2d(images, kernel, 1, "SAME"), kernel, 1, "SAME")
            )
        return tf.reduce_sum(tape.gradient(loss, [images, kernel])[0])

    float(step(images, kernel))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        float(step(images, kernel))
        best = min(best, time.perf_counter() - start)
    return best


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Build Keras layers under the policy `name`, and put the former policy back."""
    former = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(former)
