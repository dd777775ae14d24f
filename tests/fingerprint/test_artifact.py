"""The fingerprint file: exact round trips, damage found, hostile files refused."""

import dataclasses
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from cemfp.fingerprint import archive
from cemfp.fingerprint.artifact import Calibration, Fingerprint, FingerprintError

SOURCE = "ab" * 32
CALIBRATION = Calibration((0.9, 1.0), (0.1,), 0.5, "midpoint", ("s1", "s2"), ("r1",), 3)


# Two of three is no share that 0.9 could be: these scores are those of the hits below.
COUNTED = Calibration((2 / 3, 1.0), (1 / 3,), 0.5, "midpoint", ("s1", "s2"), ("r1",), 3)
HITS = {
    "surrogate_hits": np.array([[1, 1, 0], [1, 1, 1]], np.uint8),
    "reference_hits": np.array([[0, 1, 0]], np.uint8),
}


def fingerprint(**changes):
    levels = np.arange(12, dtype=np.float32).reshape(3, 2, 2, 1)
    fields = {
        "inputs": (levels + 200) / np.float32(255),
        "originals": levels / np.float32(16),
        "keys": np.array([0, 1, 2]),
        "true_labels": np.array([1, 2, 0]),
        "conferrability": np.array([0.95, 1.0, 1.0]),
        "classes": 3,
        "method": "cem",
        "parameters": {"steps": 300, "range": (0, 1)},
        "source_sha256": SOURCE,
        "data": {"name": "digits", "stand_in": True},
        "epsilon": 0.025,
        "controls": levels[:2] / np.float32(255),
        "control_labels": np.array([2, 1]),
        "control_truth": np.array([2, 0]),
        "source_input": {"scale": 2.0, "offset": [-1.0], "bgr": False},
        "shortfall": {2: 4},
        "calibration": CALIBRATION,
    }
    return Fingerprint(**{**fields, **changes})


def same(first, second):
    for field in dataclasses.fields(Fingerprint):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
            if one is None or other is None or one.dtype != other.dtype:
                return False
            if not np.array_equal(one, other):
                return False
        elif one != other:
            return False
    return True


def manifest_and_members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    return json.loads(members["manifest.json"]), members


def forge(change_manifest=None, **replaced):
    """A file with consistent hashes whose manifest or members somebody has rewritten."""
    manifest, members = manifest_and_members(fingerprint().to_bytes())
    for name, content in replaced.items():
        members[f"{name}.npy"] = content
        manifest["members"][f"{name}.npy"]["sha256"] = hashlib.sha256(content).hexdigest()
    if change_manifest:
        change_manifest(manifest)
    members["manifest.json"] = json.dumps(manifest).encode()
    members["manifest.sha256"] = hashlib.sha256(members["manifest.json"]).hexdigest().encode()
    return zipped(members)


def zipped(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"originals": None, "true_labels": None, "conferrability": None, "calibration": None},
        {"inputs": np.full((3, 2, 2, 1), 1 / 3), "eight_bit": False, "epsilon": None},
        {"shortfall": {}, "keys": np.array([2, 2, 2], dtype=np.uint8)},
    ],
)
def test_round_trip(tmp_path, changes):
    original = fingerprint(**changes)
    original.save(tmp_path / "a.cemfp")
    assert same(Fingerprint.load(tmp_path / "a.cemfp"), original)


def test_equal_content_gives_equal_bytes():
    assert fingerprint().to_bytes() == fingerprint().to_bytes()
    loaded = Fingerprint.from_bytes(fingerprint().to_bytes())
    assert loaded.to_bytes() == fingerprint().to_bytes()


def test_eight_bit_images_are_stored_as_bytes_and_others_exactly():
    _, members = manifest_and_members(fingerprint().to_bytes())
    stored = np.load(io.BytesIO(members["inputs.npy"]), allow_pickle=False)
    np.testing.assert_array_equal(stored.ravel(), np.arange(200, 212, dtype=np.uint8))
    originals = np.load(io.BytesIO(members["originals.npy"]), allow_pickle=False)
    assert originals.dtype == np.float32


