"""What was committed to can be shown leaf by leaf, and nothing else can."""

import dataclasses
import json

import numpy as np
import pytest

from cemfp.evidence import merkle, signing
from cemfp.evidence.commitment import PUBLIC, RESERVE, Commitment, Salts, commit
from cemfp.evidence.leaves import leaves_of
from cemfp.evidence.opening import Opening, open_leaves
from cemfp.evidence.problem import EvidenceError
from cemfp.evidence.reserve import split
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.rule import RuleRecord
from cemfp.storage.files import canonical_json
from cemfp.suspects.remembered import digest

SEED = "07" * 32


def test_leaves_name_images_as_the_query_log_does(fingerprint):
    leaf = json.loads(leaves_of(fingerprint)[3 + 4])
    assert (leaf["input"], leaf["key"]) == (4, 4 % 3)
    assert leaf["image"] == digest(fingerprint.inputs[4])
    assert leaf["originals"] == digest(fingerprint.originals[4])


def test_each_field_is_in_a_leaf(fingerprint):
    changed = {
        "inputs": np.roll(fingerprint.inputs, 2, axis=0),
        "keys": (fingerprint.keys + 1) % 3,
        "classes": 4,
        "method": "another",
        "parameters": {"a": 1},
        "source_sha256": "cd" * 32,
        "data": {"name": "else"},
        "epsilon": 0.5,
        "eight_bit": False,
        "originals": fingerprint.inputs,
        "true_labels": fingerprint.keys,
        "conferrability": np.zeros(10),
        "controls": fingerprint.controls[::-1],
        "control_labels": np.ones(30, int),
        "control_truth": np.ones(30, int),
        "source_input": {"scale": 255.0, "offset": 0.0, "bgr": False},
        "shortfall": {1: 2},
        "calibration": dataclasses.replace(fingerprint.calibration, threshold=0.5),
        "class_names": ("a", "b", "c"),
        "surrogate_hits": fingerprint.surrogate_hits[::-1],
        "reference_hits": np.roll(fingerprint.reference_hits, 1),
        "rule": RuleRecord("statement", "0" * 64, 0, 10, tuple(range(10))),
    }
    before = leaves_of(fingerprint)
    names = {field.name for field in dataclasses.fields(Fingerprint)}
    # Fixed by others: no other version, and no other domain with 8-bit inputs.
    assert names - changed.keys() == {"schema_version", "domain"}
    for name, value in changed.items():
        one = {name: value}
        if name == "surrogate_hits":  # scores have to be those of the hits
            scores = fingerprint.calibration.surrogate_scores[::-1]
            one["calibration"] = dataclasses.replace(
                fingerprint.calibration, surrogate_scores=scores
            )
        assert leaves_of(dataclasses.replace(fingerprint, **one)) != before, name


def test_a_saved_fingerprint_has_the_same_leaves(fingerprint):
    assert leaves_of(Fingerprint.from_bytes(fingerprint.to_bytes())) == leaves_of(fingerprint)


def test_a_later_calibration_is_no_other_statement(fingerprint):
    before = dataclasses.replace(
        fingerprint, calibration=None, surrogate_hits=None, reference_hits=None
    )
    same = [x == y for x, y in zip(leaves_of(before), leaves_of(fingerprint), strict=True)]
    assert same == [True, False, *[True] * 11]


def test_what_is_empty_is_in_no_leaf(fingerprint):
    """A field that a later version adds must not change what an older one committed to."""
    statement = json.loads(leaves_of(fingerprint)[0])["statement"]
    assert statement == {
        "classes": 3,
        "data": {"name": "none"},
        "inputs": 10,
        "method": "by hand",
        "parameters": {},
        "source_sha256": "ab" * 32,
    }


def test_the_root_is_that_of_salted_leaves(fingerprint):
    commitment, salts = commit({PUBLIC: fingerprint}, SEED)
    leaves = [
        merkle.leaf_hash(bytes.fromhex(salts.salt(place)) + text.encode())
        for place, text in enumerate(leaves_of(fingerprint))
    ]
    assert commitment.root == merkle.root(leaves).hex()
    assert commitment.leaves == len(leaves) == 13
    assert len({salts.salt(place) for place in range(13)}) == 13
    assert commit({PUBLIC: fingerprint})[0].root != commitment.root  # another seed


def test_the_commitment_discloses_nothing_of_the_inputs(fingerprint):
    text = commit({PUBLIC: fingerprint})[0].to_bytes().decode()
    assert not [
        leaf for leaf in leaves_of(fingerprint) if json.loads(leaf).get("image", "?") in text
    ]


def test_all_of_it_can_be_shown(fingerprint):
    commitment, salts = commit({PUBLIC: fingerprint})
    opening = Opening.from_bytes(open_leaves(commitment, salts, fingerprint).to_bytes())
    opening.check()
    assert opening.compare(fingerprint) == []
    other = dataclasses.replace(fingerprint, keys=np.where(np.arange(10) == 3, 1, fingerprint.keys))
    assert opening.compare(other) == ["input 3"]
    raised = dataclasses.replace(fingerprint.calibration, threshold=0.2)
    other = dataclasses.replace(fingerprint, calibration=raised)
    assert opening.compare(other) == ["the calibration"]
    with pytest.raises(EvidenceError, match="the calibration was not committed to"):
        open_leaves(commitment, salts, other)


