"""`cemfp verify` of several suspects: the table, CSV, JSON, adjusted p-values, exit status."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from cemfp.cli import main
from cemfp.verification import calibrate
from tests.verification.stand_ins import Model, make_fingerprint

COUNT = 60
THEIRS = f"""
import numpy as np

def answering(right):
    def answer(images):
        place = np.rint(images[:, 0, 0, 0] * 255).astype(int)
        return np.where(place < right, place % 3, (place + 1) % 3)
    return answer

copy, stranger, between = answering(54), answering(6), answering({COUNT // 2})

def broken(images):
    raise RuntimeError("out of order")
"""


@pytest.fixture
def verify(tmp_path, monkeypatch):
    """Run `cemfp verify` on suspects of one module."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_several_models.py").write_text(THEIRS)
    surrogates = [Model(right) for right in (50, 53, 55, 58)]
    references = [Model(right, "reference") for right in (4, 6, 9, 12)]
    calibrate(make_fingerprint(COUNT), surrogates, references).save("my.cemfp")

    def run(names, *more):
        suspects = [f"python:their_several_models:{name}" for name in names.split()]
        return CliRunner().invoke(main, ["verify", "my.cemfp", *suspects, *map(str, more)])

    return run


def test_one_suspect_gets_a_sentence_and_a_line_on_models(verify):
    result = verify("copy")
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert "match. 54 of 60 answers" in first
    assert second.startswith("p = 0.2 over 4 independent models (rank); m = 4 supports")


def test_a_table_with_adjusted_p_values(verify):
    result = verify("copy stranger")
    assert result.exit_code == 0, result.output
    header, copy, stranger, support = result.stdout.splitlines()
    assert header.split() == ["suspect", "decision", "key", "answers", "p", "adjusted", "p"]
    # Holm: 0.2 * 2 = 0.4; 0.8 * 1.
    assert copy.split()[1:] == ["match", "54", "of", "60", "0.2", "0.4"]
    assert stranger.split()[1:] == ["no", "match", "6", "of", "60", "0.8", "0.8"]
    assert support.startswith("m = 4 supports a false-alarm rate of at least 20.0%")


@pytest.mark.parametrize(
    ("names", "status"),
    [
        ("stranger copy", 0),
        ("between copy", 0),
        ("stranger between", 3),
        ("stranger", 1),
        ("copy broken", 2),
    ],
)
def test_exit_status(verify, names, status):
    assert verify(names).exit_code == status


def test_one_that_cannot_be_judged_does_not_stop_the_others(verify):
    result = verify("broken copy")
    assert result.exit_code == 2
    assert "not judged" in result.stdout and "54 of 60" in result.stdout
    assert "RuntimeError: out of order" in result.stdout.splitlines()[-1]
    rows = json.loads(verify("broken copy", "--json").stdout)["verdicts"]
    # Of one p-value nothing is adjusted.
    assert [row["adjusted_p_value"] for row in rows] == [None, 0.2] and "order" in rows[0]["error"]


def test_json_and_csv_have_the_same_numbers(verify):
    found = json.loads(verify("copy stranger", "--json", "--adjust", "benjamini-hochberg").stdout)
    assert found["adjust"] == "benjamini-hochberg"
    # Of two: 0.2 * 2/1 = 0.4, 0.8 * 2/2.
    assert [row["adjusted_p_value"] for row in found["verdicts"]] == pytest.approx([0.4, 0.8])
    rows = list(csv.DictReader(io.StringIO(verify("copy stranger", "--csv").stdout)))
    for row, one in zip(rows, found["verdicts"], strict=True):
        assert row["suspect"] == one["suspect"] and row["decision"] == one["decision"]
        assert float(row["p_value"]) == one["models"]["p_value"]
        assert float(row["smallest_rate"]) == 0.2 and int(row["matches"]) == one["matches"]


def test_several_suspects_share_alpha(verify):
    alone = json.loads(verify("copy", "--alpha", 0.02, "--json").stdout)
    both = json.loads(verify("copy stranger", "--alpha", 0.02, "--json").stdout)["verdicts"]
    assert alone["models"]["alpha"] == 0.02 and alone["queries"] < COUNT
    assert [row["models"]["alpha"] for row in both] == [0.01, 0.01]
    assert both[0]["models"]["p_value"] <= 0.01 and both[0]["adjusted_p_value"] <= 0.02


def test_a_budget_knows_of_max_queries(verify):
    assert verify("copy", "--budget", 20).exit_code == 2
    assert "(--max-queries)" in verify("copy", "--budget", 20).stderr
    assert verify("copy", "--budget", 20, "--max-queries", 20).exit_code == 0
    found = verify("copy", "--budget", 30, "--max-queries", 30, "--alpha", 0.05, "--json")
    assert json.loads(found.stdout)["queries"] < 20


def test_what_does_not_go_together(verify):
    assert "--json or --csv" in verify("copy", "--json", "--csv").stderr
    assert "one suspect" in verify("copy stranger", "--log", "log").stderr
    assert "each once" in verify("copy copy").stderr
    assert verify("").exit_code == 2
