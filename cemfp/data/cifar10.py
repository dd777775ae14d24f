"""CIFAR-10 through TensorFlow Datasets."""

from __future__ import annotations

import urllib.request

import numpy as np

from cemfp.data.dataset import DataError, Dataset, Split, make_dataset

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


def load_cifar10() -> Dataset:
    """Return CIFAR-10's 50,000 training and 10,000 test images, uint8.

    Read from the TFDS data directory (`TFDS_DATA_DIR`, else `~/tensorflow_datasets`), downloaded
    on first use.

    Raises:
        DataError: The images are neither on disk nor can they be downloaded.
    """
    import tensorflow_datasets as tfds

    try:
        if not tfds.builder("cifar10").is_prepared():
            _require_network()
        parts = tfds.load("cifar10", split=["train", "test"], batch_size=-1)
    except Exception as error:  # TFDS raises whatever its download client raised
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"CIFAR-10 is not in the TFDS data directory and could not be downloaded ({reason}). "
            "Connect to the network once, "
            "or set TFDS_DATA_DIR to a directory that holds cifar10/3.0.2."
        ) from error
    # No shuffling: rows come in the order in which they lie on disk, the same everywhere.
    train, test = (
        Split(np.asarray(part["image"]), np.asarray(part["label"], np.int64)) for part in parts
    )
    return make_dataset("cifar10", train, test, CLASSES, note=_encoding_note())


def _require_network() -> None:
    """Ask for the download's first byte: without a network TFDS would retry for minutes."""
    request = urllib.request.Request(ORIGIN, method="HEAD")
    urllib.request.urlopen(request, timeout=15).close()


def _encoding_note() -> str:
    """Say so when the copy is lossy: accuracies then lie a little below the literature's."""
    import tensorflow_datasets as tfds

    undecoded = {"image": tfds.decode.SkipDecoding()}
    first = next(iter(tfds.load("cifar10", split="test[:1]", decoders=undecoded)))
    lossy = bytes(first["image"].numpy()[:2]) == b"\xff\xd8"
    return "JPEG-compressed copy" if lossy else ""
