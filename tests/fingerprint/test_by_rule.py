"""A fingerprint by a rule: whose candidates, in which order, and what is on record."""

import dataclasses

import numpy as np
import pytest

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.by_rule import draw, make_by_rule, record_hash
from cemfp.fingerprint.cem import CEM
from cemfp.fingerprint.generate import FingerprintFailure
from cemfp.fingerprint.methods import METHODS
from tests.ruled import DATA, RULE, SAME, SHAPE, Raise, made, models
from tests.small_classifiers import linear


def expected():
    """Places of usable candidates, image numbers and labels, each worked out on its own."""
    found = []
    for place, number in enumerate(RULE.images(len(DATA.test))):
        if number < 4:  # the source is wrong
            continue
        (label,) = RULE.labels(int(number), int(DATA.test.labels[number]), 3)
        # Raised by .4, a pixel passes one that is .2 above it, but not one that is .7 above; the
        # reference answers 0 itself.
        found.append((place, int(number), int(label), number % 2 == 0 and label != 0))
    return found


def test_the_first_usable_candidates_of_the_order_are_taken():
    fingerprint, record = made()
    candidates = expected()[:30]
    assert fingerprint.rule.places == tuple(c[0] for c in candidates if c[3])[:5]
    by_place = {c[0]: c for c in candidates}
    for place, number, key in zip(
        fingerprint.rule.places, fingerprint.rule.images, fingerprint.keys, strict=True
    ):
        assert by_place[place][1:3] == (number, key)
    assert record.rule.places == tuple(c[0] for c in candidates)
    assert record.rule.images == tuple(c[1] for c in candidates)


def test_the_fingerprint_names_secret_seed_and_record():
    fingerprint, record = made()
    assert fingerprint.rule.secret_sha256 == RULE.secret_sha256
    assert fingerprint.rule.record_sha256 == record_hash(record)
    assert fingerprint.parameters["seed"] == RULE.seed()
    assert (fingerprint.rule.tried, fingerprint.rule.targets) == (len(record), 1)
    assert b"sixteen bytes" not in fingerprint.to_bytes() + record.to_bytes()


def test_files_keep_the_rule():
    fingerprint, _ = made()
    loaded = Fingerprint.from_bytes(fingerprint.to_bytes())
    assert loaded.rule == fingerprint.rule
    assert loaded.to_bytes() == fingerprint.to_bytes()


def test_a_fingerprint_without_a_rule_is_the_file_it_was():
    without = dataclasses.replace(made().fingerprint, rule=None)
    assert b'"rule"' not in without.to_bytes()
    assert Fingerprint.from_bytes(without.to_bytes()).rule is None


def test_the_same_rule_makes_the_same_file():
    assert made().fingerprint.to_bytes() == made().fingerprint.to_bytes()


def test_methods_that_take_no_labels_are_refused():
    with pytest.raises(FingerprintFailure, match=r"a rule names labels: expected cem .*ipguard"):
        make_by_rule(METHODS["ipguard"](), models(), DATA, RULE)
    with pytest.raises(FingerprintFailure, match="a rule names labels"):
        make_by_rule(Raise(), models(), None, RULE)


def test_a_rule_without_usable_candidates_says_what_to_change():
    with pytest.raises(FingerprintFailure, match=r"30 candidates, \d+ of which .*--targets"):
        made(threshold=1.1)


def test_noise_comes_from_the_seed_of_the_rule():
    method = METHODS["c"](steps=2)
    drawn = draw(RULE, method, linear(SAME, shape=SHAPE), None, 6)
    assert drawn.split.images.shape == (6, *SHAPE) and drawn.images.size == 0
    np.testing.assert_array_equal(drawn.targets[:, 0], drawn.split.labels)
    assert drawn.places.tolist() == list(range(6))


def test_cem_moves_toward_the_label_that_is_named():
    # The surrogate follows the image, the reference always answers 0: both other labels confer,
    # and the one that is named is taken.
    images = np.full((2, *SHAPE), 0.5, np.float32)
    images[:, 0, 0, 0] = 0.6
    method = CEM(epsilon=0.4, steps=30, learning_rate=0.05, dropout=0.0)
    targets = np.array([[1], [2]])
    moved = method.toward(images, models(), targets, seed=0)
    assert moved.reshape(2, 3).argmax(axis=1).tolist() == [1, 2]
    # With both to choose from each image is free to take either, but not to stay.
    moved = method.toward(images, models(), np.array([[1, 2], [1, 2]]), seed=0)
    assert 0 not in moved.reshape(2, 3).argmax(axis=1)
    assert float(np.abs(moved - images).max()) <= 0.4 + 1e-6
