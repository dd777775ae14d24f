"""The tables and the figure of the ImageNet32 study, from rows written by hand."""

import json

import pytest

from cemfp.models.roles import Origin
from experiments import imagenet32 as experiment
from experiments import runner
from experiments.profiles import PROFILES

PROFILE = PROFILES["small"]


def stolen(accuracy, score, net="resnet20"):
    return {
        "attack": "x", "net": net, "arguments": {"width": 4}, "seed": 0, "agreement": 0.9,
        "queries": 7, "test_accuracy": accuracy, "cae_accuracy": {"cem": score},
    }  # fmt: skip


def reference(accuracy, score, net="vgg19"):
    return {
        "group": net, "net": net, "arguments": {}, "test_accuracy": accuracy,
        "cae_accuracy": {} if score is None else {"cem": score},
    }  # fmt: skip


@pytest.fixture
def rows():
    data = {
        "name": "imagenet32-100", "train_size": 1500, "test_size": 150, "stand_in": True,
        "note": "2 of the paper's 100 classes",
    }  # fmt: skip
    facts = {"epsilon": 0.15, "inputs": 90, "data": data, "shortfall": {"1": 10}}
    return {
        "cem": {
            "fingerprint": facts,
            "classes": ["sea_lion", "zebra"],
            "defender": {"surrogates": {"resnet20": 6, "vgg19": 2}, "references": {"vgg19": 3}},
        },
        "source": {"models": [reference(0.5, 1.0, "resnet20") | {"group": "source"}]},
        "ftll | 0": stolen(0.4, 0.9),
        "rtal | 0": {"missing": "not run yet"},
        "references | 0": {"models": [reference(0.4, 0.2), reference(0.3, None, "densenet")]},
        "ftll | 1": stolen(0.5, 0.7),
    }


def cells(path, name):
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_answers_are_put_together_by_origin_and_sort(rows):
    found = experiment.answers(rows)
    assert {origin: list(sorts) for origin, sorts in found.items()} == {
        Origin.SURROGATE: ["source", "ftll"],
        Origin.REFERENCE: ["vgg19"],  # who was asked nothing has no line
    }
    assert len(found[Origin.SURROGATE]["ftll"]) == 2


def test_draws_tables_and_figure(rows, tmp_path):
    experiment.draw(rows, PROFILE, tmp_path / "figures")
    table = tmp_path / "table3_imagenet32.md"
    # 40 and 50 %: mean 45, sample deviation sqrt(50) = 7.07; 0.9 and 0.7: 0.8 and 0.14.
    assert cells(table, "ftll") == [
        "ftll", "resnet20 width 4", "45.0 ± 7.1 (n = 2)", "57.3", "0.80 ± 0.14 (n = 2)", "1.00",
        "0.90 ± 0.00 (n = 2)", "7",
    ]  # fmt: skip
    assert cells(table, "source")[2:] == [
        "50.0 (n = 1)", "55.7", "1.00 (n = 1)", "1.00", "–", "–"
    ]  # fmt: skip
    other = tmp_path / "table4_imagenet32.md"
    assert cells(other, "vgg19")[2:] == ["40.0 (n = 1)", "54.1", "0.20 (n = 1)", "0.34"]
    for text in (table.read_text(), other.read_text()):
        assert "imagenet32-100 (stand-in data, 2 of the paper's 100 classes)" in text
        assert "1,500 training and 150 test images of 2 classes" in text
        assert "Classes: sea lion, zebra." in text
        assert "8 surrogates (6 resnet20, 2 vgg19) and 3 references (3 vgg19)" in text
        assert "fewer keys than their share: 1." in text
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"imagenet32.png", "imagenet32.pdf"}


def test_without_a_fingerprint_nothing_is_drawn(rows, tmp_path):
    rows["cem"] = {"missing": "no candidate passed the filters"}
    experiment.draw(rows, PROFILE, tmp_path / "figures")
    assert not list(tmp_path.iterdir())


def test_committed_rows_give_the_committed_tables(tmp_path):
    """The numbers beside the paper's are those of the rows."""
    results = runner.RESULTS / "small"
    rows = json.loads((results / f"{experiment.NAME}.json").read_bytes())
    experiment.draw(rows, PROFILE, tmp_path / "figures")
    for name in ("table3_imagenet32.md", "table4_imagenet32.md"):
        assert (tmp_path / name).read_text() == (results / name).read_text()
