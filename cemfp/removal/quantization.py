"""Quantisation attacks: weights on a coarse grid, and a real conversion to TensorFlow Lite."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import warnings
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow as tf

from cemfp.models.tflite import TFLiteModel
from cemfp.removal.attack import Family, Stolen
from cemfp.removal.kernels import with_changed_kernels
from cemfp.removal.thief import RemovalError, Thief
from cemfp.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Quantize:
    """Round every kernel to a symmetric grid of its own per output channel; needs no data.

    Activations stay float32, and so do biases and batch norm.

    Attributes:
        bits: Bits per weight, 2 to 16: the grid has 2^bits - 1 values.
    """

    name: ClassVar[str] = "quantize"
    family: ClassVar[Family] = "modification"
    needs: ClassVar[tuple[str, ...]] = ("weights",)
    recipe: ClassVar[Recipe | None] = None
    like_victim: ClassVar[bool] = True

    bits: int = 8

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 16:
            raise RemovalError(f"expected bits from 2 to 16. Received: {self.bits}")

    def __call__(self, thief: Thief) -> Stolen:
        """Round the weights."""
        errors = []

        def change(kernel: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
            rounded = quantized(kernel, self.bits, axes)
            errors.append(float(np.abs(rounded - kernel).max() / np.abs(kernel).max()))
            return rounded

        model = with_changed_kernels(thief, change)
        return Stolen(model, {"bits": self.bits, "max_relative_error": max(errors)})


@dataclasses.dataclass(frozen=True)
class TFLiteInt8:
    """Convert the victim to an int8 model of TensorFlow Lite: weights, activations, in and output.

    The result is a file for small devices, not a Keras model.

    Attributes:
        samples: Transfer images on which the ranges of the activations are measured.
    """

    name: ClassVar[str] = "tflite-int8"
    family: ClassVar[Family] = "modification"
    needs: ClassVar[tuple[str, ...]] = ("weights", "images")
    recipe: ClassVar[Recipe | None] = None
    like_victim: ClassVar[bool] = True

    samples: int = 200

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise RemovalError(f"expected samples >= 1. Received: {self.samples}")

    def __call__(self, thief: Thief) -> Stolen:
        """Measure the ranges and convert."""
        chosen = thief.chance().permutation(len(thief.images))[: self.samples]
        content = int8_model(thief.victim.model, thief.images.take(chosen).floats())
        return Stolen(TFLiteModel(content), {"bytes": len(content), "samples": len(chosen)})


def quantized(kernel: np.ndarray, bits: int, axes: tuple[int, ...] = (-1,)) -> np.ndarray:
    """Return a kernel rounded to q * s, with whole q from -(2^(bits-1) - 1) to 2^(bits-1) - 1.

    Args:
        kernel: float32 weights of any shape.
        bits: Bits per weight.
        axes: Those of the output channels; each channel's s makes its largest weight the last q.
    """
    levels = 2 ** (bits - 1) - 1
    others = tuple(a for a in range(kernel.ndim) if a not in {axis % kernel.ndim for axis in axes})
    step = np.abs(kernel).max(axis=others, keepdims=True).astype(np.float64) / levels
    step[step == 0] = 1.0  # a channel of zeros
    return (np.rint(kernel / step) * step).astype(np.float32)


def int8_model(model: tf.keras.Model, images: np.ndarray) -> bytes:
    """Return `model` as a TensorFlow Lite file with int8 inside, and for input and output.

    Args:
        model: From images in [0, 1] to logits.
        images: (n, h, w, c) float32 in [0, 1], on which ranges are measured.

    Raises:
        RemovalError: The converter refuses the model.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        with _no_chatter():
            return converter.convert()
    except Exception as error:  # the converter's own kinds are not public
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise RemovalError(
            f"expected a model that TensorFlow Lite can convert. Received: {reason}"
        ) from error


@contextlib.contextmanager
def _no_chatter() -> Iterator[None]:
    """Silence a block whose C++ writes to the standard streams, past Python and all loggers."""
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack, open(os.devnull, "w") as nowhere:
        for stream in (1, 2):
            saved = os.dup(stream)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, stream)
            os.dup2(nowhere.fileno(), stream)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield
