"""Trained once: from the store to `models/`, back into another store; and the check of results."""

import dataclasses
import json
import shutil

import pytest

from cemfp.engine.jobs import obtain
from cemfp.engine.survey import survey
from cemfp.jobs.zoo import make_zoo
from cemfp.models import kept
from cemfp.models.classifier import Classifier, ClassifierError
from cemfp.storage.store import Store
from experiments import checking, cifar10_roc, keeping, runner, zoo
from experiments.profiles import PROFILES

PROFILE = dataclasses.replace(
    PROFILES["demo"],
    defender=1,
    calibration=1,
    evaluation=1,
    source_recipe=dataclasses.replace(PROFILES["demo"].source_recipe, epochs=20),
    recipe=dataclasses.replace(PROFILES["demo"].recipe, epochs=20),
    surrogate_recipe=dataclasses.replace(PROFILES["demo"].surrogate_recipe, epochs=5),
    candidates=150,
    size=10,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The central experiment in miniature, CEM alone."""
    store = Store(tmp_path_factory.mktemp("store"))
    obtain(cifar10_roc.jobs(PROFILE)["cem"], store)
    return store


@pytest.fixture(scope="module")
def committed(store, tmp_path_factory):
    """The nets kept, and the rows committed; a place for both."""
    root = tmp_path_factory.mktemp("checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kept.FOLDER_VARIABLE, str(root / "models"))
        patch.setattr(runner, "RESULTS", root / "results")
        keeping.keep(PROFILE, store)
        runner.collect([cifar10_roc], PROFILE, store)
    return root


@pytest.fixture
def results(committed, tmp_path, monkeypatch):
    """A copy of the rows, to be changed; the nets are where they are looked for."""
    monkeypatch.setenv(kept.FOLDER_VARIABLE, str(committed / "models"))
    shutil.copytree(committed / "results", tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def without_nets(results, monkeypatch, tmp_path):
    """The rows where the nets are not."""
    monkeypatch.setenv(kept.FOLDER_VARIABLE, str(tmp_path / "empty"))
    return results


def change(path, edit):
    """Change the row of CEM as somebody would by hand."""
    rows = json.loads(path.read_text())
    edit(rows["cem"])
    path.write_text(json.dumps(rows))


def test_the_zoo_is_trained_a_pair_of_each_role_in_turn():
    names = list(zoo.names(PROFILE))
    assert names[:4] == [
        "source",
        *(
            f"{r}-{o}-0"
            for r, o in [
                ("defender", "surrogate"),
                ("defender", "reference"),
                ("evaluation", "surrogate"),
            ]
        ),
    ]
    assert len(names) == 7 and names[-1] == "calibration-reference-0"
    assert len(zoo.names(PROFILES["paper"])) == 77  # no two have one name


def test_kept_nets_are_taken_instead_of_trained(results, tmp_path):
    assert len(kept.entries()) == 7
    entry = kept.entries()["source"]
    assert entry["command"] == "cemfp study run zoo --profile demo"
    assert abs(entry["test_accuracy"] - entry["test_accuracy_float16"]) < 0.02
    other, source = Store(tmp_path / "other"), make_zoo(PROFILE).source
    ready = keeping.restorable(zoo.jobs(PROFILE).values(), other)
    assert sorted(ready) == sorted(kept.entries()) and ready["source"] == source
    assert survey([source], other)["train"].missing == 1  # and none, if it is to be taken
    assert survey([source], other, elsewhere={source.key()})["train"] == (1, 0, 0, 0, 0, 0)
    assert sorted(keeping.restore(zoo.jobs(PROFILE).values(), other)) == sorted(kept.entries())
    assert keeping.restore(zoo.jobs(PROFILE).values(), other) == []
    net = Classifier.load(other.get(source.key()))
    assert net.weights_sha256 == entry["weights_sha256"]
    assert other.manifest(source.key())["took_seconds"] == entry["took_seconds"]


def test_nets_of_another_profile_are_not_taken_for_kept(store, results, tmp_path, monkeypatch):
    assert keeping.keep(PROFILE, store) == []
    path = kept.folder() / kept.MANIFEST
    written = path.read_text()
    try:
        path.write_text(written.replace(kept.entries()["source"]["key"], "0" * 64))
        with pytest.raises(ClassifierError, match="where source and so on are other nets"):
            keeping.keep(PROFILE, store)
    finally:
        path.write_text(written)


def test_a_job_with_another_recipe_is_not_taken(results, tmp_path):
    changed = dataclasses.replace(PROFILE, recipe=PROFILE.surrogate_recipe)
    taken = keeping.restore(zoo.jobs(changed).values(), Store(tmp_path / "other"))
    assert "source" in taken and "defender-surrogate-0" in taken
    assert not any("reference" in name for name in taken)


def test_committed_numbers_are_those_of_the_kept_nets(results):
    found = checking.check(results)
    assert (found.rows, found.asked, found.not_kept, found.differences) == (1, 4, 0, [])


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (lambda row: row["evaluation"].update(auc=0.123), "evaluation.auc is"),
        (lambda row: row["calibration"]["confer"].update(mean=0.123), "calibration.confer.mean"),
        (lambda row: row["decision"].update(threshold=0.123), "decision.threshold is"),
        (lambda row: row["models"][0].update(cae_accuracy=0.123), "CAEAcc is"),
    ],
)
def test_a_number_changed_by_hand_is_found(without_nets, edit, where):
    change(without_nets / "demo" / "cifar10_roc.json", edit)
    found = checking.check(without_nets)
    assert any(where in line for line in found.differences), found.differences


def test_answers_changed_by_hand_are_found(results):
    def edit(row):
        last = row["models"][-1]
        last.update(answers=[(label + 1) % 10 for label in last["answers"]])

    change(results / "demo" / "cifar10_roc.json", edit)
    found = checking.check(results)
    assert any("answers 10 inputs otherwise" in line for line in found.differences)


def test_without_the_nets_the_answers_are_checked(without_nets):
    found = checking.check(without_nets)
    assert (found.asked, found.not_kept, found.differences) == (0, 4, [])
