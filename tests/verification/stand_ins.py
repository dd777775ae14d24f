"""Fingerprints and models whose scores are chosen, for tests of what follows from the scores."""

import numpy as np

from cemfp.fingerprint.artifact import Fingerprint


def make_fingerprint(count=10, classes=3):
    """`count` distinct images whose key is 0, 1, 2, 0, ..."""
    levels = np.arange(count, dtype=np.float32)[:, None, None, None]
    return Fingerprint(
        inputs=np.tile(levels / np.float32(255), (1, 2, 2, 1)),
        keys=np.arange(count) % classes,
        classes=classes,
        method="by hand",
        parameters={},
        source_sha256="ab" * 32,
        data={"name": "none"},
    )


class Model:
    """Answers the first `right` inputs with the key of `make_fingerprint`, the rest wrongly."""

    input_shape = (2, 2, 1)
    classes = 3

    def __init__(self, right, origin="surrogate", role="calibration", name=None):
        self.right, self.origin, self.role = right, origin, role
        self.weights_sha256 = name or f"{origin}-{right}"

    def __call__(self, images):
        position = np.rint(images[:, 0, 0, 0] * 255).astype(int)
        return np.where(position < self.right, position % 3, (position + 1) % 3)
