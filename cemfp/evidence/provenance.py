"""What is known of the models behind a threshold: read from their directories, not loaded."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from cemfp.evidence.problem import EvidenceError
from cemfp.models import directory


def of_classifier(path: Path) -> dict[str, Any]:
    """Return what a classifier directory says of its origin, and the hash of its weights.

    Raises:
        EvidenceError: It is no classifier directory, or its weights cannot be read.
    """
    try:
        config, weights = directory.read(path)
        digest = _hash(weights)
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise EvidenceError(f"{path}: {error}") from error
    training = config.training
    return {
        "weights_sha256": digest,
        "net": config.net,
        "arguments": config.arguments,
        "origin": str(config.origin),
        "data": training.get("data"),
        "images": training.get("images"),
        "labels": training.get("labels"),
        "seed": training.get("seed"),
    }


def _hash(weights: bytes) -> str:
    """As `Classifier.weights_sha256`; arrays that were halved for the file get their size back."""
    digest = hashlib.sha256()
    with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
        for name in sorted(arrays.files):
            array = arrays[name]
            array = array.astype(np.float32) if array.dtype == np.float16 else array
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
