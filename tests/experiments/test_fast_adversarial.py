"""Fast adversarial training: the job on small nets of digits, the table by hand."""

import dataclasses
import json

import pytest

from cemfp.jobs.train import Net, TrainNet
from cemfp.removal.adversarial_training import AdversarialTraining
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments import fast_adversarial
from experiments.jobs.robust import MeasureRobust
from experiments.profiles import PROFILES

RECIPE = Recipe(epochs=2, batch_size=50, flip=False, pad=0, precision="float32")
NET = TrainNet("digits", RECIPE, 3, "evaluation", Net(arguments=(("width", 4), ("depth", 8))))


def test_a_row_has_accuracy_with_and_without_attack(tmp_path):
    job = MeasureRobust(NET, AdversarialTraining(epsilon=0.1, steps=1), 40)
    job.run(Store(tmp_path / "store"), tmp_path, lambda text: None)
    row = json.loads((tmp_path / "rows.json").read_text())
    assert row["attacked"] == 40 and row["core_seconds"] > 0 and row["against"]["steps"] == 1
    weak, strong = row["robust_accuracy"]
    # The larger ball holds the smaller one; a net of two epochs is no better than right half often.
    assert 0 <= strong <= weak <= 1 and 0.1 < row["test_accuracy"] < 1


def test_arithmetic_is_that_of_the_steps_inside():
    plain = MeasureRobust(NET, None, 40)
    fast = dataclasses.replace(plain, against=AdversarialTraining(steps=3))
    assert fast.flops() == pytest.approx(3 * plain.flops())  # 1 + 2/3 * 3
    assert len({job.key() for job in fast_adversarial.jobs(PROFILES["demo"]).values()}) == 10


def row(accuracy, robust, seconds):
    data = {"name": "digits", "note": "a stand-in"}
    return {
        "data": data,
        "recipe": {"epochs": 2},
        "precision": "float32",
        "attacked": 40,
        "radii": [2 / 255, 8 / 255],
        "test_accuracy": accuracy,
        "robust_accuracy": robust,
        "core_seconds": seconds,
    }


def test_costs_are_those_of_plain_training(tmp_path):
    rows = {
        "plain | 0": row(0.8, [0.2, 0.0], 10.0),
        "plain | 1": row(0.9, [0.2, 0.0], 30.0),
        "FGSM, random start, 8/255 | 0": row(0.7, [0.6, 0.4], 36.0),
    }
    fast_adversarial.draw(rows, PROFILES["demo"], tmp_path / "figures")
    table = (tmp_path / "fast_adversarial.md").read_text()
    # 36 of a mean of 20
    assert "| FGSM, random start, 8/255 | 1 | 70.0% | 60.0% | 40.0% | 1.80 |" in table
    assert "| plain | 2 | 85.0% (80.0% to 90.0%) |" in table
    fast_adversarial.draw({"plain | 0": {"missing": "-"}}, PROFILES["demo"], tmp_path / "none")
    assert not (tmp_path / "none.md").exists()
