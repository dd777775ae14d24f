"""Files of inputs that are no images, and files from before there were any."""

import numpy as np
import pytest

from cemfp.fingerprint import archive
from cemfp.fingerprint.artifact import SCHEMA_VERSION, Fingerprint, FingerprintError

# Of mean 0, beyond [0, 1] on both sides, off the 8-bit grid.
SIGNED = np.array([-1.25, 0.3, 1e-7, 0.95], np.float32).reshape(1, 2, 2, 1).repeat(3, axis=0)
GREY = np.arange(12, dtype=np.float32).reshape(3, 2, 2, 1) / np.float32(255)


def fingerprint(**changes):
    fields = {
        "inputs": SIGNED,
        "keys": np.array([0, 1, 2]),
        "classes": 3,
        "method": "ltrc",
        "parameters": {"k": 2, "seed": 0},
        "source_sha256": "ab" * 32,
        "data": {"name": "none"},
        "eight_bit": False,
        "domain": "signed",
    }
    return Fingerprint(**{**fields, **changes})


def image(**changes):
    return fingerprint(**{"inputs": GREY, "eight_bit": True, "domain": "image", **changes})


def file(of, without=(), **changes):
    """A well-formed file whose manifest says something else."""
    manifest, arrays = archive.unpack(of.to_bytes())
    manifest = {key: value for key, value in {**manifest, **changes}.items() if key not in without}
    return archive.pack(manifest, arrays)


def first_version(of, **changes):
    """The file as it was written before there were domains."""
    return file(of, without=("domain",), schema_version=1, **changes)


# Signed inputs


def test_a_signed_fingerprint_comes_back_to_the_bit(tmp_path):
    original = fingerprint()
    original.save(tmp_path / "a.cemfp")
    loaded = Fingerprint.load(tmp_path / "a.cemfp")
    assert loaded.domain == "signed" and loaded.eight_bit is False
    assert loaded.inputs.dtype == np.float32 and loaded.inputs.tobytes() == SIGNED.tobytes()
    assert loaded.to_bytes() == original.to_bytes()


def test_signed_inputs_that_happen_to_be_an_images_come_back_signed():
    # They are stored as bytes, which only the grid decides.
    loaded = Fingerprint.from_bytes(fingerprint(inputs=GREY).to_bytes())
    assert loaded.domain == "signed" and not loaded.eight_bit
    np.testing.assert_array_equal(loaded.inputs, GREY)


@pytest.mark.parametrize("extreme", [-1000.0, -1 / 255, 256 / 255, 300.0])
def test_values_that_bytes_cannot_hold_are_stored_exactly(extreme):
    inputs = GREY.copy()
    inputs[0, 0, 0, 0] = extreme
    loaded = Fingerprint.from_bytes(fingerprint(inputs=inputs).to_bytes())
    assert loaded.inputs.tobytes() == inputs.tobytes()


# The first version


def test_a_file_of_the_first_version_holds_images():
    old = Fingerprint.from_bytes(first_version(image()))
    assert old.domain == "image" and old.schema_version == SCHEMA_VERSION == 3
    np.testing.assert_array_equal(old.inputs, GREY)
    # Saved again it is a file of today.
    assert old.to_bytes() == image().to_bytes()


def test_the_first_version_knows_no_signed_inputs():
    with pytest.raises(FingerprintError, match=r"inputs in \[0, 1\]"):
        Fingerprint.from_bytes(first_version(fingerprint()))


@pytest.mark.parametrize("version", [0, 4, "1", None])
def test_other_versions_are_refused(version):
    with pytest.raises(FingerprintError, match=r"expected schema version 3\. Received") as caught:
        Fingerprint.from_bytes(file(image(), schema_version=version))
    assert "\n" not in str(caught.value)


def test_a_file_of_today_must_name_its_domain():
    with pytest.raises(FingerprintError, match=r"manifest's fields. Received: \['domain'\]"):
        Fingerprint.from_bytes(file(image(), without=("domain",)))


def test_one_that_claims_to_be_of_the_first_version_gets_no_domain_of_its_own():
    loaded_or_refused = file(fingerprint(), schema_version=1)
    with pytest.raises(FingerprintError):
        Fingerprint.from_bytes(loaded_or_refused)


# What is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eight_bit": True}, "no 8-bit inputs in the domain signed"),
        ({"domain": "frequency"}, "domain image or signed. Received: 'frequency'"),
        ({"domain": None}, "domain image or signed"),
        ({"domain": ["signed"]}, "domain image or signed"),
        ({"domain": "image"}, r"inputs in \[0, 1\]"),
        ({"originals": SIGNED}, r"originals in \[0, 1\]"),
    ],
)
def test_wrong_domains_are_refused_in_one_line(changes, message):
    with pytest.raises(FingerprintError, match=message) as caught:
        fingerprint(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_signed_inputs_must_be_finite(value):
    inputs = SIGNED.copy()
    inputs[1, 1, 1, 0] = value
    with pytest.raises(FingerprintError, match=r"inputs all finite\. Received") as caught:
        fingerprint(inputs=inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nor_does_a_file_smuggle_them_in(value):
    manifest, arrays = archive.unpack(fingerprint().to_bytes())
    inputs = SIGNED.copy()
    inputs[2, 0, 1, 0] = value
    with pytest.raises(FingerprintError, match="inputs all finite") as caught:
        Fingerprint.from_bytes(archive.pack(manifest, {**arrays, "inputs": inputs}))
    assert "\n" not in str(caught.value)
