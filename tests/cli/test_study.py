"""`cemfp study`: plan, run, rows, figures, report, and bad use."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from cemfp.cli import main
from cemfp.storage.store import Store
from experiments import cifar10_nets, runner
from experiments.jobs.cases import MEANS
from experiments.profiles import PROFILES


@pytest.fixture
def cemfp(tmp_path, monkeypatch):
    """Run `cemfp study ...` with a store and results of its own."""
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "results")

    def call(command, *arguments, store=True):
        options = ["--store", str(tmp_path / "store")] if store else []
        return CliRunner().invoke(main, ["study", command, *arguments, *options])

    return call


@pytest.fixture
def few_nets(monkeypatch):
    """Of the nets that thieves use one: that each can be trained is tested elsewhere."""
    means = dataclasses.replace(MEANS["demo"], nets=MEANS["demo"].nets[1:2])
    monkeypatch.setitem(MEANS, "demo", means)
    monkeypatch.setattr(cifar10_nets, "OTHERS", {})


def test_the_plan_says_what_is_missing_and_runs_nothing(cemfp, few_nets, tmp_path):
    for result in (
        cemfp("run", "cifar10_nets", "--profile", "demo", "--dry-run"),
        cemfp("status", "cifar10_nets", "--profile", "demo"),
    ):
        assert result.exit_code == 0, result.output
        assert "profile demo on digits" in result.output
        assert "total            0        4" in result.output
        assert "GB free" in result.output
    one = cemfp("run", "cifar10_nets", "--profile", "demo", "--rows", "vgg*", "--dry-run")
    assert "total            0        2" in one.output  # the net, and what is said of it
    assert not (tmp_path / "store" / "objects").exists()


def test_a_run_leaves_rows_figures_and_a_report_and_a_second_one_has_nothing_to_do(
    cemfp, few_nets, tmp_path
):
    arguments = ("cifar10_nets", "--profile", "demo", "--jobs", "2")
    first = cemfp("run", *arguments)
    assert first.exit_code == 0, first.output
    assert "4 done, 0 failed, 0 skipped" in first.output
    results = tmp_path / "results" / "demo"
    rows = json.loads((results / "cifar10_nets.json").read_bytes())
    assert len(rows) == 2 and all(row["test_accuracy"] > 0.15 for row in rows.values())
    study = json.loads((results / "study.json").read_bytes())
    assert study["profile"] == "demo" and study["jobs"]["train"]["done"] == 2
    assert "digits" in (results / "report.html").read_text()
    second = cemfp("run", *arguments)
    assert second.exit_code == 0 and "nothing is missing" in second.output
    assert cemfp("figures", "--profile", "demo", store=False).exit_code == 0
    assert cemfp("report", "--profile", "demo", store=False).exit_code == 0
    collected_without_the_last_net(cemfp, tmp_path, arguments[:3], rows)


def collected_without_the_last_net(cemfp, tmp_path, arguments, rows):
    """As after a run that was stopped: rows of what is done, and nothing runs."""
    last = runner.all_jobs(runner.find(["cifar10_nets"]), PROFILES["demo"])[-1]
    store, (first, second) = Store(tmp_path / "store"), rows
    with store.lock(last.key()):
        store.discard(last.key())
    written = tmp_path / "results/demo/cifar10_nets.json"
    assert cemfp("collect", *arguments).exit_code == 0
    assert json.loads(written.read_bytes()) == rows  # a row of the same job stays
    written.unlink()
    assert cemfp("collect", *arguments).exit_code == 0
    found = json.loads(written.read_bytes())
    assert found == {first: rows[first], second: {"missing": "not run yet"}}
    assert not store.has(last.key())
    assert cemfp("collect", *arguments, "--only", "train").exit_code == 2
    empty = cemfp("report", "--profile", "paper", store=False)
    assert empty.exit_code == 2 and "with rows: demo. Received: paper" in empty.output


def test_only_one_kind_writes_no_rows(cemfp, tmp_path):
    arguments = ("cifar10_roc", "--profile", "demo", "--only", "labels")
    result = cemfp("run", *arguments)
    assert result.exit_code == 0
    assert "total            0        2" in result.output  # the source and its labels
    assert "2 done" in result.output and not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cifar10_rok", "--profile", "demo"), "Received: cifar10_rok"),
        (("--profile", "demo", "--only", "trian"), "Received: trian"),
        (("cifar10_roc", "--profile", "demo", "--rows", "cen"), "these rows: cem, fgm"),
        (("--profile", "huge"), "'huge' is not one of"),
        (("--profile", "demo", "--address", "auto"), "expected --executor ray with --address"),
        (("--profile", "demo", "--jobs", "0"), "0 is not in the range"),
    ],
)
def test_bad_use_is_one_line_and_status_2(cemfp, tmp_path, arguments, message):
    result = cemfp("run", *arguments)
    assert result.exit_code == 2
    assert message in result.output and len(result.output.splitlines()) == 1
    assert not (tmp_path / "store").exists()