def test_single_inputs_of_any_part_can_be_shown(fingerprint):
    plain = dataclasses.replace(
        fingerprint, calibration=None, surrogate_hits=None, reference_hits=None
    )
    public, reserve = split(plain, 3, seed=1)
    assert (len(public), len(reserve)) == (7, 3)
    both = {image.tobytes() for part in (public, reserve) for image in part.inputs}
    assert both == {image.tobytes() for image in fingerprint.inputs}
    commitment, salts = commit({RESERVE: reserve, PUBLIC: public})
    assert commitment.parts == {PUBLIC: 7, RESERVE: 3}
    opening = open_leaves(commitment, salts, reserve, part=RESERVE, inputs=[2])
    opening.check()
    (leaf,) = opening.leaves
    assert leaf.text == leaves_of(reserve)[5] and opening.name(leaf) == "input 2"
    with pytest.raises(EvidenceError, match=r"inputs from 0 to 2. Received: \[3\]"):
        open_leaves(commitment, salts, reserve, part=RESERVE, inputs=[3])
    with pytest.raises(EvidenceError, match="fingerprint of 3 inputs"):
        open_leaves(commitment, salts, public, part=RESERVE)


def test_a_part_is_calibrated_by_the_answers_on_its_inputs(fingerprint):
    parts = split(fingerprint, 4, seed=1)
    for part in parts:
        record, hits = part.calibration, part.surrogate_hits
        assert record.surrogate_scores == tuple(hits.mean(axis=1)) and record.queries == len(part)
        images = {image.tobytes(): place for place, image in enumerate(fingerprint.inputs)}
        chosen = [images[image.tobytes()] for image in part.inputs]
        np.testing.assert_array_equal(hits, fingerprint.surrogate_hits[:, chosen])
    assert len(parts[0]) + len(parts[1]) == len(fingerprint)


def test_scores_of_all_inputs_are_not_those_of_a_part(fingerprint):
    old = dataclasses.replace(fingerprint, surrogate_hits=None, reference_hits=None)
    with pytest.raises(EvidenceError, match=r"calibrate again \(cemfp calibrate\)"):
        split(old, 3, seed=0)
    with pytest.raises(EvidenceError, match="reserve of 1 to 9 inputs"):
        split(fingerprint, 10, seed=0)


@pytest.mark.parametrize("field", ["index", "salt", "text", "path"])
def test_a_changed_leaf_is_found(fingerprint, field):
    commitment, salts = commit({PUBLIC: fingerprint})
    opening = open_leaves(commitment, salts, fingerprint, inputs=[4])
    (leaf,) = opening.leaves
    changed = {
        "index": 8,
        "salt": "00" * 32,
        "text": leaf.text.replace('"key":1', '"key":2'),
        "path": (leaf.path[1], leaf.path[0], *leaf.path[2:]),
    }[field]
    assert changed != getattr(leaf, field)
    wrong = dataclasses.replace(opening, leaves=(dataclasses.replace(leaf, **{field: changed}),))
    with pytest.raises(EvidenceError, match="was not committed to"):
        wrong.check()


def test_files_come_back_as_they_were(fingerprint, pem):
    commitment, salts = commit({PUBLIC: fingerprint})
    key = signing.read_key(pem[0], "secret")
    signed = dataclasses.replace(commitment, signature=signing.sign(key, commitment.body))
    assert Commitment.from_bytes(signed.to_bytes()) == signed
    assert Salts.from_bytes(salts.to_bytes()) == salts


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "cemfp commitment 2"),
        ("root", "00"),
        ("root", "ZZ" * 32),
        ("parts", {"reserve": 3}),
        ("parts", {"public": 0}),
        ("parts", {"public": True}),
        ("parts", {"public": 10, "other": 1}),
        ("made", "yesterday"),
        ("made", "2026-01-01T00:00:00"),
        ("version", "\x1b[31m"),
        ("signature", {}),
        ("signature", {"public_key": "00", "value": "00"}),
        ("timestamp", {"authority": "x", "answer": "?"}),
        ("more", 1),
    ],
)
def test_other_files_are_refused(fingerprint, field, value):
    said = commit({PUBLIC: fingerprint})[0].to_dict()
    with pytest.raises(EvidenceError, match="expected"):
        Commitment.from_dict({**said, field: value})


def test_a_key_that_is_there_twice_is_refused(fingerprint):
    text = commit({PUBLIC: fingerprint})[0].to_bytes()
    with pytest.raises(EvidenceError, match="a key twice"):
        Commitment.from_bytes(text.replace(b"{", b'{"made": "2020-01-01T00:00:00+00:00",', 1))


def test_a_signature_holds_for_this_commitment_alone(fingerprint, pem):
    commitment, _ = commit({PUBLIC: fingerprint})
    signature = signing.sign(signing.read_key(pem[0], "secret"), commitment.body)
    signature.check(commitment.body)
    assert signature.public_key == signing.read_public_key(pem[1])
    for change in ({"root": "00" * 32}, {"parts": {PUBLIC: 9}}, {"version": "9"}):
        with pytest.raises(EvidenceError, match="not the one of key"):
            signature.check(dataclasses.replace(commitment, **change).body)
    other = dataclasses.replace(signature, public_key="00" * 32)
    with pytest.raises(EvidenceError, match="not the one of key"):
        other.check(commitment.body)


def test_a_key_opens_with_its_passphrase_only(pem):
    assert b"ENCRYPTED" in pem[0] and b"secret" not in pem[0]
    for passphrase in ("other", ""):
        with pytest.raises(EvidenceError, match="another passphrase"):
            signing.read_key(pem[0], passphrase)
    with pytest.raises(EvidenceError, match="another file"):
        signing.read_key(pem[1], "secret")
    with pytest.raises(EvidenceError, match="Received: none"):
        signing.new_key("")


def test_what_is_signed_is_one_text_of_sorted_keys(fingerprint):
    commitment, _ = commit({PUBLIC: fingerprint})
    body = json.loads(commitment.body)
    assert commitment.body == canonical_json(body).encode()
    assert body["format"] == "cemfp commitment 1" and body["parts"] == [["public", 10]]
