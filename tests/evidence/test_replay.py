"""A verdict made again from a log: whatever happened when the suspect was asked happens again."""

import dataclasses
import json

import numpy as np
import pytest

from cemfp.evidence import bundle as names
from cemfp.evidence.asking import Asking, in_log
from cemfp.evidence.problem import EvidenceError
from cemfp.evidence.replay import differences, reopen, replay
from cemfp.fingerprint.artifact import Calibration
from cemfp.suspects import NoAnswer, TryAgain
from cemfp.suspects.record import Record, read_log
from tests.evidence.cases import ask, changed, copy, rechained, recheck, wrong
from tests.evidence.conftest import make
from tests.verification.stand_ins import make_fingerprint


def test_what_failed_when_it_was_asked_fails_again(tmp_path):
    """Conventions that the suspect refuses, and a server that is busy in between."""
    calls = []

    def picky(images):
        calls.append(len(images))
        if images.min() < 0:
            raise ValueError("expected positive numbers")
        if len(calls) == 2:
            raise TryAgain("busy", after=0.0)
        return np.rint(images[:, 0, 0, 0]).astype(int) % 2  # wrong on most ordinary images

    made = ask(make(), picky, tmp_path / "log", through_all=False)
    log = made.parts[names.QUERIES]
    assert log.count(b'"busy"') == 4 and log.count(b'"failed"') > 0
    assert wrong(recheck(made)) == set()


def test_a_sequential_test_is_made_again(tmp_path):
    """Its numbers are fitted to the calibration models' answers, and asked one by one."""
    draw = np.random.default_rng(0)
    above, below = (draw.random((6, 10)) < rate for rate in (0.9, 0.1))
    scores = [tuple(np.mean(hits, axis=1).tolist()) for hits in (above, below)]
    hashes = tuple("abcdef"), tuple("ghijkl")
    record = Calibration(*scores, 0.5, "by hand", *hashes, 10)
    fingerprint = dataclasses.replace(
        make(), calibration=record, surrogate_hits=above, reference_hits=below
    )
    options = {"alpha": 0.1, "max_queries": 8}
    made = ask(fingerprint, copy, tmp_path / "log", options=options)
    verdict = json.loads(made.parts[names.VERDICT])
    assert verdict["decision"] == "match" and 0 < verdict["queries"] < 8
    assert wrong(recheck(made)) == set()
    changed_rule = json.loads(made.parts[names.ASKING])
    changed_rule["options"]["alpha"] = 0.01
    found = recheck(changed(made, asking_json=json.dumps(changed_rule).encode()))
    assert wrong(found) == {"verdict"}


def test_labels_scores_and_nonsense_come_back_alike(tmp_path):
    def scores(images):
        return np.eye(3, dtype=np.float32)[np.rint(images[:, 0, 0, 0]).astype(int) % 3] / 3

    for name, answer in (("scores", scores), ("same", lambda x: np.full((len(x), 3), np.nan))):
        assert wrong(recheck(ask(make(), answer, tmp_path / name, through_all=False))) == set()


def test_differences_are_named_by_their_place():
    stated = {"a": [1, 2.0], "b": {"c": "x"}, "d": None}
    found = {"a": [1, 2.0 + 1e-12], "b": {"c": "y"}, "e": 1}
    assert list(differences(stated, found)) == [
        "b.c: 'x' is stated, 'y' follows",
        "d: stated, but nowhere found",
        "e: not stated",
    ]
    assert list(differences(True, 1)) and list(differences(1, True))
    assert list(differences([1], [1, 2])) == [": [1] is stated, [1, 2] follows"]
    assert list(differences(10**400, 1.0))


def test_a_question_that_was_never_asked_has_no_answer(whole, fingerprint):
    lines = [json.loads(line) for line in whole.parts[names.QUERIES].splitlines()]
    image = lines[-1]["input"]
    kept = rechained([line for line in lines if line.get("input") != image])
    suspect = reopen(Asking.from_bytes(whole.parts[names.ASKING]), read_log(kept)[1])
    with pytest.raises(NoAnswer, match=f"no question about the input {image[:16]}"):
        suspect(fingerprint.inputs)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"batch_size": 10**9}, "images of at most 2 GiB"),
        ({"batch_size": "all"}, "images at once, a number"),
    ],
)
def test_no_bundle_makes_images_that_fill_the_memory(options, what):
    count = 3_000
    images = np.random.default_rng(0).integers(0, 256, (count, 2, 2, 1)) / np.float32(255)
    large = dataclasses.replace(
        make_fingerprint(count=10), inputs=images, keys=np.zeros(count, np.int64)
    )
    layer = {"layer": "resized", "shape": [900, 1100, 1], "method": "nearest"}
    takes = {"input_shape": None, "classes": None, "class_names": []}
    record = Record()
    asking = Asking(
        "s", "s", "", (layer,), takes, {"threshold": 0.5, **options}, {}, in_log(record)
    )
    with pytest.raises(EvidenceError, match=what):
        replay(large, Asking.from_bytes(asking.to_bytes()), record)
