"""False claims lie as they say they do, and the audit finds them; tables from rows."""

import dataclasses
import json

import numpy as np
import pytest

from cemfp.audit import Judge, Status, audit
from cemfp.fingerprint.models import Models
from cemfp.models.roles import Origin, Role
from experiments import false_claims, runner, targeting
from experiments.jobs.audit_claim import audited
from experiments.jobs.false_claims import CLAIMS, Owner, Transferable
from experiments.profiles import PROFILES
from tests.audit.test_audit import calibrated
from tests.ruled import DATA, RULE, SAME, SHAPE, made
from tests.small_classifiers import helper, linear

TRUE, RECORD = made()
# It leans toward class 0, and so answers some of the raised pixels, but not all.
INNOCENT = linear(
    SAME, (0.3, 0, 0), shape=SHAPE, role=Role.CALIBRATION, origin=Origin.REFERENCE
)  # fmt: skip
MODELS = Models(
    linear(SAME, shape=SHAPE),
    [helper(SAME * 1.5, Origin.SURROGATE, shape=SHAPE)],
    [helper(SAME * 2, Origin.REFERENCE, shape=SHAPE)],
)
HITS = np.ones((2, len(TRUE)), np.uint8), np.zeros((4, len(TRUE)), np.uint8)
CALIBRATED = calibrated(TRUE, surrogates=(1.0, 1.0), references=(0.0,) * 4)
CALIBRATED = dataclasses.replace(CALIBRATED, surrogate_hits=HITS[0], reference_hits=HITS[1])
OWNER = Owner(MODELS, DATA, RULE, CALIBRATED, RECORD, INNOCENT)


def examine(name, independents=()):
    """Make a claim; return it, and the status of each check."""
    claim = CLAIMS[name](OWNER)
    mine = {str(number): one for number, one in enumerate(independents)}
    judge = Judge(DATA, MODELS.source, mine, RULE.secret, claim.record)
    return claim.fingerprint, {c.name: c.status for c in audit(claim.fingerprint, judge)}


def failed(states):
    return {name for name, status in states.items() if status == Status.FAILED}


def test_the_true_claim_passes():
    assert failed(examine("true")[1]) == set()


def test_keys_taken_from_the_innocent_model_are_not_the_sources():
    late, states = examine("late keys")
    np.testing.assert_array_equal(late.keys, INNOCENT.predict_labels(late.inputs))
    assert failed(states) == {"keys"} and states["rule"] == Status.OPEN


def test_noise_that_is_no_image_of_the_data_set():
    late, states = examine("late keys of noise")
    np.testing.assert_array_equal(late.keys, INNOCENT.predict_labels(late.inputs))
    assert "inputs" in failed(states)


def test_mistakes_that_two_models_share_pass_all_but_date_and_rule():
    shared, states = examine("shared mistakes")
    for model in (MODELS.source, INNOCENT):
        np.testing.assert_array_equal(shared.keys, model.predict_labels(shared.inputs))
    assert np.all(shared.keys != shared.true_labels)
    assert failed(states) == set() and states["rule"] == states["commitment"] == Status.OPEN


def test_candidates_that_suit_leave_holes():
    chosen, states = examine("chosen subset")
    np.testing.assert_array_equal(chosen.keys, INNOCENT.predict_labels(chosen.inputs))
    assert failed(states) == {"candidates"} and states["rule"] == Status.PASSED


def test_transferable_examples_move_every_model():
    images = np.full((3, *SHAPE), 0.4, np.float32)
    images[:, 0, 0, 0] = 0.5
    moved = Transferable(0.2)(images, MODELS, seed=0)
    assert float(np.abs(moved - images).max()) <= 0.2 + 1e-6
    answers = [
        m.predict_labels(moved) for m in (MODELS.source, *MODELS.surrogates, *MODELS.references)
    ]
    assert np.all(np.stack(answers) == answers[0]) and np.all(answers[0] != 0)


@pytest.mark.parametrize("name", ["transferable", "transferable, by the rule"])
def test_transferable_examples_are_found_by_independents_alone(name):
    _, states = examine(name)
    assert failed(states) == set()
    stranger = linear(SAME * 4, shape=SHAPE, role=Role.EVALUATION, origin=Origin.REFERENCE)
    assert "independents" in failed(examine(name, [stranger.predict_labels])[1])


def row(name):
    copy = linear(SAME * 3, shape=SHAPE, role=Role.EVALUATION, origin=Origin.SURROGATE)
    stranger = linear(SAME * 5, shape=SHAPE, role=Role.EVALUATION, origin=Origin.REFERENCE)
    return audited(OWNER, CLAIMS[name](OWNER), [stranger], [copy])


def test_the_table_has_a_line_for_each_claim(tmp_path):
    rows = {name: row(name) for name in ("true", "late keys")}
    rows["chosen subset"] = {"missing": "not run yet"}
    false_claims.draw(rows, PROFILES["demo"], tmp_path / "figures")
    lines = (tmp_path / "false_claims.md").read_text().splitlines()
    assert len([line for line in lines if line.startswith("| ")]) == 4
    assert "| late keys | 5 | " in lines[5] and "| commitment, keys" in lines[5]
    assert rows["late keys"]["innocent"] == 1.0 and rows["true"]["copies"] == [1.0]
    states = {name: check["status"] for name, check in rows["true"]["checks"].items()}
    assert states["commitment"] == "open" and states["rule"] == states["keys"] == "passed"


def test_the_cost_of_targets_is_a_line_for_each(tmp_path):
    summary = {"n": 2, "mean": 0.75, "std": 0.1, "min": 0.6, "max": 0.9}
    group = {"surrogates": summary, "references": summary | {"mean": 0.25}, "confer": summary}
    group |= {"auc": 1.0, "auc_lower_bound": 0.22}
    facts = {"inputs": 30, "defender_confer": 0.98}
    facts["data"] = {"name": "digits", "note": "", "stand_in": True}
    rows = {"k = 3": {"fingerprint": facts, "calibration": group, "evaluation": group}}
    rows["k = 1"] = {"missing": "nothing passed"}
    profile = dataclasses.replace(PROFILES["demo"], candidates=60)
    targeting.draw(rows, profile, tmp_path / "figures")
    text = (tmp_path / "targeting.md").read_text()
    assert (
        "| k = 3 | 30 | 0.98 | 0.75 ± 0.10 (n = 2) | 0.50 | 0.50 | 1.00 (at least 0.22) |" in text
    )
    assert "| k = 1 | 0 | – |" in text


@pytest.mark.parametrize("experiment", [false_claims, targeting], ids=lambda e: e.NAME)
def test_committed_rows_give_the_committed_table(experiment, tmp_path):
    committed = runner.RESULTS / "strong-first" / f"{experiment.NAME}.md"
    rows = json.loads(committed.with_suffix(".json").read_bytes())
    experiment.draw(rows, PROFILES["strong-first"], tmp_path / "figures")
    assert (tmp_path / committed.name).read_bytes() == committed.read_bytes()


def test_by_the_committed_rows_the_true_claim_alone_passes():
    rows = json.loads((runner.RESULTS / "strong-first" / "false_claims.json").read_bytes())
    refused = {
        name
        for name, row in rows.items()
        if any(check["status"] == "failed" for check in row["checks"].values())
    }
    assert set(rows) == set(CLAIMS) and refused == set(CLAIMS) - {"true"}
    # Each of the false ones would accuse an innocent model.
    assert all(rows[name]["innocent"] >= rows[name]["threshold"] for name in refused)
