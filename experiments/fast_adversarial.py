"""What adversarial training costs a thief: one or two gradient steps, with the recipe of the zoo.

FGSM with a random start [Wong, Rice, Kolter, ICLR 2020] is PGD of one step of 1.25 epsilon. Robust
accuracy is that under PGD of 20 steps through ART. It runs only when it is named.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from cemfp.jobs.train import TrainNet
from cemfp.jobs.zoo import FIRST_SEED, Profile
from cemfp.models.roles import Role
from cemfp.removal.adversarial_training import AdversarialTraining
from experiments import markdown
from experiments.common import Rows
from experiments.jobs.cases import FAST_STEP
from experiments.jobs.robust import RADII, MeasureRobust

NAME = "fast_adversarial"
SEEDS = (0, 1)
ATTACKED = 500
PLAIN = "plain"


def jobs(profile: Profile) -> dict[str, MeasureRobust]:
    """Plain training, then one and two steps for each radius; the next seed after that."""
    first = FIRST_SEED[Role.EVALUATION]
    found = {}
    for seed in SEEDS:
        net = TrainNet(profile.data, profile.recipe, first + 900 + seed, "evaluation", profile.net)
        found[f"{PLAIN} | {seed}"] = MeasureRobust(net, None, ATTACKED)
        for radius in RADII:
            for name, attack in _attacks(radius).items():
                found[f"{name} | {seed}"] = MeasureRobust(net, attack, ATTACKED)
    return found


def _attacks(radius: float) -> dict[str, AdversarialTraining]:
    levels = round(255 * radius)
    plain = AdversarialTraining(epsilon=radius, steps=2)
    fast = dataclasses.replace(plain, steps=1, step_size=FAST_STEP * radius)
    return {f"FGSM, random start, {levels}/255": fast, f"PGD of 2 steps, {levels}/255": plain}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table: the seeds of a setting together."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name, row in rows.items():
        if "robust_accuracy" in row:
            found[name.partition(" | ")[0]].append(row)
    if PLAIN not in found:
        return
    some = found[PLAIN][0]
    cost = _mean(found[PLAIN], "core_seconds")
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "Fast adversarial training",
        [
            "training",
            "n",
            "test accuracy",
            *(f"under PGD-20, {round(255 * radius)}/255" for radius in some["radii"]),
            "core-seconds, of plain training",
        ],
        [_line(name, same, cost) for name, same in found.items()],
        f"ResNet20 on {some['data']['name']} ({some['data']['note']}), profile {profile.name}: "
        f"{some['recipe']['epochs']} epochs, {some['precision']}; n seeds, their range in "
        f"brackets; PGD on the first {some['attacked']} test images. Processor time on a machine "
        "with other load.",
    )


def _line(name: str, found: list[dict[str, Any]], cost: float) -> list[str]:
    robust = zip(*(row["robust_accuracy"] for row in found), strict=True)
    return [
        name,
        str(len(found)),
        _spread([row["test_accuracy"] for row in found]),
        *(_spread(list(shares)) for shares in robust),
        f"{_mean(found, 'core_seconds') / cost:.2f}",
    ]


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return statistics.mean(row[name] for row in rows)


def _spread(shares: list[float]) -> str:
    text = f"{statistics.mean(shares):.1%}"
    return text if len(shares) == 1 else f"{text} ({min(shares):.1%} to {max(shares):.1%})"
