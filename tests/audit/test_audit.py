"""An audit of a fingerprint that is in order, and of ones that are not."""

import dataclasses

import numpy as np
import pytest

from cemfp.audit import AuditError, Judge, Status, audit, worst
from cemfp.fingerprint.artifact import Calibration, Fingerprint
from cemfp.fingerprint.by_rule import make_by_rule, record_hash
from cemfp.fingerprint.methods import METHODS
from cemfp.fingerprint.models import Models
from tests.ruled import DATA, RULE, SAME, SHAPE, made
from tests.small_classifiers import linear

SOURCE = linear(SAME, shape=SHAPE)
SURROGATES, REFERENCES = (1.0, 0.9), (0.0, 0.1, 0.0, 0.1)


def unmoved(images):
    """An independent: a pixel that was raised to .6 does not impress it, it takes the second."""
    order = images.reshape(-1, 3).argsort(axis=1)
    raised = np.isclose(images.max(axis=(1, 2, 3)), 0.6, atol=0.05)
    return np.where(raised, order[:, 1], order[:, 2])


def follower(images):
    """One that answers the key as the source does."""
    return SOURCE.predict_labels(images)


def calibrated(fingerprint, references=REFERENCES, threshold=0.5, surrogates=SURROGATES):
    hashes = tuple(f"{n:064x}" for n in range(len(references)))
    calibration = Calibration(
        surrogates, references, threshold, "by hand", ("a" * 64, "b" * 64), hashes,
        len(fingerprint),
    )  # fmt: skip
    return dataclasses.replace(fingerprint, calibration=calibration)


FINGERPRINT, RECORD = made()
FINGERPRINT = calibrated(FINGERPRINT)
JUDGE = Judge(
    DATA,
    source=SOURCE,
    independents={f"mine {n}": unmoved for n in range(3)},
    secret=RULE.secret,
    record=RECORD,
)


def checks(fingerprint=FINGERPRINT, **given):
    """Outcome and text of each check."""
    found = audit(fingerprint, dataclasses.replace(JUDGE, **given))
    return {check.name: check for check in found}


def failed(found):
    return {name for name, check in found.items() if check.status == Status.FAILED}


def test_a_fingerprint_that_is_in_order_passes_every_check():
    found = checks()
    dated = found.pop("commitment")
    assert {check.status for check in found.values()} == {Status.PASSED}
    assert worst(found.values()) == Status.PASSED
    assert worst([dated, *found.values()]) == dated.status == Status.OPEN
    assert found["inputs"].numbers["distance"] == pytest.approx(0.4, abs=2 / 255)
    assert found["independents"].numbers["upper_bound"] == pytest.approx(1 - 0.05 ** (1 / 3))
    assert found["candidates"].numbers["tried"] == 30


def test_who_brings_nothing_learns_what_is_missing():
    plain = dataclasses.replace(FINGERPRINT, calibration=None, rule=None)
    found = checks(plain, source=None, independents={}, secret=None, record=None)
    states = {name: check.status for name, check in found.items()}
    assert states.pop("inputs") == Status.PASSED and set(states.values()) == {Status.OPEN}
    assert "--source" in found["keys"].text and "5% takes 59" in found["independents"].text
    found = checks(secret=None, record=None)
    assert "--secret" in found["rule"].text and "--record" in found["candidates"].text
    assert worst(found.values()) == Status.OPEN


def test_keys_that_the_source_does_not_answer():
    other = dataclasses.replace(FINGERPRINT, keys=(FINGERPRINT.keys + 1) % 3)
    found = checks(other)
    assert failed(found) >= {"keys", "rule", "candidates"}
    assert f"on 0 of {len(FINGERPRINT)}" in found["keys"].text


