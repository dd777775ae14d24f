"""What a secret decides, and what a fingerprint says of it."""

import dataclasses
import hashlib
import hmac

import numpy as np
import pytest

from cemfp.fingerprint.artifact import FingerprintError
from cemfp.fingerprint.rule import Rule, RuleRecord, read_secret

SECRET = b"sixteen bytes or more"
RULE = Rule(SECRET, "model 1", 2)
RECORD = RuleRecord("model 1", "0" * 64, 2, 9, (0, 4), (17, 3), "1" * 64)


def drawn(*parts):
    """HMAC-SHA256 of the JSON list, as anybody can compute it again."""
    text = ", ".join(f'"{part}"' if isinstance(part, str) else str(part) for part in parts)
    return hmac.new(SECRET, f"[{text}]".encode(), hashlib.sha256).digest()


def test_candidates_are_the_images_in_the_order_of_their_draws():
    draws = {n: drawn("cemfp rule 1", "model 1", "image", n) for n in range(50)}
    assert RULE.images(50).tolist() == sorted(draws, key=draws.get)


def test_labels_are_the_first_of_an_images_ranking_without_its_true_one():
    draws = {n: drawn("cemfp rule 1", "model 1", "label", 17, n) for n in range(10) if n != 6}
    assert RULE.labels(17, 6, 10).tolist() == sorted(draws, key=draws.get)[:2]
    # Of two classes one is left, however many are wanted.
    assert RULE.labels(17, 1, 2).tolist() == [0]


def test_the_seed_is_the_first_31_bits_of_its_draw():
    assert RULE.seed() == int.from_bytes(drawn("cemfp rule 1", "model 1", "seed"), "big") >> 225


def test_every_label_is_drawn_about_as_often():
    # 1,000 images of class 0: each of nine labels 111 times, standard deviation 9.9.
    counts = np.bincount([Rule(SECRET, "s", 1).labels(n, 0, 10)[0] for n in range(1000)])
    assert counts[0] == 0 and counts[1:].min() > 71 and counts[1:].max() < 151


def test_another_secret_or_statement_draws_otherwise():
    others = [Rule(SECRET + b"!", "model 1"), Rule(SECRET, "model 2")]
    for other in others:
        assert other.images(50).tolist() != RULE.images(50).tolist()
        assert other.seed() != RULE.seed()


def test_the_secret_is_shown_nowhere_and_its_hash_is_that_of_the_file(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    assert read_secret(path) == SECRET and "sixteen" not in repr(RULE)
    assert RULE.secret_sha256 == hashlib.sha256(SECRET).hexdigest()


@pytest.mark.parametrize(
    ("secret", "statement", "targets", "text"),
    [
        (b"short", "s", 1, "a secret of 16 to 4096 bytes. Received: '5 bytes'"),
        (SECRET, "", 1, "a statement"),
        (SECRET, "two\nlines", 1, "a statement"),
        (SECRET, "\x1b[31m", 1, "a statement"),
        (SECRET, "s", 0, "one target label or more"),
    ],
)
def test_what_is_no_rule_is_refused(secret, statement, targets, text):
    with pytest.raises(FingerprintError, match=text):
        Rule(secret, statement, targets)


@pytest.mark.parametrize("content", [None, b"short", b"x" * 4097])
def test_a_file_that_holds_no_secret_is_refused(tmp_path, content):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FingerprintError, match=r"cannot be read|16 to 4096 bytes"):
        read_secret(path)


def test_a_record_comes_back_from_json():
    values = dataclasses.asdict(RECORD) | {"places": [0, 4], "images": [17, 3]}
    assert RuleRecord.from_dict(values) == RECORD


@pytest.mark.parametrize(
    "change",
    [
        {"statement": "\n"},
        {"secret_sha256": "0" * 63},
        {"record_sha256": "x"},
        {"targets": -1},
        {"tried": 0},
        {"tried": 10**9},
        {"places": (4, 0)},
        {"places": (0, 0)},
        {"places": (0, -1)},
        {"places": (0, 1.5)},
        {"images": (1, 1)},
        {"images": (1,)},
        {"images": "12"},
        {"images": ()},
        {"targets": 0},
        {"targets": 0, "images": (), "places": (0, 9)},
    ],
    ids=str,
)
def test_a_record_of_a_stranger_is_checked(change):
    values = dataclasses.asdict(RECORD)
    with pytest.raises(FingerprintError):
        RuleRecord.from_dict(values | change)
    with pytest.raises(FingerprintError, match="rule fields"):
        RuleRecord.from_dict(values | {"more": 1})
