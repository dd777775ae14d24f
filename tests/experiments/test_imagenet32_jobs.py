"""The study of mixed architectures: who is in it, who sees what, and all of it in miniature."""

import dataclasses
import json

import pytest

from cemfp.engine.jobs import from_json, obtain, plan, to_json
from cemfp.fingerprint.cem import CEM
from cemfp.jobs.fingerprint import ROWS
from cemfp.jobs.train import Net
from cemfp.models.nets import NETS
from cemfp.models.roles import Role
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments.jobs import imagenet32 as study
from experiments.jobs.imagenet32_setting import SETTINGS, Kind

ARCHITECTURES = ["resnet20", "resnet56", "densenet", "vgg19", "mobilenetv2"]
ATTACKS = ["ftll", "ftal", "rtll", "rtal", *(f"retrain_{name}" for name in ARCHITECTURES)]
ATTACKS += ["jagielski", "papernot", "knockoff"]


@pytest.mark.parametrize("name", ["small", "paper"])
def test_the_defender_has_14_surrogates_and_15_references_of_five_architectures(name):
    group = study.defender(SETTINGS[name])
    surrogates, references = (
        [job.net.name for job in jobs] for jobs in (group.surrogates, group.references)
    )
    assert len(surrogates) == 14 and surrogates.count("resnet20") == 6
    assert all(surrogates.count(other) == 2 for other in ARCHITECTURES[1:])
    assert len(references) == 15 and all(references.count(kind) == 3 for kind in ARCHITECTURES)


@pytest.mark.parametrize("name", SETTINGS)
def test_no_two_models_share_a_seed_and_the_judged_make_nothing(name):
    jobs = plan(study.imagenet32_jobs(SETTINGS[name]).values())
    trained = [job for job in jobs if job.kind == "train"]
    assert len({job.seed for job in trained}) == len(trained)
    makers = {job.key() for job in plan([study.fingerprint(SETTINGS[name])])}
    judged = [job for job in trained if job.role == Role.EVALUATION]
    judged += [job for job in jobs if job.kind == "remove"]
    assert judged and not makers & {job.key() for job in judged}
    assert {job.role for job in trained if job.key() in makers} == {Role.SOURCE, Role.DEFENDER}


def test_rows_are_named_as_the_papers_values_and_first_repeats_come_first():
    names = list(study.imagenet32_jobs(SETTINGS["small"]))
    first = [f"{name} | 0" for name in (*ATTACKS, "references")]
    assert names[:2] == ["cem", "source"] and names[2 : 2 + len(first)] == first
    assert names[2 + len(first)] == "ftll | 1"
    # Digits have no other images of their shape to steal with.
    assert "knockoff | 0" not in study.imagenet32_jobs(SETTINGS["demo"])


@pytest.fixture
def setting(monkeypatch, quick_net):
    """Linear nets in place of ResNets and VGG nets; one of each in every role."""
    monkeypatch.setitem(NETS, "vgg16", NETS["resnet20"])
    recipe = Recipe(
        epochs=4, batch_size=50, learning_rate=0.1, flip=False, pad=0, precision="float32"
    )
    sizes = (("width", 1), ("depth", 8))  # which linear nets ignore
    nets = Net("resnet20", sizes), Net("vgg16", sizes)
    return dataclasses.replace(
        SETTINGS["demo"],
        kinds=tuple(Kind(net, recipe, recipe, 1, 1) for net in nets),
        source_recipe=recipe,
        tuning=dataclasses.replace(recipe, epochs=1, learning_rate=0.01),
        cem=CEM(epsilon=0.5, steps=30, learning_rate=0.05),
        candidates=60,
        size=8,
    )


def test_the_study_in_miniature(setting, tmp_path):
    store, rows = Store(tmp_path), {}
    jobs = study.imagenet32_jobs(setting)
    for name in ("cem", "source", "ftll | 0", "retrain_vgg16 | 0", "references | 0"):
        assert from_json(to_json(jobs[name])).key() == jobs[name].key()
        directory = obtain(jobs[name], store, lambda text: None)
        rows[name] = json.loads((directory / ROWS).read_bytes())
    facts = rows["cem"]
    assert facts["classes"] == [str(digit) for digit in range(10)]
    assert facts["defender"] == {kind: {"resnet20": 1, "vgg16": 1} for kind in facts["defender"]}
    assert sum(facts["fingerprint"]["keys_per_class"]) == facts["fingerprint"]["inputs"] > 0
    # A key is the source's own answer.
    assert rows["source"]["models"][0]["cae_accuracy"] == {"cem": 1.0}
    assert rows["ftll | 0"]["net"] == "resnet20"
    assert rows["retrain_vgg16 | 0"]["net"] == "vgg16"
    assert [model["net"] for model in rows["references | 0"]["models"]] == ["resnet20", "vgg16"]
    assert {model["role"] for model in rows["references | 0"]["models"]} == {"evaluation"}


def test_no_fingerprint_is_a_row(setting, tmp_path):
    nothing = dataclasses.replace(setting, cem=CEM(epsilon=0.0, steps=1))
    job = study.imagenet32_jobs(nothing)["cem"]
    directory = obtain(job, Store(tmp_path), lambda text: None)
    assert json.loads((directory / ROWS).read_bytes()) == {
        "missing": "no candidate passed the filters"
    }
