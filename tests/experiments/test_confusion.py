"""True classes against keys."""

import numpy as np
import pytest

from cemfp.fingerprint.artifact import Fingerprint
from experiments.plots.confusion import confusion, confusion_matrix


def fingerprint(**changes):
    inputs = np.zeros((3, 2, 2, 1), np.float32)
    labels = {"originals": inputs, "true_labels": [0, 0, 2]} | changes
    return Fingerprint(
        inputs=inputs, keys=[1, 1, 0], classes=3, method="cem", parameters={},
        source_sha256="0" * 64, data={"name": "digits"}, epsilon=0.6, **labels,
    )  # fmt: skip


def test_rows_are_true_classes_and_columns_keys(tmp_path):
    assert confusion_matrix(fingerprint()).tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]
    (path,) = confusion(fingerprint(), ("a", "b", "c"), tmp_path / "x.png", caption="n = 3")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_needs_true_labels():
    with pytest.raises(ValueError, match="true labels"):
        confusion_matrix(fingerprint(originals=None, true_labels=None))
