"""Copies that learn from other pictures, and nets that start from public weights."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from cemfp.cli import main
from cemfp.data import load
from cemfp.engine.jobs import obtain
from cemfp.jobs.source import identity
from cemfp.jobs.start import KeepStart
from cemfp.jobs.train import LabelImages
from cemfp.jobs.zoo import Group
from cemfp.models.classifier import Classifier
from cemfp.models.roles import Role
from cemfp.owner.jobs import Owner
from cemfp.owner.opening import name_unlabelled, open_source
from cemfp.removal import SUMMARY
from cemfp.storage.files import read_json
from cemfp.storage.store import Store
from tests.owner.test_protect import NET, PLAN, RECIPE

COUNT = 30


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of images of other sizes and modes, some of them further down."""
    monkeypatch.setenv("CEMFP_DATA_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number in range(COUNT):
        levels = rng.integers(0, 256, (10 + number % 3, 12, 3), dtype=np.uint8)
        place = folder / "more" if number % 2 else folder
        Image.fromarray(levels).save(place / f"{number:02}.png")
    return folder


@pytest.fixture
def owner(tiny_zoo, tmp_path, pictures):
    """The tiny zoo's source, other pictures, and another net's weights to start from."""
    source, _ = open_source(str(tiny_zoo.path("source")), "digits", Store(tmp_path / "store"))
    start = tiny_zoo.paths("evaluation", "reference")[0]
    return Owner(
        source,
        "digits",
        (NET,),
        NET,
        RECIPE,
        10,
        unlabelled=name_unlabelled(pictures, "digits"),
        start=KeepStart(str(start), identity(str(start))),
    )


def test_pictures_without_labels_take_the_shape_of_those_with(owner):
    dataset = load(owner.unlabelled)
    assert dataset.train.images.shape == (COUNT - 1, 8, 8, 1) and len(dataset.test) == 1
    assert dataset.classes == ("unlabelled",)


def test_every_second_copy_learns_from_them_in_as_many_steps(owner, tiny_zoo, tmp_path):
    first, second = owner.surrogates(Role.DEFENDER, 2, epochs=2)
    assert (first.transfer, second.transfer) == ("", owner.unlabelled)
    assert first.recipe.epochs == 2 and second.recipe.epochs == round(2 * 1200 / (COUNT - 1))
    assert LabelImages(owner.unlabelled, owner.source) in second.dependencies()
    assert second.flops() == pytest.approx(first.flops(), rel=0.02)
    store = Store(tmp_path / "store")
    obtain(second, store)
    made = Classifier.load(store.get(second.key()))
    assert made.classes == 10 and made.config.training["images"] == COUNT - 1
    assert made.config.training["source_sha256"] == tiny_zoo.load("source").weights_sha256


def test_nets_start_from_the_public_weights(owner, tiny_zoo, tmp_path):
    # With steps of hardly any length a net stays where it started.
    still = dataclasses.replace(owner, recipe=dataclasses.replace(RECIPE, learning_rate=1e-6))
    started, other = (still.references(role, 1, 1)[0] for role in (Role.DEFENDER, Role.CALIBRATION))
    assert started.start == other.start == owner.start
    store = Store(tmp_path / "store")
    obtain(started, store)
    public = tiny_zoo.paths("evaluation", "reference")[0]
    accuracy = Classifier.load(public).accuracy(
        load("digits").test.images, load("digits").test.labels
    )
    found = Classifier.load(store.get(started.key())).config.training["test_accuracy"]
    assert accuracy > 0.7 and found == pytest.approx(accuracy, abs=0.1)
    assert (
        started.key()
        != Owner(owner.source, "digits", (NET,), NET, RECIPE, 10)
        .references(Role.DEFENDER, 1, 1)[0]
        .key()
    )


def test_thieves_who_train_a_net_like_the_owners_start_from_the_public_weights(
    owner, tiny_zoo, tmp_path
):
    plan = dataclasses.replace(PLAN, epochs=1)
    thefts = {
        name: owner.theft(name, plan) for name in ("black-box", "advtrain", "ftal", "retrain")
    }
    assert [name for name, job in thefts.items() if job.start] == ["black-box", "advtrain"]
    # Another net has no such start, and so learns in ten times larger steps, as a fresh one does.
    fresh = dataclasses.replace(owner, start=None).theft("black-box", plan)
    rates = [thefts[name].recipe.learning_rate for name in ("retrain", "black-box")]
    assert rates == [pytest.approx(10 * RECIPE.learning_rate), RECIPE.learning_rate]
    assert "start" not in fresh.description() and owner.start in thefts["black-box"].dependencies()

    still = dataclasses.replace(owner, recipe=dataclasses.replace(RECIPE, learning_rate=1e-6))
    job, store = still.theft("black-box", plan), Store(tmp_path / "store")
    obtain(job, store)
    public = Classifier.load(tiny_zoo.paths("evaluation", "reference")[0])
    accuracy = public.accuracy(load("digits").test.images, load("digits").test.labels)
    found = read_json(store.get(job.key()) / SUMMARY)["test_accuracy"]
    assert accuracy > 0.7 and found == pytest.approx(accuracy, abs=0.1)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--start", "nothing.h5", "expected weights to start from"),
        ("--unlabelled", "empty", "expected images in"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_trained(
    tiny_zoo, tmp_path, pictures, option, value, said
):
    from click.testing import CliRunner

    (tmp_path / "empty").mkdir()
    arguments = ["protect", tiny_zoo.path("source"), "--data", "digits", "--out", tmp_path / "out"]
    given = [*map(str, arguments), "--dry-run", option, str(tmp_path / value)]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 2 and said in result.stderr
    assert not (tmp_path / "out" / "fingerprint.cemfp").exists()


@pytest.mark.parametrize(("data", "shift"), [("digits", 0), ("cifar10", 2)])
def test_fingerprints_are_made_under_shifts_of_a_sixteenth_of_a_side(owner, data, shift):
    there = dataclasses.replace(owner, data=data)
    made = there.fingerprint(Group((), ()), 8 / 255, 60)
    assert made.candidates.method.shift == shift
