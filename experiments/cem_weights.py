"""Sensitivity to the weights of CEM's loss [Lukas21, Table 5].

The paper's grid, alpha, beta and gamma in {0.1, 0.5, 1}, on 50 starting images. To keep 27 runs
affordable, profile `small` uses four surrogates and four references of the defender and 30 steps
of size 2e-3; the maximum in the loss leaves out the clean class, since the literal form stalls
(see `cem_forms`). Profile `demo` has the corners of the grid only. One run per cell. Judged without
a filter on unseen models, as in the paper.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Profile
from experiments import markdown
from experiments.common import NOT_RUN, PAPER, Rows, caption, cem, score
from experiments.profiles import setting_of

NAME = "cem_weights"
SHOWS = ("table5_weights",)
GRID = (0.1, 0.5, 1.0)
CORNERS = {"demo": (0.1, 1.0)}
COUNT = 50
SHORT: dict[str, dict[str, Any]] = {"small": {"steps": 30, "learning_rate": 2e-3}}
DEFENDER = {"small": 4}


def jobs(profile: Profile) -> dict[str, ScoreFingerprint]:
    """One candidate run per cell of the grid."""
    return {
        f"{alpha} {beta} {gamma}": score(
            profile,
            cem(profile, alpha=alpha, beta=beta, gamma=gamma, **setting_of(profile, SHORT, {})),
            count=COUNT,
            filtered=False,
            defender=setting_of(profile, DEFENDER, 0),
        )
        for alpha, beta, gamma in itertools.product(setting_of(profile, CORNERS, GRID), repeat=3)
    }


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table, best cell first."""
    lines = []
    for key, row in rows.items():
        if "evaluation" not in row:
            moved = "not run" if row["missing"] == NOT_RUN else "0"
            lines.append((-1.0, [*key.split(), moved, "–", "–", "–"]))
            continue
        found = row["evaluation"]
        cells = [
            str(row["fingerprint"]["inputs"]),
            markdown.spread(found["confer"]),
            f"{found['surrogates']['mean']:.2f}",
            f"{found['references']['mean']:.2f}",
        ]
        lines.append((found["confer"]["mean"], [*key.split(), *cells]))
    best = PAPER["table5_sensitivity"]["best"]
    markdown.write_table(
        directory.parent / "table5_weights.md",
        "Weights of CEM's loss [Lukas21, Table 5]",
        ["α", "β", "γ", f"moved of {COUNT}", "conferrability", "surrogates", "references"],
        [cells for _, cells in sorted(lines, key=lambda line: -line[0])],
        f"Conferrability: mean ± standard deviation over the inputs that left their class. The "
        f"paper's best cell is α {best['alpha']:g}, β {best['beta']:g}, γ {best['gamma']:g} with "
        f"{best['confer']}, every cell with α 0.1 has 0.20. {caption(rows, profile)}.",
    )
