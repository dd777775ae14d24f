"""Every experiment: jobs for every profile, roles kept apart, and figures of unfinished studies."""

import json

import pytest

from cemfp.cli.study import PROFILES as OFFERED
from cemfp.engine.jobs import from_json, plan, to_json
from cemfp.jobs.zoo import make_zoo
from cemfp.models.roles import Role
from cemfp.storage.store import Store
from experiments import characteristic, claims, findings, runner, table
from experiments import cifar10_irremovability as irremovability
from experiments.jobs.base_models import cnn1_setting
from experiments.jobs.cases import cases
from experiments.profiles import PROFILES, setting_of


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("name", (*runner.EXPERIMENTS, *runner.ON_REQUEST))
def test_jobs_are_buildable_and_travel(name, profile):
    (module,) = runner.find([name])
    jobs = module.jobs(profile)
    assert jobs and len({job.key() for job in jobs.values()}) == len(jobs)
    some = list(jobs.values())[-1]
    assert from_json(to_json(some)).key() == some.key()


def test_nothing_that_makes_a_fingerprint_needs_a_model_that_judges_it():
    profile = PROFILES["small"]
    evaluation = {job.key() for job in make_zoo(profile).evaluation.everyone}
    makers = {
        job.key()
        for job in plan(runner.all_jobs(runner.find([]), profile))
        if job.kind in ("candidates", "fingerprint", "remove", "detector")
        for job in plan([job])
    }
    assert evaluation and not evaluation & makers
    roles = {getattr(job, "role", None) for job in plan(runner.all_jobs(runner.find([]), profile))}
    assert {Role.SOURCE, Role.DEFENDER, Role.EVALUATION, Role.ATTACKER} <= roles


def test_an_unfinished_study_draws_nothing_and_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    profile, store = PROFILES["demo"], Store(tmp_path / "store")
    modules = runner.find([])
    runner.collect(modules, profile, store)
    rows = json.loads(runner.rows_path(profile, "cifar10_irremovability").read_bytes())
    assert rows["ftll | 0"] == {"missing": "not run yet"}
    assert runner.draw(modules, profile) == []


def test_claims_without_rows_say_what_has_to_run(tmp_path):
    profile = PROFILES["demo"]
    data = {"name": "digits", "stand_in": True, "note": ""}
    summary = {"n": 2, "mean": 0.2, "std": 0.1, "min": 0.1, "max": 0.3}
    row = {
        "fingerprint": {"epsilon": profile.epsilon, "inputs": 40, "data": data, "method": "cem"},
        "models": [],
        "evaluation": {"surrogates": summary | {"mean": 0.9}, "references": summary},
        "decision": {"threshold": 0.5},
    }
    found = claims.claims({irremovability.NAME: {"scores at 0.2": row}}, profile)
    held = {claim.holds for claim in found}
    assert held == {"yes", "–"}  # only the gap, 0.9 - 0.2, is known, and it is wide enough
    assert sum("not run" in claim.ours for claim in found) == len(found) - 1


@pytest.mark.parametrize("profile", ["small", "strong"])
def test_committed_rows_give_the_committed_claims(profile):
    """The numbers in the documentation are those of the rows."""
    results = runner.RESULTS / profile
    rows = {path.stem: json.loads(path.read_bytes()) for path in results.glob("*.json")}
    written = (results / "claims.md").read_text()
    for claim in claims.claims(rows, PROFILES[profile]):
        assert claim.ours in written


@pytest.mark.parametrize(("score", "holds"), [(0.4, "**no**"), (0.9, "–")])
def test_one_share_of_labels_shows_no_fall(score, holds):
    """That half of the labels removes can be said of it alone; that less would, cannot."""
    profile, key = PROFILES["demo"], f"cem {PROFILES['demo'].epsilon}"
    scores = {
        "fingerprint": {"epsilon": profile.epsilon},
        "models": [],
        "decision": {"threshold": 0.5},
    }
    thief = {"test_accuracy": 0.9, "victim_accuracy": 0.9, "cae_accuracy": {key: score}}
    rows = {irremovability.NAME: {"scores at 0.2": scores, "ground_truth_0.5 | 0": thief}}
    found = claims._ground_truth(claims.StudyRows(rows, profile))
    assert found.holds == holds and "(one share only)" in found.ours


def test_an_experiment_on_its_own_needs_no_models_of_the_others():
    profile = PROFILES["small"]
    about_them = {"zoo", "ensemble_members"}
    alone = [name for name in runner.ON_REQUEST if name not in about_them]
    needed = {job.key() for job in plan(runner.all_jobs(runner.find(alone), profile))}
    assert not needed & {job.key() for job in make_zoo(profile).everyone}


