"""The ensemble's size over its cost: settings by hand, figure and table from rows."""

import dataclasses

from experiments import ensemble_members
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
    # Sizes 1 (all), 2 (1, all) and 4 (1, 2, all) are six settings; five ways; two seeds.
    assert len(jobs) == 2 * (6 + 5) and len({job.key() for job in jobs.values()}) == 22
    costs = {name: ensemble_members.gradients(job) for name, job in jobs.items()}
    assert costs["1 + 1, 1 + 1 per step, seed 0"] == 200
    assert costs["4 + 4, 4 + 4 per step, seed 1"] == 800
    assert costs["4 + 4, 2 + 2 per step, twins, seed 0"] == 400
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
