"""What does it cost to let a committed rule name the labels? Targeted against untargeted CEM.

A rule leaves CEM the first k labels of a random ranking; with one, the label is fixed before
anything is computed. Same nets and steps; every candidate that passes the filters is an input, so
that their number is comparable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.figures.drawing import describe
from cemfp.jobs.fingerprint import MakeCandidates, MakeFingerprint
from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Profile, make_zoo
from experiments import markdown
from experiments.common import Rows, cem
from experiments.false_claims import by_rule

NAME = "targeting"
KS = (1, 3)


def jobs(profile: Profile) -> dict[str, ScoreFingerprint]:
    """Untargeted, then targeted with the first k labels."""
    zoo, count = make_zoo(profile), profile.candidates
    free = MakeCandidates(cem(profile), profile.data, zoo.source, zoo.defender, count)
    made = {"untargeted": MakeFingerprint(free, size=count, balance=False)}
    made |= {f"k = {k}": by_rule(profile, k, size=count) for k in KS}
    return {
        name: ScoreFingerprint(job, zoo.calibration, zoo.evaluation) for name, job in made.items()
    }


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table: one line for each form."""
    found = {name: row for name, row in rows.items() if "evaluation" in row}
    if not found:
        return
    some = next(iter(found.values()))
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "CEM with labels that a rule names",
        [
            *("labels", f"inputs of {profile.candidates}", "Confer, defender"),
            *("Confer, evaluation", "CAEAcc gap, calibration", "CAEAcc gap, evaluation"),
            "ROC AUC, evaluation",
        ],
        [_line(name, row) for name, row in rows.items()],
        f"{describe(some['fingerprint']['data'])}, profile {profile.name}, epsilon "
        f"{profile.epsilon:g}, {profile.steps} steps, {profile.defender} surrogates and references "
        f"of the defender; {some['calibration']['surrogates']['n']} "
        f"calibration and {some['evaluation']['surrogates']['n']} evaluation surrogates, and as "
        "many references. Gap: mean CAEAcc of surrogates less that of references.",
    )


def _line(name: str, row: dict[str, Any]) -> list[str]:
    if "evaluation" not in row:
        return [name, "0", *["–"] * 5]
    made, groups = row["fingerprint"], (row["calibration"], row["evaluation"])
    gaps = [g["surrogates"]["mean"] - g["references"]["mean"] for g in groups]
    return [
        name,
        str(made["inputs"]),
        f"{made['defender_confer']:.2f}",
        markdown.spread(groups[1]["confer"]),
        *(f"{gap:.2f}" for gap in gaps),
        f"{groups[1]['auc']:.2f} (at least {groups[1]['auc_lower_bound']:.2f})",
    ]
