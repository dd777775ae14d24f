"""The decision threshold over epsilon [Lukas21, Table 1].

Ours is the midpoint between the calibration models' highest reference and lowest surrogate; the
evaluation models are judged by it and have no part in it. The paper does not say how it chose.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Profile
from experiments import markdown
from experiments.common import PAPER, Rows, caption, cem, score

NAME = "cifar10_thresholds"
SHOWS = ("table1_thresholds",)


def jobs(profile: Profile) -> dict[str, ScoreFingerprint]:
    """CEM's filtered fingerprint at each epsilon."""
    return {f"cem {epsilon}": score(profile, cem(profile, epsilon)) for epsilon in profile.epsilons}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table."""
    lines = []
    for row in (row for row in rows.values() if "decision" in row):
        epsilon, decision = row["fingerprint"]["epsilon"], row["decision"]
        threshold = decision["threshold"]
        paper = PAPER["table1_decision_threshold"].get(f"{epsilon:g}", "–")
        if threshold is None:
            lines.append([f"{epsilon:g}", "none", str(paper), "–", "–", "–", decision["rule"]])
            continue
        lines.append(
            [
                f"{epsilon:g}",
                f"{threshold:.3f}",
                str(paper),
                markdown.spread(row["evaluation"]["surrogates"]),
                markdown.spread(row["evaluation"]["references"]),
                f"{decision['surrogates_caught']:.0%} / {decision['references_accused']:.0%}",
                str(row["fingerprint"]["inputs"]),
            ]
        )
    markdown.write_table(
        directory.parent / "table1_thresholds.md",
        "Decision threshold θ [Lukas21, Table 1]",
        ["ε", "θ", "paper", "surrogates", "references", "caught / accused", "inputs"],
        lines,
        f"Mean CAEAcc ± standard deviation of evaluation models. {caption(rows, profile)}.",
    )
