"""The ensemble's size over its cost: settings by hand, figure and table from rows."""

import dataclasses

import numpy as np
import pytest

from cemfp.engine.jobs import obtain
from cemfp.jobs.train import Net, TrainNet
from cemfp.models.classifier import Classifier
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments import ensemble_members
from experiments.common import cem, score
from experiments.jobs.snapshots import with_snapshots
from experiments.profiles import PROFILES

PROFILE = dataclasses.replace(PROFILES["demo"], defender=4, steps=100)


def row(copies, strangers):
    summary = {
        "surrogates": {"mean": copies},
        "references": {"mean": strangers},
    }
    facts = {"inputs": 30, "data": {"name": "digits", "note": "a stand-in", "stand_in": True}}
    return {"fingerprint": facts, "models": [], "calibration": summary, "evaluation": summary}


def test_settings_and_their_cost():
    jobs = ensemble_members.jobs(PROFILE)
    # Sizes 1 (all), 2 (1, all) and 4 (1, 2, all) are six settings; five ways; snapshots of two
    # sizes with as many per step or all; two seeds.
    assert len(jobs) == 2 * (6 + 5 + 4) and len({job.key() for job in jobs.values()}) == 30
    costs = {name: ensemble_members.gradients(job) for name, job in jobs.items()}
    assert costs["1 + 1, 1 + 1 per step, seed 0"] == 200
    assert costs["4 + 4, 4 + 4 per step, seed 1"] == 800
    assert costs["4 + 4, 2 + 2 per step, twins, seed 0"] == 400
    assert costs["4 + 4, 12 + 12 per step, snapshots as members, seed 0"] == 2400
    more = jobs["2 + 2, 2 + 2 per step, snapshots as members, seed 0"].fingerprint.candidates
    assert len(more.defender.surrogates) == 6 and more.method.members_per_step == 2
    few = jobs["2 + 2, 1 + 1 per step, seed 0"].fingerprint.candidates
    assert len(few.defender.references) == 2 and few.method.members_per_step == 1


def test_seeds_of_a_setting_share_a_line(tmp_path):
    rows = {
        "4 + 4, 2 + 2 per step, seed 0": row(0.75, 0.25),
        "4 + 4, 2 + 2 per step, seed 1": row(0.75, 0.0),
        "4 + 4, 2 + 2 per step, shifts, seed 0": row(1.0, 0.25),
        "4 + 4, 2 + 2 per step, twins, seed 0": {"missing": "not run yet"},
    }
    ensemble_members.draw(rows, PROFILE, tmp_path / "figures")
    table = (tmp_path / "ensemble_members.md").read_text()
    # (0.75 - 0.25 + 0.75 - 0) / 2
    assert "| 4 + 4, 2 + 2 per step | 2 | 400 | 30 / 30 | +0.625 | +0.500 to +0.750 |" in table
    assert "shifts | 1 | 400 | 30 | +0.750 |" in table and "twins" not in table
    assert (tmp_path / "figures" / "ensemble_members.png").stat().st_size > 10_000
    ensemble_members.draw({"x": {"missing": "not run yet"}}, PROFILE, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_step_asks_no_more_nets_than_there_are():
    one = dataclasses.replace(PROFILES["demo"], defender=1, steps=100)
    costs = {n: ensemble_members.gradients(job) for n, job in ensemble_members.jobs(one).items()}
    assert costs["1 + 1, 1 + 1 per step, shifts, seed 0"] == 200
    twins = dataclasses.replace(cem(one), members_per_step=0, twins=0.03)
    assert (twins.per_step(1), twins.per_step(3)) == (2, 6)  # each has another one
    assert dataclasses.replace(twins, members_per_step=3).per_step(1) == 2
    all_of_them, two = (
        score(PROFILE, cem(PROFILE, members_per_step=few)).fingerprint.candidates.flops()
        for few in (0, 2)
    )
    # 4 + 4 nets of one size against 2 + 2: this loss does not look at the source
    assert all_of_them / two == pytest.approx(8 / 4)


def weights(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def test_a_snapshot_is_the_net_on_its_way(tmp_path):
    recipe = Recipe(epochs=2, batch_size=50, flip=False, pad=0, precision="float32")
    net = Net(arguments=(("width", 4), ("depth", 8)))
    final = TrainNet("digits", recipe, 1_000, "defender", net, images=1_000)
    first = with_snapshots((final,), (0.25,))[1]
    assert first.key() != final.key() and "after 25%" in first.label()
    store = Store(tmp_path / "store")
    found = [Classifier.load(obtain(job, store)) for job in (first, final)]
    seen = {}  # share of the steps -> weights
    final.train(
        store, str, lambda done, total, model: seen.setdefault(done / total, weights(model))
    )
    share = min(share for share in seen if share >= 0.25)
    assert 0 in seen and share < 1
    early, late = (weights(net.model) for net in found)
    np.testing.assert_allclose(early, seen[share], atol=2e-3)  # kept in float16
    np.testing.assert_allclose(late, seen[1], atol=2e-3)
    assert not np.allclose(early, late, atol=2e-3)
    assert found[0].config.training["snapshot"] == 0.25
    assert (found[0].role, found[0].origin) == (found[1].role, found[1].origin)
    with pytest.raises(ValueError, match="expected nets of the defender"):
        with_snapshots((dataclasses.replace(final, role="evaluation"),), (0.5,))