def test_manifest_is_for_people():
    manifest, members = manifest_and_members(fingerprint().to_bytes())
    assert manifest["method"] == "cem" and manifest["calibration"]["threshold"] == 0.5
    assert members["manifest.json"].count(b"\n") > 20
    digest = hashlib.sha256(members["manifest.json"]).hexdigest()
    assert members["manifest.sha256"].decode() == digest


def test_arrays_are_copies_and_read_only():
    keys = np.array([0, 1, 2])
    made = fingerprint(keys=keys)
    keys[0] = 2
    assert made.keys[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        made.inputs[0] = 0


def test_eight_bit_rounding_error_is_removed():
    nearly = (np.arange(12).reshape(3, 2, 2, 1) * np.float32(1 / 255)).astype(np.float32)
    exact = np.arange(12, dtype=np.float32).reshape(3, 2, 2, 1) / np.float32(255)
    np.testing.assert_array_equal(fingerprint(inputs=nearly).inputs, exact)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": np.zeros((3, 2, 2))}, "shape"),
        ({"inputs": np.zeros((0, 2, 2, 1))}, "shape"),
        ({"inputs": np.full((3, 2, 2, 1), 1.01)}, "in \\[0, 1\\]"),
        ({"inputs": np.full((3, 2, 2, 1), np.nan)}, "in \\[0, 1\\]"),
        ({"inputs": np.full((3, 2, 2, 1), 0.5)}, "k/255"),
        ({"originals": np.zeros((3, 2, 2, 3))}, "originals"),
        ({"keys": np.array([0, 1])}, "keys"),
        ({"keys": np.array([0, 1, 3])}, "keys within 3 classes"),
        ({"keys": np.array([0, 1, -1])}, "keys within 3 classes"),
        ({"keys": np.array([0.0, 1.0, 2.0])}, "keys"),
        ({"true_labels": np.array([0, 1, 7])}, "true_labels"),
        ({"conferrability": np.array([0, 1, 1.5])}, "conferrability"),
        ({"conferrability": np.array([0, 1, np.nan])}, "conferrability"),
        ({"classes": 0}, "classes"),
        ({"classes": True}, "classes"),
        ({"method": ""}, "method"),
        ({"parameters": {"seed": np.int64(3)}}, "parameters"),
        ({"parameters": {"x": float("nan")}}, "parameters"),
        ({"data": None}, "data"),
        ({"source_sha256": "abc"}, "source_sha256"),
        ({"epsilon": -0.1}, "epsilon"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"shortfall": {3: 1}}, "shortfall"),
        ({"shortfall": {0: 0}}, "shortfall"),
        ({"schema_version": 4}, "schema version"),
        ({"classes": 1}, "2 to 100000 classes"),
        ({"method": "cem\x1b[31m"}, "method's name of up to 64 plain characters"),
        ({"source_input": {"scale": "x"}}, "source_input with scale"),
        ({"control_labels": None}, "controls together with control_labels"),
        ({"calibration": dataclasses.replace(CALIBRATION, queries=4)}, "3 queries"),
    ],
)
def test_wrong_fields_are_refused_in_one_line(changes, message):
    with pytest.raises(FingerprintError, match=message) as caught:
        fingerprint(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"surrogate_scores": ()},
        {"reference_scores": (1.1,)},
        {"reference_scores": (float("nan"),)},
        {"surrogate_sha256": ("s1",)},
        {"threshold": 1.0},
        {"threshold": float("nan")},
        {"queries": 0},
        {"rule": None},
    ],
)
def test_wrong_calibrations_are_refused(changes):
    with pytest.raises(FingerprintError, match="expected"):
        dataclasses.replace(CALIBRATION, **changes)


