"""The table and figures of removal attacks, from rows written by hand."""

import pytest

from experiments import cifar10_irremovability as experiment
from experiments import claims
from experiments.profiles import PROFILES

PROFILE = PROFILES["demo"]


def attack(accuracy, score, seed=0):
    return {
        "attack": "x", "net": "resnet20", "arguments": {"width": 4}, "seed": seed,
        "test_accuracy": accuracy, "victim_accuracy": 0.8, "agreement": 0.9, "queries": 7,
        "seconds": 10.0, "cae_accuracy": {f"cem {e}": score for e in PROFILE.epsilons},
    }  # fmt: skip


def scores(epsilon, threshold=0.5):
    summary = {"n": 2, "mean": 0.2, "std": 0.1, "min": 0.1, "max": 0.3}
    data = {"name": "digits", "stand_in": True, "note": ""}
    return {
        "fingerprint": {"epsilon": epsilon, "inputs": 40, "data": data, "method": "cem"},
        "models": [],
        "evaluation": {"references": summary, "surrogates": summary},
        "decision": {"threshold": threshold},
    }


@pytest.mark.parametrize(
    ("repeats", "expected"),
    [
        ([attack(0.79, 0.6), attack(0.79, 0.4)], "no"),  # mean 0.5 is not below 0.5
        ([attack(0.79, 0.6), attack(0.79, 0.3)], "**yes**"),
        ([attack(0.77, 0.1), attack(0.756, 0.1)], "**yes**"),  # 0.763 > 0.8 - 0.0375
        ([attack(0.77, 0.1), attack(0.75, 0.1)], "no: too inaccurate"),  # mean 0.76 < 0.7625
    ],
)
def test_the_papers_criterion(repeats, expected):
    assert experiment.verdict(repeats, 0.5, PROFILE.epsilon) == expected


def test_without_a_threshold_nothing_is_claimed():
    assert experiment.verdict([attack(0.8, 0.0)], None, 0.2) == "no threshold"


def test_draws_panels_and_the_table(tmp_path):
    rows = {f"scores at {e}": scores(e) for e in PROFILE.epsilons}
    rows |= {
        "ftll | 0": attack(0.8, 0.9),
        "ftll | 1": attack(0.7, 0.7),
        "rtal | 0": {"missing": "x"},
    }
    experiment.draw(rows, PROFILE, tmp_path / "figures")
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == {
        "cifar10_fig3c_fine_tuning.png"
    }
    line = next(
        line for line in (tmp_path / "table2_removal_attacks.md").read_text().splitlines()
        if line.startswith("| ftll")
    )  # fmt: skip
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    # 80 and 70 %: mean 75, sample deviation sqrt(50) = 7.07; 0.9 and 0.7: 0.8 and 0.14.
    assert cells[:5] == ["ftll", "resnet20 width 4", "75.00 ± 7.07 (n = 2)", "89.59", cells[4]]
    assert cells[4] == "0.80 ± 0.14 (n = 2)" and cells[-1] == "no"


def test_without_threshold_or_fingerprint_the_table_says_so(tmp_path):
    rows = {f"scores at {PROFILE.epsilon}": scores(PROFILE.epsilon, None)}
    rows |= {"scores at 0.1": scores(0.1, None), "ftll | 0": attack(0.8, 0.9)}
    rows["ftll | 0"]["cae_accuracy"]["cem 0.1"] = None
    experiment.draw(rows, PROFILE, tmp_path / "figures")
    text = (tmp_path / "table2_removal_attacks.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| ftll"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[4:6] == ["–", "0.90 (n = 1)"] and cells[-1] == "no threshold"
    assert "threshold (none)" in text
    found = claims.claims({experiment.NAME: rows}, PROFILE)
    assert all(claim.holds == "–" for claim in found if claim.claim.startswith("It is not removed"))
