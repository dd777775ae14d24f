"""Verdicts over models: p-values, log-likelihood ratio against CAEAcc, the sequential test.

The models and fingerprints of `cifar10_roc`, asked nothing more. Every number is over models. With
so few references as a study has, false-alarm rates of 1 % and 5 % are both "no reference accused";
the tables say how many there are, and the intervals are a bootstrap over them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Profile
from experiments import cifar10_roc, markdown
from experiments.common import LABELS, Rows
from experiments.jobs.verdicts import JudgeModels
from experiments.plots import verdicts as plots

NAME = "verdicts"
SHOWS = (NAME, "verdicts_shares", "verdicts_splits")
RATE = "0.05"
TESTS = ("evaluation", "each")  # sequential tests, by whom they are judged


def jobs(profile: Profile) -> dict[str, JudgeModels]:
    """Each fingerprint of `cifar10_roc` that has a key."""
    scores = cifar10_roc.jobs(profile)
    return {
        name: JudgeModels(job) for name, job in scores.items() if isinstance(job, ScoreFingerprint)
    }


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the tables and draw the figure."""
    found = {name: row for name, row in rows.items() if "shares" in row}
    if not found:
        return
    note = _note(found, profile)
    markdown.write_table(
        directory.parent / "verdicts.md",
        "Verdicts over models",
        [
            *("method", "inputs", "p of independent models", "p of surrogates"),
            "beta-binomial p of each reference",
            *(f"{test}: {kind}" for test in TESTS for kind in ("surrogates", "independent models")),
        ],
        [_verdict_line(name, row) for name, row in found.items()],
        note,
    )
    markdown.write_table(
        directory.parent / "verdicts_shares.md",
        "Surrogates caught, by log-likelihood ratio and by CAEAcc",
        ["method", "queries", *_share_columns("LLR"), *_share_columns("CAEAcc")],
        [_share_line(name, point) for name, row in found.items() for point in row["shares"]],
        f"Value [95 % bootstrap over models]. {note}",
    )
    _write_splits(found, directory.parent / "verdicts_splits.md", note)
    plots.verdicts(found, directory / NAME, rate=RATE, caption=note)


def _write_splits(found: Rows, path: Path, note: str) -> None:
    alphas = list(next(iter(found.values()))["splits"]["accused"])
    kinds = {"accused": "independent accused", "caught": "copies caught", "missed": "copies missed"}
    lines = [
        [LABELS[name], str(row["splits"]["known"]), str(row["splits"]["tests"])]
        + [f"{row['splits'][kind][alpha]:.1%}" for kind in kinds for alpha in alphas]
        for name, row in found.items()
    ]
    header = [f"{text}, alpha {alpha}" for text in kinds.values() for alpha in alphas]
    markdown.write_table(
        path,
        "The sequential test over random choices of calibration models",
        ["method", "known of each kind", "tests of independent models", *header],
        lines,
        f"The tests share models: their number is no number of models. {note}",
    )


def _share_columns(score: str) -> list[str]:
    return [f"{score}: AUC", f"{score}: caught at 5 %", f"{score}: caught at 1 %"]


def _share_line(name: str, point: dict[str, Any]) -> list[str]:
    cells = [LABELS[name], str(point["inputs"])]
    for score in ("llr", "cae_accuracy"):
        caught = point[score]["caught"]
        cells.append(_cell(point[score]["auc"], "{:.3f}"))
        cells += [_cell(caught[rate], "{:.0%}") for rate in ("0.05", "0.01")]
    return cells


def _cell(value: list[float], form: str) -> str:
    middle, low, high = (form.format(number) for number in value)
    return f"{middle} [{low}, {high}]"


def _verdict_line(name: str, row: dict[str, Any]) -> list[str]:
    p_values = row["p_values"]
    return [
        LABELS[name],
        str(row["fingerprint"]["inputs"]),
        _sorted(one["rank"] for one in p_values["independent"]),
        _sorted(one["rank"] for one in p_values["surrogates"]),
        _sorted(p_values["each_reference"]),
        *(_ends(row["sequential"][test][kind]) for test in TESTS for kind in plots.GROUPS),
    ]


def _ends(ends: dict[str, Any]) -> str:
    undecided = ends["models"] - ends["match"] - ends["no_match"]
    counts = f"{ends['match']} match, {ends['no_match']} not, {undecided} undecided"
    return f"{counts}; {ends['mean']:.1f} queries"


def _sorted(values: Any) -> str:
    return ", ".join(f"{value:.2g}" for value in sorted(values))


def _note(found: Rows, profile: Profile) -> str:
    """What the numbers are over, and of how many models."""
    row = next(iter(found.values()))
    known, judged = row["p_values"]["references"], len(row["p_values"]["independent"])
    each = row["sequential"]["each"]["independent"]["models"]
    data = row["fingerprint"]["data"]
    kind = ", a stand-in" if data.get("stand_in") else ""
    inputs = ", ".join(dict.fromkeys(str(r["fingerprint"]["inputs"]) for r in found.values()))
    return (
        f"{data['name']}{kind}, profile {profile.name}, n = {inputs} inputs. Ranks, and the "
        f"sequential test `evaluation`: {judged} evaluation models of each kind against {known} "
        f"calibration references, so that the smallest p is {1 / (known + 1):.2g}. Else, `each`: "
        f"each of {each} surrogates and {each} references is judged by the others; shares caught "
        f"are above all references but {each // 20} at 5 %, and but {each // 100} at 1 %. "
        f"Sequential test at alpha {row['alpha']:g}; queries are means."
    )