def outcome(content, original):
    """What a reader gets: "error", "same", or "different"; anything else raises."""
    try:
        loaded = Fingerprint.from_bytes(content)
    except FingerprintError as error:
        assert "\n" not in str(error)
        return "error"
    return "same" if same(loaded, original) else "different"


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_no_flipped_byte_changes_the_content_unnoticed(mask):
    original = fingerprint()
    content = original.to_bytes()
    results = []
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= mask
        results.append(outcome(bytes(damaged), original))
    assert "different" not in results
    # What goes unnoticed are ZIP dates and attributes, which carry no content.
    assert results.count("error") > 0.9 * len(results)


def test_every_truncation_is_an_error():
    content = fingerprint().to_bytes()
    for length in range(len(content)):
        with pytest.raises(FingerprintError):
            Fingerprint.from_bytes(content[:length])


def test_an_error_names_the_file(tmp_path):
    path = tmp_path / "broken.cemfp"
    path.write_bytes(fingerprint().to_bytes()[:500])
    with pytest.raises(FingerprintError, match=r"broken\.cemfp: the file is damaged") as caught:
        Fingerprint.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(FingerprintError, match=r"missing\.cemfp: cannot be read"):
        Fingerprint.load(tmp_path / "missing.cemfp")
    with pytest.raises(FingerprintError, match="cannot be read"):
        Fingerprint.load(tmp_path)


def edit(**changes):
    return lambda manifest: manifest.update(changes)


def without(name):
    return lambda manifest: manifest.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(format="other"), "format"),
        (edit(schema_version=4), "schema version 3"),
        (edit(classes=10**9, shortfall={}), "2 to 100000 classes"),
        (edit(extra=1), "manifest's fields"),
        (without("method"), "manifest's fields"),
        (without("members"), "list exactly"),
        (edit(members=[]), "list exactly"),
        (edit(members={}), "list exactly"),
        (edit(classes="3"), "classes"),
        (edit(classes=10**30), "classes"),
        (edit(classes=2, shortfall={}), "keys within 2"),
        (edit(epsilon=10**400), "epsilon"),
        (edit(epsilon=[]), "epsilon"),
        (edit(method=3), "method"),
        (edit(source_sha256=None), "source_sha256"),
        (edit(eight_bit="yes"), "eight_bit"),
        (edit(shortfall=[1]), "shortfall"),
        (edit(shortfall={"x": 1}), "class number"),
        (edit(parameters=[]), "parameters"),
        (edit(calibration={}), "calibration fields"),
        (edit(calibration=5), "calibration fields"),
    ],
)
def test_forged_manifests_are_refused(change, message):
    with pytest.raises(FingerprintError, match=message) as caught:
        Fingerprint.from_bytes(forge(change))
    assert "\n" not in str(caught.value)


def test_hits_of_calibration_models_survive_the_file():
    made = fingerprint(calibration=COUNTED, **HITS)
    again = Fingerprint.from_bytes(made.to_bytes())
    assert same(made, again) and again.surrogate_hits.dtype == np.uint8
    assert not again.reference_hits.flags.writeable
    # Without them a file has the bytes that it had before there were any.
    assert b"hits" not in fingerprint().to_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference_hits": None}, "surrogate_hits together with reference_hits"),
        ({"calibration": None}, "hits together with a calibration"),
        ({"calibration": CALIBRATION}, "shares are the calibration's scores"),
        ({"reference_hits": np.zeros((1, 3), np.uint8)}, "reference_hits whose shares"),
        ({"reference_hits": np.zeros((2, 3), np.uint8)}, "1 models times 3 inputs"),
        ({"reference_hits": np.zeros((1, 4), np.uint8)}, "1 models times 3 inputs"),
        ({"reference_hits": np.array([[0, 1, 0]], np.float32)}, "0 or 1"),
        ({"surrogate_hits": np.array([[2, 0, 0], [1, 1, 1]], np.uint8)}, "of 0 and 1"),
        ({"surrogate_hits": np.zeros(3, np.uint8)}, "2 models times 3 inputs"),
        ({"surrogate_hits": np.zeros(10_000_001, np.uint8)}, "at most 10000000 answers"),
    ],
)
def test_hits_that_cannot_be_are_refused(changes, message):
    with pytest.raises(FingerprintError, match=message) as caught:
        fingerprint(**{"calibration": COUNTED, **HITS, **changes})
    assert "\n" not in str(caught.value)


