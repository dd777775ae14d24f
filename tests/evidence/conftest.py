"""A key, an authority and a fingerprint for tests of evidence."""

import dataclasses

import numpy as np
import pytest

from cemfp.evidence import signing
from cemfp.fingerprint.artifact import Calibration
from tests.evidence import cases
from tests.evidence.authority import Authority
from tests.verification.stand_ins import make_fingerprint


@pytest.fixture(scope="session")
def authority():
    """One that stamps; it makes two RSA keys, which takes a moment."""
    return Authority()


@pytest.fixture(scope="session")
def pem():
    """A key's file, its passphrase `secret`, and the file of its public part."""
    return signing.new_key("secret")


@pytest.fixture
def fingerprint():
    """What `make` makes."""
    return make()


def make():
    """Ten inputs with originals, truth, scores and controls, calibrated."""
    plain = make_fingerprint(count=10)
    shifted = np.roll(plain.inputs, 1, axis=0)
    # More than 20, or nobody can be said not to understand; other images than the inputs.
    levels = np.arange(30, 60, dtype=np.float32)[:, None, None, None] / np.float32(255)
    return dataclasses.replace(
        plain,
        originals=shifted,
        true_labels=(plain.keys + 1) % 3,
        conferrability=np.linspace(0, 1, 10),
        controls=np.tile(levels, (1, 2, 2, 1)),
        control_labels=np.arange(30) % 3,
        calibration=Calibration((0.9, 0.8), (0.1,), 0.45, "midpoint", ("a", "b"), ("c",), 10),
        surrogate_hits=np.array([[1] * 9 + [0], [0, 0] + [1] * 8], np.uint8),
        reference_hits=np.array([[0] * 9 + [1]], np.uint8),
    )


@pytest.fixture(scope="session")
def whole(authority, pem, tmp_path_factory):
    """A bundle with everything in it."""
    path = tmp_path_factory.mktemp("whole") / "log"
    fingerprint = make()
    opening = cases.committed(fingerprint, pem, authority)
    return cases.ask(fingerprint, cases.copy, path, opening=opening, roots=authority.root)
