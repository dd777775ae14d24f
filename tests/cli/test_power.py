"""`cemfp power`: the table, JSON, the figure."""

import json

import pytest

from cemfp.verification import calibrate
from tests.verification.stand_ins import Model, make_fingerprint


@pytest.fixture
def file(tmp_path):
    surrogates = [Model(right) for right in (50, 53, 55, 58)]
    references = [Model(right, "reference") for right in (4, 6, 9, 12)]
    path = tmp_path / "my.cemfp"
    calibrate(make_fingerprint(60), surrogates, references).save(path)
    return path


def test_the_table_and_the_json_agree(run, file):
    result = run("power", file)
    assert result.exit_code == 0, result.output
    found = json.loads(run("power", file, "--json").stdout)
    lines = result.stdout.splitlines()
    assert lines[0] == "4 calibration surrogates, 4 calibration references"
    assert lines[2].split("  ")[1:] == ["0.2, rank", "0.05, beta-binomial", "0.01, beta-binomial"]
    rows = [line.split() for line in lines[3:7]]
    assert [int(row[0]) for row in rows] == [row["inputs"] for row in found["caught"]]
    assert rows[-1] == ["60", "100%", "100%", "100%"]
    assert "A false-alarm rate of 0.05 needs 19 references for one p-value, and 59" in lines[-2]


def test_a_rate_and_a_figure(run, file, tmp_path):
    plot = tmp_path / "power.png"
    result = run("power", file, "--rate", 0.1, "--plot", plot)
    assert result.exit_code == 0 and "0.1 needs 9 references" in result.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert run("power", file, "--plot", plot).exit_code == 2


def test_what_it_needs(fails, file, tmp_path):
    make_fingerprint(5).save(tmp_path / "plain.cemfp")
    assert "cemfp calibrate" in fails("power", tmp_path / "plain.cemfp")
    assert "PNG or PDF" in fails("power", file, "--plot", tmp_path / "power.txt")
    assert "rate" in fails("power", file, "--rate", 0)