def test_committed_answers_give_the_committed_findings():
    """The statements about the second paper are those of the rows."""
    results = runner.RESULTS / "small"
    rows = json.loads((results / "cifar10_characteristic.json").read_bytes())
    setting = cnn1_setting(PROFILES["small"])
    written = (results / "cifar10_characteristic_findings.md").read_text()
    series = characteristic.series(rows["answers"], setting)
    found = findings.findings(characteristic.solid(series, rows["answers"], setting), setting)
    assert len(found) >= 10
    for finding in found:
        assert finding.here in written and f"| {finding.holds} |" in written


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("CEM", "cem"),
        ("LTRC, k = 2, δ = 0.03, 8-bit images, η = 0.1", "ltrc k2 image 0.03 eta 0.1"),
        ("the same with the paper's η = 1e-6", "ltrc k2 image 0.03"),
    ],
)
def test_the_findings_compare_methods_as_the_rows_do(label, name):
    row = json.loads((runner.RESULTS / "small" / "cem_meets_ltrc.json").read_bytes())["answers"]
    cells = [label]
    for group in ("pruned", "tuned", "extracted", "surrogate", "reference"):
        scores = [m["cae_accuracy"][name] for m in row["models"] if m["group"] == group]
        cells.append(f"{sum(scores) / len(scores):.2f}")
    page = table.README.parent / "docs" / "results" / "findings.md"
    assert f"| {' | '.join(cells)} |" in page.read_text("utf-8")


def test_a_store_without_the_models_leaves_the_rows_of_others(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    profile, models = PROFILES["demo"], tmp_path / "demo" / "models.json"
    models.parent.mkdir()
    models.write_text('[{"key": "of an earlier recipe"}]')
    counted = {"jobs": {"train": {"done": 1, "missing": 0, "seconds": 2.0}}}
    models.with_name("study.json").write_text(json.dumps(counted))
    runner.collect([], profile, Store(tmp_path / "store"))
    assert "earlier" in models.read_text()
    assert json.loads(models.with_name("study.json").read_text()) == counted
    own = {"key": make_zoo(profile).source.key(), "test_accuracy": 0.9}
    models.write_text(json.dumps([own]))
    runner.collect([], profile, Store(tmp_path / "store"))
    assert json.loads(models.read_text()) == [own]


def test_a_row_of_the_same_job_stays_where_the_store_lacks_it(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    profile, (module,) = PROFILES["demo"], runner.find(["cifar10_roc"])
    path, jobs, store = runner.rows_path(profile, module.NAME), module.jobs(profile), tmp_path / "s"
    made = {runner.KEY: jobs["cw"].key(), "evaluation": {}}
    rows = {"cw": made, "fgm": {runner.KEY: "another job's"}, "sac": {"of": "nobody knows what"}}
    path.parent.mkdir()
    path.write_text(json.dumps(rows))
    runner.collect([module], profile, Store(store))
    assert json.loads(path.read_text()) == rows  # there is nothing new
    key = jobs["bim"].key()
    with Store(store).write(key, jobs["bim"].description()) as out:
        (out / "rows.json").write_text('{"evaluation": {"new": 1}}')
    runner.collect([module], profile, Store(store))
    found = json.loads(path.read_text())
    assert found["cw"] == made and found["bim"] == {runner.KEY: key, "evaluation": {"new": 1}}
    assert found["fgm"] == found["sac"] == found["cem"] == {"missing": "not run yet"}


def test_a_profile_shares_the_settings_of_the_one_that_it_is_like():
    first = PROFILES["strong-first"]
    assert setting_of(first, {"small": 1, "paper": 2}) == 1
    assert setting_of(first, {"small": 1, "strong": 3}) == 3
    assert setting_of(first, {"demo": 1}, 4) == 4
    assert setting_of(first, {"strong": 0}, 4) == 0
    with pytest.raises(KeyError):
        setting_of(PROFILES["paper"], {"small": 1})


def test_rows_are_chosen_by_their_names():
    profile, chosen = PROFILES["demo"], runner.find(["cifar10_roc"])
    jobs = chosen[0].jobs(profile)
    assert runner.all_jobs(chosen, profile, ["c*", "sac"]) == [jobs["cem"], jobs["cw"], jobs["sac"]]
    assert runner.all_jobs(chosen, profile) == list(jobs.values())


def test_the_thief_of_strong_nets_takes_one_long_step():
    strong, small = (
        cases(PROFILES[name])["advtrain_cifar10"][0].attack for name in ("strong", "small")
    )
    assert (strong.epsilon, strong.steps, strong.random_start) == (2 / 255, 1, True)
    assert strong.step_size == pytest.approx(2.5 / 255)
    assert (small.steps, small.step_size) == (3, 0.0)


def test_the_command_line_knows_every_profile():
    assert set(OFFERED) == set(PROFILES)
