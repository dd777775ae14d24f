"""Verdicts over models: the numbers by hand, the job on linear nets, the committed rows."""

import json
import shutil

import numpy as np
import pytest

from cemfp.engine.jobs import from_json, obtain, to_json
from cemfp.fingerprint.misclassified import Misclassified
from cemfp.jobs.fingerprint import ROWS, MakeCandidates, MakeFingerprint
from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import Group
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments import checking, runner, verdicts
from experiments.jobs.verdicts import JudgeModels, compare, share_above
from experiments.profiles import PROFILES

RECIPE = Recipe(epochs=4, batch_size=50, learning_rate=0.02, flip=False, pad=0, precision="float32")
TINY = Net(arguments=(("width", 1), ("depth", 8)))


def net(seed, role, **changes):
    return TrainNet("digits", RECIPE, seed, role, net=TINY, **{"images": 150} | changes)


SOURCE = net(0, "source")


def group(role, first, count):
    copies = {"labels_from": SOURCE, "labels": "soft", "images": 0}
    surrogates = tuple(net(first + n, role, **copies) for n in range(count))
    return Group(surrogates, tuple(net(first + 500 + n, role) for n in range(count)))


def test_share_above_by_hand():
    # Of 20 references one may score as high at 5 %, none at 1 %.
    above, below = np.array([[0.5, 0.8, 2.0]]), np.array([[1.0, 0.7] + [0.0] * 18])
    assert share_above(above, below, 0.05) == pytest.approx(2 / 3)
    assert share_above(above, below, 0.01) == pytest.approx(1 / 3)
    assert share_above(np.array([[0.7]]), below, 0.05) == 0.0  # a tie is not above


def test_weights_help_where_some_inputs_say_nothing():
    """Most inputs everybody answers at random: CAEAcc counts them, the ratio does not."""
    rng = np.random.default_rng(0)
    noise, signal = np.full(40, 0.5), np.full(10, 0.9)
    above = (rng.random((12, 50)) < np.concatenate([noise, signal])).astype(np.uint8)
    below = (rng.random((12, 50)) < np.concatenate([noise, 1 - signal])).astype(np.uint8)
    found = compare(above, below, 50)
    assert found["llr"]["auc"][0] > found["cae_accuracy"]["auc"][0]
    value, low, high = found["llr"]["caught"]["0.05"]
    assert 0 <= low <= value <= high <= 1 and value > found["cae_accuracy"]["caught"]["0.05"][0]


def test_the_job_and_its_table(quick_net, tmp_path):
    candidates = MakeCandidates(Misclassified(), "digits", SOURCE, Group((), ()), count=60)
    score = ScoreFingerprint(
        MakeFingerprint(candidates, size=20, balance=False),
        group("calibration", 2000, 2),
        group("evaluation", 3000, 2),
    )
    job = JudgeModels(score, alpha=0.05)
    assert from_json(to_json(job)).key() == job.key()
    row = json.loads((obtain(job, Store(tmp_path / "store")) / ROWS).read_bytes())
    assert row["p_values"]["references"] == 2 and len(row["models"]) == 8
    assert all(p["rank"] >= 1 / 3 for p in row["p_values"]["independent"])
    assert row["sequential"]["each"]["surrogates"]["models"] == 4
    assert [point["inputs"] for point in row["shares"]] == [10, 20]
    # Of 4 references 2 are known, and 2 are tested, 60 times.
    assert (row["splits"]["known"], row["splits"]["tests"]) == (2, 120)
    verdicts.draw({"misclassified": row, "cem": {"missing": "x"}}, PROFILES["demo"], tmp_path / "f")
    text = (tmp_path / "verdicts.md").read_text()
    assert "a stand-in" in text and "each of 4 surrogates and 4 references" in text
    assert (tmp_path / "f" / "verdicts.png").is_file()


def test_one_calibration_model_of_a_kind_gives_no_rates(quick_net, tmp_path):
    candidates = MakeCandidates(Misclassified(), "digits", SOURCE, Group((), ()), count=60)
    score = ScoreFingerprint(
        MakeFingerprint(candidates, size=20, balance=False),
        group("calibration", 2000, 1),
        group("evaluation", 3000, 1),
    )
    row = json.loads((obtain(JudgeModels(score), Store(tmp_path / "store")) / ROWS).read_bytes())
    assert row == {"missing": "1 calibration model of a kind, and 2 give rates"}


@pytest.fixture
def weak(tmp_path):
    """The committed answers and verdicts of the profile `small`, to be changed."""
    for name in ("cifar10_roc.json", "cifar10_roc.cemfp", "verdicts.json"):
        (tmp_path / "small").mkdir(exist_ok=True)
        shutil.copy(runner.RESULTS / "small" / name, tmp_path / "small" / name)
    return tmp_path


def test_committed_answers_give_the_committed_verdicts(weak):
    # The false alarm that the documentation tells of, and its rate over other choices of models.
    row = json.loads((weak / "small" / "verdicts.json").read_bytes())["cem"]
    assert row["sequential"]["evaluation"]["independent"]["match"] == 1
    assert row["splits"]["accused"]["0.01"] <= 0.01
    found = checking.check(weak)
    assert found.differences == [] and found.rows > 1


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("p_values", "independent", 0, "rank"), 0.4),
        (("splits", "accused", "0.01"), 0.5),
    ],
)
def test_a_verdict_changed_by_hand_is_found(weak, place, value):
    path = weak / "small" / "verdicts.json"
    rows = json.loads(path.read_bytes())
    inner = rows["cem"]
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path.write_text(json.dumps(rows))
    (weak / "small" / "cifar10_roc.json").write_text(
        json.dumps({"cem": json.loads((weak / "small" / "cifar10_roc.json").read_bytes())["cem"]})
    )
    (line,) = checking.check(weak).differences
    assert line.startswith(f"small/verdicts, cem: .{'.'.join(map(str, place))} is ")
