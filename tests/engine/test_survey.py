"""The plan of a study: counts, times, arithmetic."""

import json

import pytest

from cemfp.engine import estimates
from cemfp.engine.estimates import Estimates, Mean, save_rates
from cemfp.engine.jobs import obtain
from cemfp.engine.survey import cost_table, describe, only, survey, total
from cemfp.jobs.cost import forward_flops
from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import make_zoo
from cemfp.models.roles import Role
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments.profiles import PROFILES
from tests.engine.toy_jobs import Report, Train


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def training(**changes):
    recipe = Recipe(epochs=2, crop=changes.pop("crop", 0), full_size=0.25)
    return TrainNet(data="cifar10", recipe=recipe, seed=0, role=Role.SOURCE.value, **changes)


def test_jobs_are_counted_by_kind(store):
    obtain(Train(1), store)
    counts = survey([Report((Train(1), Train(2), Train(3)))], store)
    assert (counts["train"].done, counts["train"].missing) == (1, 2)
    assert (counts["report"].done, counts["report"].missing, counts["report"].unknown) == (0, 1, 1)
    assert total(counts).missing == 3


def test_missing_jobs_take_as_long_and_as_much_as_finished_ones_of_their_sort(store):
    obtain(Train(1, seconds=0.3), store)
    count = survey([Train(1), Train(2), Train(3)], store)["train"]
    took = store.manifest(Train(1).key())["took_seconds"]
    assert took >= 0.3
    assert count.seconds == pytest.approx(2 * took)
    assert count.size == 2 * 3 * 32 * 2000  # two jobs, three files of 2,000 hashes of 32 bytes
    text = describe(survey([Train(1), Train(2), Train(3)], store), store, slots=2)
    assert "train            1        2" in text and "with 2 jobs at once" in text
    assert "nothing is missing" in describe(survey([Train(1)], store), store, slots=2)


def test_what_another_machine_made_says_nothing_of_this_one(store):
    with store.write(Train(1).key(), Train(1).description(), took_seconds=5_000.0) as out:
        (out / "copy").write_text("made elsewhere")
    assert Estimates(store, [Train(1)]).seconds(Train(2)) is None
    obtain(Train(3), store)
    took = store.manifest(Train(3).key())["took_seconds"]
    assert Estimates(store, [Train(1), Train(3)]).seconds(Train(2)) == took < 5_000


def test_time_scales_with_the_arithmetic():
    mean = Mean(n=3, seconds=10.0, size=0.0, flops=2e12)
    assert mean.scaled(6e12) == 30.0
    assert mean.scaled(0.0) == 10.0  # no arithmetic was counted
    assert Mean(3, 10.0, 0.0, 0.0).scaled(6e12) == 10.0


def test_what_nobody_measured_takes_its_arithmetic_at_the_probed_speed(store, monkeypatch):
    monkeypatch.setattr(estimates, "_speed", lambda: 1e11)
    monkeypatch.setattr(estimates, "committed", dict)
    job = training(images=100)
    assert Estimates(store, []).seconds(job) == pytest.approx(job.flops() / 1e11)
    assert Estimates(store, []).seconds(Report((Train(1),))) is None  # no arithmetic is counted


@pytest.mark.parametrize(("speed", "expected"), [(2e11, 20.0), (5e10, 5.0), (0.0, 10.0)])
def test_times_of_a_machine_of_known_speed_are_scaled(store, monkeypatch, speed, expected):
    job = training(images=100)
    measured = {job.sort(): Mean(3, 10.0, 0.0, job.flops(), speed)}
    monkeypatch.setattr(estimates, "_speed", lambda: 1e11)
    monkeypatch.setattr(estimates, "committed", lambda: measured)
    assert Estimates(store, []).seconds(job) == pytest.approx(expected)


def test_forward_pass_of_a_net_worked_by_hand():
    # VGG of width w on 8 x 8 x 1 would pool below one pixel; ResNet of depth 8, width 8 on digits:
    # 8x8 places: stem 9*1*8, two convolutions 9*8*8; at 4x4: 9*8*16 + 9*16*16, shortcut 8*16;
    # at 2x2: 9*16*32 + 9*32*32, shortcut 16*32; dense 32*10. Two operations a multiplication.
    at_8 = 64 * (9 * 1 * 8 + 2 * 9 * 8 * 8)
    at_4 = 16 * (9 * 8 * 16 + 9 * 16 * 16)
    at_2 = 4 * (9 * 16 * 32 + 9 * 32 * 32)
    shortcuts = {0, 16 * 8 * 16 + 4 * 16 * 32}  # a projection, or padding with zeros
    net = Net("resnet20", (("depth", 8), ("width", 8)))
    by_hand = {2 * (at_8 + at_4 + at_2 + 32 * 10 + extra) for extra in shortcuts}
    assert forward_flops(net, "digits") in by_hand


def test_training_costs_three_passes_and_small_crops_less():
    one = forward_flops(Net(), "cifar10")
    assert training().flops() == 3 * one * 50_000 * 2
    assert training(images=100).flops() == 3 * one * 100 * 2
    # A quarter of the steps at full size, the others on (16/32)^2 of the pixels.
    assert training(crop=16).flops() == pytest.approx(3 * one * 100_000 * (0.25 + 0.75 * 0.25))


def test_sorts_tell_nets_and_data_apart():
    zoo = make_zoo(PROFILES["demo"])
    assert zoo.source.sort() == "train resnet20 digits"
    assert training().sort() == "train resnet20 cifar10"
    (labels,) = [job for job in zoo.defender.surrogates[0].dependencies() if job.kind == "labels"]
    assert labels.sort() == "labels digits"


def test_rates_are_kept_and_read_again(store, tmp_path, monkeypatch):
    obtain(Train(1, seconds=0.2), store)
    path = tmp_path / "measured.json"
    monkeypatch.setattr(estimates, "_speed", lambda: 1e11)
    save_rates([Train(1)], store, path)
    assert json.loads(path.read_bytes())["sorts"][Train(1).sort()]["speed"] == 1e11
    monkeypatch.setattr(estimates.resources, "files", lambda package: tmp_path)
    estimates.committed.cache_clear()
    try:
        found = Estimates(Store(tmp_path / "other"), []).seconds(Train(5))
    finally:
        estimates.committed.cache_clear()
    assert found == pytest.approx(store.manifest(Train(1).key())["took_seconds"], abs=0.001)


def test_only_some_kinds(store):
    jobs = [Report((Train(1), Train(2)))]
    assert only(jobs, ["train"]) == [Train(1), Train(2)]
    assert only(jobs, []) == jobs
    with pytest.raises(ValueError, match=r"among report, train. Received: trian"):
        only(jobs, ["trian"])


def test_the_cost_table_adds_up(store):
    counts = survey([training(), training(images=100)], store)
    lines = cost_table(counts).splitlines()
    assert lines[0].startswith("| kind of job | jobs | PFLOP | GPU-hours at 1 TFLOP/s")
    petaflops = total(counts).flops / 1e15
    assert lines[-1].startswith(f"| total | 2 | {petaflops:,.1f} | {petaflops / 3.6:,.1f} |")
