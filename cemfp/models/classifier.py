"""A trained net: weights, how to rebuild it, and what it is for.

On disk a classifier is a directory of `config.json` and `weights.npz`. Nothing in it is code, so a
stranger's classifier directory is safe to load; a stranger's Keras file is not. A Keras model of
layers that are Keras' own is kept so, too: see `architecture`.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cemfp.models import rebuilding
from cemfp.models.architecture import ArchitectureError
from cemfp.models.convention import UNIT, Convention, Number
from cemfp.models.directory import (
    CONFIG,
    KERAS,
    WEIGHTS,
    ClassifierConfig,
    ClassifierError,
    read,
    write,
)
from cemfp.models.keras_models import check_signature, load_keras, with_logits
from cemfp.models.nets import NETS
from cemfp.models.weights import from_npz, rounded, to_npz

__all__ = [
    "CONFIG",
    "KERAS",
    "WEIGHTS",
    "Classifier",
    "ClassifierConfig",
    "ClassifierError",
    "UnknownLayers",
]

# What building a net of a stranger's config, and reading its weights, may raise.
_NO_WEIGHTS = (
    *(KeyError, TypeError, ValueError, EOFError, OSError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, tf.errors.OpError),
)
PIXELS_AT_ONCE = 500 * 32 * 32


class UnknownLayers(ClassifierError):
    """A user's own Keras model has layers that a directory without code cannot describe."""


