"""Conferrability over epsilon [Lukas21, Fig. 3a]: CEM against attacks on the source alone.

Every candidate counts that leaves its true class in the source; there is no filter on the
defender's models, so that methods are compared and not filters. The paper reports a mean
conferrability of CEM of 0.49 at epsilon 0.01 and of 0.24 at 0.15.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.attacks import ATTACKS
from cemfp.fingerprint.from_attack import FromAttack
from cemfp.fingerprint.ipguard import IPGuard
from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Profile
from experiments.common import Rows, caption, cem, score
from experiments.plots import sweeps

NAME = "cifar10_conferrability"


def jobs(profile: Profile) -> dict[str, ScoreFingerprint]:
    """CEM and each attack at every epsilon of the profile, and IPGuard, which has none, once."""
    found = {"ipguard": score(profile, IPGuard(), filtered=False)}
    for epsilon in profile.epsilons:
        found[f"cem {epsilon}"] = score(profile, cem(profile, epsilon), filtered=False)
        for name in ATTACKS:
            attack = FromAttack(name, epsilon)
            found[f"{name} {epsilon}"] = score(profile, attack, filtered=False)
    return found


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw mean conferrability with its standard error over inputs, against epsilon."""
    lines: dict[str, list[tuple[float | None, dict[str, Any]]]] = {}
    for key, row in rows.items():
        if "evaluation" in row:
            point = row["fingerprint"]["epsilon"], row["evaluation"]["confer"]
            lines.setdefault(key.split()[0], []).append(point)
    sweeps.over_epsilon(
        lines,
        directory / NAME,
        ylabel="mean conferrability ± standard error",
        caption=f"{caption(rows, profile)}. n: inputs that left their class, of "
        f"{profile.candidates}",
    )