def test_a_manifest_edited_by_hand_is_noticed():
    _, members = manifest_and_members(fingerprint().to_bytes())
    edited = members["manifest.json"].replace(b'"threshold": 0.5', b'"threshold": 0.9')
    assert edited != members["manifest.json"]
    with pytest.raises(FingerprintError, match="manifest does not match its hash"):
        Fingerprint.from_bytes(zipped({**members, "manifest.json": edited}))


def test_claimed_sizes_are_compared_with_the_file():
    content = bytearray(fingerprint().to_bytes())
    entry = content.index(b"PK\x01\x02")
    # Compressed and full size of the first entry in the ZIP's directory.
    content[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2
    with pytest.raises(FingerprintError, match="claim more bytes"):
        Fingerprint.from_bytes(bytes(content))


def huge_header():
    # A valid header that claims 8 TB, followed by the data of three numbers.
    content = npy(np.zeros(3, np.int64))
    return content.replace(b"(3,), }".ljust(19), b"(999999999999,), }".ljust(19))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("keys", npy(np.array([0, 1, 2], object), allow_pickle=True), "numbers"),
        ("keys", huge_header(), "does not fit"),
        ("keys", npy(np.array(["a", "b", "c"])), "numbers"),
        ("keys", npy(np.array([0, 1, 2], np.int32)), "differ from the manifest"),
        ("keys", npy(np.array([[0], [1], [2]])), "differ from the manifest"),
        ("keys", npy(np.zeros((0,), np.int64)), "at least one"),
        ("keys", b"", "not a NumPy array"),
        ("keys", b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16, "not a NumPy array"),
        ("keys", npy(np.array([0, 1, 2])) + b"more", "does not fit"),
        ("inputs", npy(np.asfortranarray(np.ones((3, 2, 2, 1), np.uint8))), "row-major"),
    ],
)
def test_forged_arrays_are_refused(name, content, message):
    with pytest.raises(FingerprintError, match=message):
        Fingerprint.from_bytes(forge(**{name: content}))


def test_compressed_members_are_refused_unread():
    _, members = manifest_and_members(fingerprint().to_bytes())
    bomb = zipped({**members, "inputs.npy": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(FingerprintError, match="not compressed"):
        Fingerprint.from_bytes(bomb)


def test_size_limits(monkeypatch):
    content = fingerprint().to_bytes()
    monkeypatch.setattr(archive, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(FingerprintError, match="manifest of at most 100 bytes"):
        Fingerprint.from_bytes(content)
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1000)
    with pytest.raises(FingerprintError, match="at most 1000 bytes"):
        Fingerprint.from_bytes(content)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_odd_members_are_refused():
    _, members = manifest_and_members(fingerprint().to_bytes())
    buffer = io.BytesIO(zipped(members))
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr("keys.npy", npy(np.array([2, 2, 2])))
    with pytest.raises(FingerprintError, match="each once"):
        Fingerprint.from_bytes(buffer.getvalue())
    with pytest.raises(FingerprintError, match="list exactly"):
        Fingerprint.from_bytes(zipped({**members, "../evil": b"x"}))
    with pytest.raises(FingerprintError, match="no manifest"):
        Fingerprint.from_bytes(zipped({"a": b"x"}))
    with pytest.raises(FingerprintError, match="not a fingerprint"):
        Fingerprint.from_bytes(b"hello")


@pytest.mark.parametrize("text", [b"[" * 100_000, b"[]", b"\xff", b'{"a": NaN}'])
def test_odd_json_is_refused(text):
    members = {
        "manifest.json": text,
        "manifest.sha256": hashlib.sha256(text).hexdigest().encode(),
    }
    with pytest.raises(FingerprintError, match="JSON"):
        Fingerprint.from_bytes(zipped(members))
