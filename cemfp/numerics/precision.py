"""Which number format is fastest here: probed once in a process, never assumed."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from collections.abc import Iterator

import tensorflow as tf

POLICIES = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
MINIMUM_GAIN = 1.1  # a lower precision has to pay for itself
PROBE_IMAGES, PROBE_SIDE, PROBE_WIDTH = 64, 32, 16
# Two convolutions of 3 x 3, and their gradients for the images; two operations a multiplication.
PROBE_FLOPS = 2 * 2 * 2 * PROBE_IMAGES * PROBE_SIDE**2 * 9 * PROBE_WIDTH**2


def choose(name: str) -> str:
    """Return the Keras policy to train with: `name`, or what a quick probe prefers for `auto`.

    Raises:
        ValueError: No such policy, or this machine cannot compute in it.
    """
    if name not in POLICIES:
        raise ValueError(f"expected a precision among {', '.join(POLICIES)}. Received: {name!r}")
    if name == "auto":
        return _fastest()
    _require(name.removeprefix("mixed_"))
    return name


def compute_type(name: str) -> tf.DType:
    """Return the format for the convolutions of frozen nets; `auto` is the faster one.

    It never gives float16, whose narrow range would flush small input gradients to zero.

    Raises:
        ValueError: No such precision, or this machine cannot compute in it.
    """
    if name not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"expected precision auto, float32 or bfloat16. Received: {name!r}")
    if name == "auto":
        return tf.bfloat16 if _fastest() == "mixed_bfloat16" else tf.float32
    _require(name)
    return tf.as_dtype(name)


@functools.cache
def relative_error(name: str) -> float:
    """Return how far a gradient in the format `name` is from float32's, as a share of its norm.

    Measured on two convolutions: 0 for float32, about 0.004 for bfloat16 in hardware. Infinity
    where the processor's library cannot compute it, as some do that only emulate the format.
    """
    try:
        exact, found = _gradient(tf.float32), _gradient(tf.as_dtype(name))
    except tf.errors.OpError:
        return math.inf
    return float(tf.norm(found - exact) / tf.norm(exact))


def computes(name: str) -> bool:
    """Return whether this machine can differentiate convolutions in the format `name` at all."""
    return name == "float32" or math.isfinite(relative_error(name))


def _require(name: str) -> None:
    if not computes(name):
        raise ValueError(
            f"expected a precision that this machine computes. Received: {name}, which it cannot "
            "differentiate convolutions in; take float32 or auto"
        )


@functools.cache
def speed() -> float:
    """Return the operations per second of such nets for each core here, in the fastest format.

    It is the rate of a pair of convolutions, forward and backward, on all cores that this process
    uses: other work makes it smaller.
    """
    dtype = tf.as_dtype(_fastest().removeprefix("mixed_"))
    cores = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1
    return PROBE_FLOPS / _seconds(dtype) / cores


@functools.cache
def _fastest() -> str:
    """Time a convolution of a small ResNet, forward and backward, in each format (under 1 s)."""
    half = "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"
    if not computes(half.removeprefix("mixed_")):
        return "float32"
    gain = _seconds(tf.float32) / _seconds(tf.as_dtype(half.removeprefix("mixed_")))
    return half if gain > MINIMUM_GAIN else "float32"


def _seconds(dtype: tf.DType) -> float:
    images, kernel = _operands(dtype)
    step = tf.function(_step)
    tf.reduce_sum(step(images, kernel)).numpy()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        tf.reduce_sum(step(images, kernel)).numpy()
        best = min(best, time.perf_counter() - start)
    return best


def _gradient(dtype: tf.DType) -> tf.Tensor:
    return tf.cast(tf.function(_step)(*_operands(dtype)), tf.float32)


def _operands(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    shape = (PROBE_IMAGES, PROBE_SIDE, PROBE_SIDE, PROBE_WIDTH)
    images = tf.cast(tf.random.stateless_normal(shape, (0, 0)), dtype)
    kernel = tf.random.stateless_normal((3, 3, PROBE_WIDTH, PROBE_WIDTH), (0, 1))
    return images, tf.cast(kernel, dtype)


def _step(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Gradient of the sum of two convolutions' square with respect to the images."""
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        twice = tf.nn.conv2d(tf.nn.conv2d(images, kernel, 1, "SAME"), kernel, 1, "SAME")
        loss = tf.reduce_sum(twice * twice)
    return tape.gradient(loss, [images, kernel])[0]


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Build Keras layers under the policy `name`, and put the former policy back."""
    former = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(former)
