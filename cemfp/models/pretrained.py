"""Classifiers with the weights that Keras publishes: ImageNet's VGG nets [Wang21, Table 1].

Of a weights file only arrays are read, nothing in it is run.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from cemfp.data import DataError
from cemfp.data.download import download
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS
from cemfp.models.nets.imagenet import turn_channels
from cemfp.models.roles import Origin, Role
from cemfp.storage.files import hash_file

INPUT_SHAPE, CLASSES = (224, 224, 3), 1000
ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications"
HDF5 = ".h5"


class PretrainedError(ValueError):
    """Published weights are missing, damaged or of another net; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Published:
    """Weights that Keras distributes.

    Attributes:
        net: Name in `NETS`.
        url: Where the file lies.
        md5: Its checksum, which Keras publishes.
    """

    net: str
    url: str
    md5: str

    @property
    def cached(self) -> Path:
        """Where Keras keeps it once it is downloaded."""
        return Path.home() / ".keras" / "models" / self.url.rpartition("/")[2]


PRETRAINED: dict[str, Published] = {
    "vgg16": Published(
        "imagenet-vgg16",
        f"{ADDRESS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "64373286793e3c8b2b4e3219cbf3544b",
    ),
    "vgg19": Published(
        "imagenet-vgg19",
        f"{ADDRESS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels.h5",
        "cbe5617147190e668d6c5d5026f83318",
    ),
}


def load_pretrained(
    name: str,
    *,
    weights: Path | None = None,
    role: str = Role.SOURCE,
    input_shape: tuple[int, int, int] = INPUT_SHAPE,
    classes: int = CLASSES,
) -> Classifier:
    """Return a classifier with published weights; its labels are in the order of Keras.

    Args:
        name: Key of `PRETRAINED`.
        weights: A file in the form in which Keras distributes them, dense layers included. None
            takes Keras' own, from where Keras keeps it or from the network.
        role: What the classifier may be used for; any but `source` makes it a reference.
        input_shape: Height, width and channels. Defaults to ImageNet's.
        classes: Number of classes. Defaults to ImageNet's.

    Raises:
        PretrainedError: No such net; a file that is missing, damaged or of another net; no network.
    """
    if name not in PRETRAINED or role not in set(Role):
        raise PretrainedError(
            f"expected a net among {', '.join(PRETRAINED)} and a role among {', '.join(Role)}. "
            f"Received: {name!r} and {role!r}; train others with `cemfp train`"
        )
    published = PRETRAINED[name]
    path = _published_file(published) if weights is None else _own_file(Path(weights), published)
    model = NETS[published.net](input_shape, classes)
    _read_weights(model, path, published)
    training = {
        "pretrained": name,
        "weights_file": path.name,
        "weights_file_sha256": hash_file(path),
        "seed": None,
        "test_accuracy": None,  # the data to measure it on may not be at hand
    }
    origin = Origin.SOURCE if role == Role.SOURCE else Origin.REFERENCE
    config = ClassifierConfig(
        published.net, input_shape, classes, role=role, origin=origin, training=training
    )
    return Classifier(model, config)


def _published_file(published: Published) -> Path:
    """Return Keras' own file, downloaded unless it is there and whole."""
    path = published.cached
    if path.is_file() and _md5(path) == published.md5:
        return path
    try:
        download(published.url, path, md5=published.md5, title=path.name)
    except DataError as error:
        raise PretrainedError(
            f"expected the weights {path.name} in {path.parent}, or a network to download them. "
            f"Received: {_first_line(error.__cause__ or error)} for {published.url}; connect to "
            f"the network once, copy the file there, or name one with --weights"
        ) from error
    return path


def _own_file(path: Path, published: Published) -> Path:
    """Return a user's file; Keras would take any other name for a TensorFlow checkpoint."""
    if path.suffix == HDF5 and path.is_file():
        return path
    reason = "something else" if path.exists() else "no such file"
    raise PretrainedError(
        f"{path}: expected a weights file ({HDF5}) as Keras distributes it. Received: {reason}; "
        f"leave --weights out, or name a copy of {published.url}"
    )


def _read_weights(model: tf.keras.Model, path: Path, published: Published) -> None:
    """Put a file's arrays into `model`."""
    try:
        model.load_weights(str(path))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise PretrainedError(
            f"{path}: expected the weights of {published.net}, dense layers included. Received: a "
            f"damaged file, or one of another net ({_first_line(error)}); "
            f"download {published.url} again"
        ) from error
    if not all(np.isfinite(array).all() for array in model.get_weights()):
        raise PretrainedError(
            f"{path}: expected finite weights. Received: NaN or infinity; "
            f"download {published.url} again"
        )
    turn_channels(model)


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