def test_another_source_than_the_one_that_is_named():
    other = linear(SAME * 2, shape=SHAPE)
    assert "the source has weights" in checks(source=other)["keys"].text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epsilon": 0.3}, "from its image, epsilon is 0.3"),
        ({"true_labels": (FINGERPRINT.true_labels + 1) % 3}, "have another label there"),
        ({"originals": FINGERPRINT.originals * 0}, "are none of pixels's 40 test images"),
        ({"eight_bit": False}, "not on the 8-bit grid"),
        ({"inputs": FINGERPRINT.inputs[[0] * len(FINGERPRINT)]}, "inputs occur twice"),
        ({"originals": None, "true_labels": None}, "made of images of pixels, and shows none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_inputs_that_are_not_what_they_are_said_to_be(change, text):
    assert text in checks(dataclasses.replace(FINGERPRINT, rule=None, **change))["inputs"].text


def ruled(**changes):
    return dataclasses.replace(FINGERPRINT, rule=dataclasses.replace(FINGERPRINT.rule, **changes))


@pytest.mark.parametrize(
    ("fingerprint", "given", "text"),
    [
        (FINGERPRINT, {"secret": b"another secret of bytes"}, "the secret is another"),
        (ruled(statement="another"), {}, "another seed"),
        (ruled(images=FINGERPRINT.rule.images[::-1]), {}, "are not those of the rule"),
        (ruled(places=tuple(range(100, 100 + len(FINGERPRINT)))), {}, "beyond the 40 test"),
    ],
    ids=["secret", "statement", "images", "places"],
)
def test_what_does_not_follow_from_the_secret(fingerprint, given, text):
    found = checks(fingerprint, **given)
    assert text in found["rule"].text and "rule" in failed(found)


@pytest.mark.parametrize("parameters", [{}, {"size": "5"}, {"size": 5, "threshold": "0.95"}])
def test_a_strangers_parameters_are_not_believed(parameters):
    odd = {"seed": RULE.seed(), **parameters}
    found = checks(dataclasses.replace(FINGERPRINT, parameters=odd))
    assert "does not say how many inputs" in found["candidates"].text


def test_labels_cannot_be_drawn_for_images_without_a_true_one():
    bare = dataclasses.replace(FINGERPRINT, true_labels=None, originals=None)
    assert "no starting images" in checks(bare)["rule"].text
    record = dataclasses.replace(RECORD, true_labels=None, originals=None)
    rule = dataclasses.replace(FINGERPRINT.rule, record_sha256=record_hash(record))
    found = checks(dataclasses.replace(FINGERPRINT, rule=rule), record=record)
    assert "no starting images" in found["candidates"].text


def without(index):
    """The fingerprint as it would be had this input not suited the owner."""
    left = np.delete(np.arange(len(FINGERPRINT)), index)
    names = ("inputs", "keys", "originals", "true_labels", "conferrability")
    arrays = {name: getattr(FINGERPRINT, name)[left] for name in names}
    numbers = {
        name: tuple(np.array(getattr(FINGERPRINT.rule, name))[left].tolist())
        for name in ("places", "images")
    }
    rule = dataclasses.replace(FINGERPRINT.rule, **numbers)
    return dataclasses.replace(FINGERPRINT, calibration=None, rule=rule, **arrays)


def test_a_candidate_that_was_passed_over_is_missed():
    found = checks(without(1))
    assert failed(found) == {"candidates"}
    assert "1 candidates that pass the filters are left out, and 0 inputs" in (
        found["candidates"].text
    )


def test_a_record_of_another_fingerprint():
    other = dataclasses.replace(RECORD, keys=(RECORD.keys + 1) % 3)
    assert "the record is another" in checks(record=other)["candidates"].text


def test_a_record_with_other_answers_than_the_sources():
    """The owner says of a candidate that suits him not that the source answers otherwise."""
    keys = RECORD.keys.copy()
    index = RECORD.rule.places.index(FINGERPRINT.rule.places[1])
    keys[index] = RECORD.true_labels[index]
    record = dataclasses.replace(RECORD, keys=keys)
    cheat = without(1)
    rule = dataclasses.replace(cheat.rule, record_sha256=record_hash(record))
    parameters = cheat.parameters | {"size": len(cheat)}
    cheat = dataclasses.replace(cheat, rule=rule, parameters=parameters)
    # Without the source the judge has to believe it.
    assert checks(cheat, record=record, source=None)["candidates"].status == Status.PASSED
    assert "the source answers 1 candidates otherwise" in (
        checks(cheat, record=record)["candidates"].text
    )


def test_independents_that_answer_the_key():
    found = checks(independents={"mine": unmoved, "follower": follower})
    assert failed(found) == {"independents"}
    assert "1 of 2 independents would be accused: follower (1.00" in found["independents"].text
    numbers = checks(independents={"a": follower, "b": follower})["independents"].numbers
    assert (numbers["majority"], numbers["agreement"], numbers["accused"]) == (1.0, 1.0, 2)


def test_keys_that_most_independents_answer_are_no_secret_below_any_threshold():
    found = checks(
        calibrated(FINGERPRINT, threshold=0.999999), independents={"a": follower, "b": unmoved}
    )
    assert "independents" in failed(found)
    mostly = checks(calibrated(FINGERPRINT, threshold=0.9), independents={"a": follower})
    assert "it is no secret of the source's" in mostly["independents"].text


def test_references_that_the_owner_picked():
    # Three of three above four of four: one of 35 ways.
    found = checks(
        calibrated(FINGERPRINT, threshold=0.99),
        independents={f"{n}": follower for n in range(3)},
    )
    assert found["references"].numbers["p_value"] == pytest.approx(1 / 35)
    assert "references" in failed(found)
    few = checks(independents={"mine": unmoved})["references"]
    # One against four reaches 1/5, two 1/15, three 1/35.
    assert few.status == Status.OPEN and few.text.endswith("takes 3 independents")


def test_models_of_the_owner_are_no_independents():
    with pytest.raises(AuditError, match=r"the owner had no hand in.*: mine$"):
        checks(independents={"mine": SOURCE})
    other = linear(SAME * 3, shape=SHAPE)
    with pytest.raises(AuditError, match="one twice"):
        checks(independents={"a": other, "b": other})


def test_a_model_that_does_not_do_the_task_says_nothing():
    with pytest.raises(AuditError, match=r"mine: expected a model for pixels.*--scale"):
        checks(independents={"mine": lambda images: np.zeros(len(images), int)})
    with pytest.raises(AuditError, match="the source: expected a model"):
        checks(source=linear(SAME[::-1], shape=SHAPE))


def test_other_images_than_the_fingerprints_are_refused():
    images = DATA.test.images[:, :, :, :1]
    split = dataclasses.replace(DATA.test, images=images)
    with pytest.raises(AuditError, match="expected images of shape"):
        checks(dataset=dataclasses.replace(DATA, train=split, test=split))


def test_inputs_from_noise_follow_from_the_seed_alone():
    method = METHODS["c"](steps=30, step_size=0.05)
    found = make_by_rule(method, Models(SOURCE), None, RULE, size=4, candidates=12)
    loaded = Fingerprint.from_bytes(found.fingerprint.to_bytes())
    states = checks(calibrated(loaded), record=found.record, independents={})
    assert not failed(states)
    assert [states[n].status for n in ("rule", "candidates")] == [Status.PASSED] * 2
    other = dataclasses.replace(loaded, keys=(loaded.keys + 1) % 3)
    assert failed(checks(other, record=found.record, independents={})) >= {"keys", "rule"}
