"""`cemfp verify` within a budget, with a log, and going on from it."""

import json

import pytest
from click.testing import CliRunner

from cemfp.cli import main
from tests.verification.stand_ins import make_fingerprint

THEIRS = """
import numpy as np
from pathlib import Path

def answer(images):
    with Path("asked.txt").open("a") as file:
        file.write("".join(f"{image[0, 0, 0]}\\n" for image in images))
    if Path("stop").exists():
        raise KeyboardInterrupt
    return np.rint(images[:, 0, 0, 0] * 255).astype(int) % 3
"""
SPEC = "python:their_counting_model:answer"


@pytest.fixture
def verify(tmp_path, monkeypatch):
    """Run `cemfp verify` on a fingerprint of ten inputs and a suspect that is a perfect copy."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_counting_model.py").write_text(THEIRS)
    make_fingerprint(count=10).save("ten.cemfp")
    return lambda *more: CliRunner().invoke(
        main, ["verify", "ten.cemfp", SPEC, "--threshold", "0.3", *map(str, more)]
    )


def asked(tmp_path):
    path = tmp_path / "asked.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_nothing_is_asked_twice(verify, tmp_path):
    first = verify("--log", "log", "--json")
    again = verify("--log", "log", "--json")
    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert "10 inputs answered before" in again.stderr
    one, two = json.loads(first.stdout), json.loads(again.stdout)
    assert one == two and (one["log"], one["queries_asked"]) == ("log", 10)
    assert len(asked(tmp_path)) == 10


def test_who_cannot_be_asked_leaves_no_log(verify, tmp_path):
    (tmp_path / "empty.yaml").touch()
    make_fingerprint(count=10).save("ten.cemfp")
    for suspect in ("empty.yaml", "http://localhost:1/"):
        refused = CliRunner().invoke(main, ["verify", "ten.cemfp", suspect, "--threshold", "0.3"])
        assert refused.exit_code == 2 and list(tmp_path.glob("*.queries.jsonl")) == []


def test_an_interrupted_verification_goes_on(verify, tmp_path):
    (tmp_path / "stop").touch()
    stopped = verify("--log", "log", "--batch", 4)
    assert stopped.exit_code == 130 and "the same command goes on" in stopped.stderr
    (tmp_path / "stop").unlink()
    assert verify("--log", "log", "--batch", 4).exit_code == 0
    assert len(asked(tmp_path)) == 4 + 10 and len(set(asked(tmp_path))) == 10


def test_a_budget_that_cannot_suffice_is_refused_before_anything_is_asked(verify, tmp_path):
    refused = verify("--budget", 9)
    assert refused.exit_code == 2 and "Received: --budget 9" in refused.stderr
    assert asked(tmp_path) == []
    assert verify("--budget", 10).exit_code == 0
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_budget_holds_over_all_runs(verify, tmp_path):
    assert verify("--budget", 10, "--log", "log").exit_code == 0
    assert verify("--budget", 10, "--log", "log").exit_code == 0
    refused = verify("--budget", 12, "--log", "log", "--through", "noise=0.3")
    assert refused.exit_code == 2 and "budget of 12" in refused.stderr
    assert len(asked(tmp_path)) == 10


def test_the_log_of_another_suspect_is_refused(verify, tmp_path):
    assert verify("--log", "log").exit_code == 0
    make_fingerprint(count=9).save("ten.cemfp")
    refused = verify("--log", "log")
    assert refused.exit_code == 2 and "the log of this fingerprint" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("typed", [("--header", "X-Any: 1"), ("--timeout", 5), ("--output", "y")])
def test_options_of_other_suspects_are_refused(verify, tmp_path, typed):
    refused = verify(*typed)
    assert refused.exit_code == 2 and typed[0] in refused.stderr and SPEC in refused.stderr
    assert asked(tmp_path) == []


def test_an_error_of_an_answer_names_the_suspect(verify, tmp_path):
    spec = "python:their_other_model:answer"
    code = "def answer(images):\n    return [7] * len(images)\n"
    (tmp_path / "their_other_model.py").write_text(code)
    arguments = ["verify", "ten.cemfp", spec, "--threshold", "0.3"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"Error: {spec}: expected labels from 0 to 2")
    assert refused.stderr.count(spec) == 1