class Classifier:
    """Maps images (n, h, w, c), float32 in [0, 1], to logits (n, C), float32.

    Attributes:
        model: The Keras model; treat its weights as read-only.
        config: What it is.
        name: For messages: where it was read from, if it was.
    """

    def __init__(self, model: tf.keras.Model, config: ClassifierConfig) -> None:
        self.model, self.config = model, config
        self.name = f"{config.role} {config.net}"
        self._predict = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

    def __repr__(self) -> str:
        return (
            f"Classifier({self.config.net}, {self.role}, {self.origin}, {self.weights_sha256[:12]})"
        )

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Return logits; differentiable, in inference mode."""
        return self.model(x, training=False)

    @property
    def role(self) -> str:
        """What the classifier may be used for."""
        return self.config.role

    @property
    def origin(self) -> str:
        """Where its labels came from."""
        return self.config.origin

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input."""
        return self.config.input_shape

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.config.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in their order; empty where nobody said them."""
        return self.config.class_names

    @property
    def weights_sha256(self) -> str:
        """Hash of shapes and values of all weights, in order."""
        digest = hashlib.sha256()
        for weight in self.model.get_weights():
            digest.update(f"{weight.dtype.str}{weight.shape}".encode())
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()

    def predict_logits(self, images: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """Return logits (n, C) of any number of images, batch by batch: 500 small ones by default.

        Images (n, h, w, c) are float32 in [0, 1], or uint8, which is scaled to that.

        Raises:
            ClassifierError: The images have another shape than the net's input.
        """
        if tuple(images.shape[1:]) != tuple(self.input_shape):
            raise ClassifierError(
                f"expected images of shape {self.input_shape}. Received: {tuple(images.shape[1:])}"
            )
        if batch_size is None:
            batch_size = max(1, PIXELS_AT_ONCE // max(32 * 32, math.prod(images.shape[1:3])))
        scale = np.float32(255 if images.dtype == np.uint8 else 1)
        batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
        rows = [self._predict(tf.constant(b.astype(np.float32) / scale)).numpy() for b in batches]
        return np.concatenate(rows) if rows else np.empty((0, self.classes), np.float32)

    def predict_labels(self, images: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """Return the top-1 label (n,) int64 of each image.

        Raises:
            ClassifierError: Some logit is NaN: there is no top-1 label.
        """
        logits = self.predict_logits(images, batch_size)
        if np.isnan(logits).any():
            wrong = int(np.isnan(logits).any(axis=1).sum())
            raise ClassifierError(
                f"expected logits of {self.name}. Received: NaN for {wrong} of {len(logits)} "
                "images; train it again, with a lower learning rate or in float32"
            )
        return logits.argmax(axis=1).astype(np.int64)

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of images whose top-1 label is right."""
        return float(np.mean(self.predict_labels(images) == labels))

    def with_role(self, role: str, origin: str | None = None) -> Classifier:
        """Return the same model for another purpose: a user's own Keras model as source, say."""
        config = dataclasses.replace(self.config, role=role, origin=origin or self.origin)
        made = Classifier(self.model, config)
        made.name = self.name
        return made

    def half(self) -> Classifier:
        """Return the same classifier with its weights rounded to float16, for half the disk.

        An array with a number beyond float16 stays as it is.

        Raises:
            ClassifierError: As `save` does.
        """
        config = copy.deepcopy(self._portable())
        model = _build(config)
        model.set_weights([rounded(weight) for weight in self.model.get_weights()])
        return Classifier(model, config)

    def save(self, directory: Path) -> None:
        """Write `weights.npz` and `config.json`; the latter holds the hash of both.

        Arrays take half the space if float16 can hold what is in them; see `half`.

        Raises:
            UnknownLayers: It is a user's own Keras model with layers that are not Keras' own.
        """
        config = self._portable()
        write(Path(directory), config, to_npz(self.model.get_weights()))

    def _portable(self) -> ClassifierConfig:
        """Return the config with all that it takes to build the net again."""
        if self.config.net in NETS:
            return self.config
        try:
            architecture = rebuilding.describe(self.model)
            rebuilding.check_same(self.model, rebuilding.build(architecture, fresh=False))
        except ArchitectureError as error:
            raise UnknownLayers(
                f"{self.name}: expected a model of Keras' own layers. Received: {error}; "
                "keep its .keras file instead"
            ) from error
        return dataclasses.replace(self.config, architecture=architecture)

    @classmethod
    def load(cls, directory: Path) -> Classifier:
        """Read a classifier directory.

        Raises:
            ClassifierError: A file is missing, was altered, or does not fit the net that it names.
        """
        directory = Path(directory)
        config, data = read(directory)
        try:
            # Each number of ours takes two bytes or more: no net has more of them than its file.
            model = _build(config, most=len(data) // 2)
            model.set_weights(from_npz(data))
        except _NO_WEIGHTS as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise ClassifierError(
                f"{directory}: the weights do not fit the net {config.net!r} ({reason})"
            ) from error
        made = cls(model, config)
        made.name = str(directory)
        return made

    @classmethod
    def from_keras(
        cls,
        model: tf.keras.Model | Path,
        *,
        scale: Number = 1.0,
        offset: Number = 0.0,
        bgr: bool = False,
    ) -> Classifier:
        """Wrap a user's own Keras classifier.

        Load files only from people you trust: they can run code.

        Args:
            model: A Keras model, or a path to a `.keras` file. Its output may be logits or
                probabilities.
            scale: The model wants to be fed `x * scale + offset` for x in [0, 1]; one number, or
                one for each channel.
            offset: See `scale`.
            bgr: Whether it wants blue first.

        Raises:
            ClassifierError: Not a classifier of images, or not a file that can be loaded.
        """
        name = "the Keras model"
        if not isinstance(model, tf.keras.Model):
            name, model = str(model), load_keras(Path(model))
        shape: Any = getattr(model, "input_shape", None)
        output: Any = getattr(model, "output_shape", None)
        check_signature(name, shape, output)
        convention = Convention(scale, offset, bgr)
        if not convention.fits(shape[-1]):
            raise ClassifierError(
                f"expected an input convention for {shape[-1]} channels. Received: {convention}"
            )
        wrapped = with_logits(model, convention)
        arguments = dataclasses.asdict(convention)
        made = cls(wrapped, ClassifierConfig(KERAS, tuple(shape[1:]), output[-1], arguments))
        made.name = name
        return made

    @property
    def convention(self) -> Convention:
        """How images in [0, 1] are fed to the model that is wrapped; inside our own nets."""
        return UNIT if self.config.net in NETS else Convention.of(self.config.arguments)


def _build(config: ClassifierConfig, most: int = rebuilding.MOST_PARAMETERS) -> tf.keras.Model:
    """Return the config's net, its weights still to be set."""
    if config.architecture is None:
        return NETS[config.net](config.input_shape, config.classes, **config.arguments)
    model = rebuilding.build(config.architecture, most=most, fresh=False)
    check_signature("architecture", model.input_shape, model.output_shape)
    if (
        model.input_shape[1:] != tuple(config.input_shape)
        or model.output_shape[1] != config.classes
    ):
        raise ValueError(
            f"expected a net from {config.input_shape} to {config.classes} classes, got one from "
            f"{model.input_shape[1:]} to {model.output_shape[1]}"
        )
    return model
