"""What makes a defender's ensemble better: more nets, more of them per step, noise on the images.

CEM with a random few of the surrogates and references at each step costs the same however many
nets there are. Here is the gap between unseen copies and strangers over that cost, for ensembles of
several sizes; and what shifts, noise on the images, twins under weight noise and snapshots of the
trainings add. Judged on the calibration models; the evaluation models are reported and choose
nothing.
"""

from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path
from typing import Any

from cemfp.fingerprint.cem import CEM
from cemfp.jobs.cost import size_of
from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Group, Profile
from cemfp.models.roles import Role
from experiments import markdown
from experiments.common import Rows, caption, cem, score
from experiments.jobs.snapshots import with_snapshots
from experiments.plots import members as plots
from experiments.profiles import setting_of

NAME = "ensemble_members"
SEEDS = (0, 1)
SIZES, FEW = (1, 2, 4, 8, 18), (1, 2)
# Nets of the defender that a study trained beyond those of its profile.
DEFENDER = {"strong-first": 2}
# Of a side, as `cemfp protect` shifts; and noise in parts of epsilon.
SIDES_PER_SHIFT, NOISE_PER_EPSILON, TWINS = 16, 0.4, 0.03
# Snapshots of the nets at these shares of their steps, where training once more costs seconds, and
# the number of nets that they join.
SNAPSHOTS: dict[str, tuple[float, ...]] = {"demo": (0.6, 0.8)}
WITH_SNAPSHOTS = (2, 4)


def ways(profile: Profile) -> dict[str, dict[str, Any]]:
    """Return what a step of CEM may do to the images and to the nets: arguments of the method."""
    shift = {"shift": max(1, size_of(profile.data)[0][0] // SIDES_PER_SHIFT)}
    noise = {"noise": round(NOISE_PER_EPSILON * profile.epsilon, 6)}
    twins = {"twins": TWINS}
    return {
        "shifts": shift,
        "noise": noise,
        "shifts and noise": shift | noise,
        "twins": twins,
        "shifts, noise and twins": shift | noise | twins,
    }


def jobs(profile: Profile) -> dict[str, ScoreFingerprint]:
    """Sizes of the ensemble with members per step; then each way with the largest."""
    found: dict[str, ScoreFingerprint] = {}
    profile = dataclasses.replace(profile, defender=setting_of(profile, DEFENDER, profile.defender))
    sizes = [size for size in SIZES if size <= profile.defender]
    most = sizes[-1]
    asked = max(1, min(FEW[-1], most // 2))
    for seed in SEEDS:
        for size in sizes:
            for few in (*(few for few in FEW if few < size), size):
                name = f"{size} + {size}, {few} + {few} per step, seed {seed}"
                method = cem(profile, members_per_step=few if few < size else 0)
                found[name] = score(profile, method, defender=size, seed=seed)
        for way, changes in ways(profile).items():
            method = cem(profile, members_per_step=asked, **changes)
            name = f"{most} + {most}, {asked} + {asked} per step, {way}, seed {seed}"
            found[name] = score(profile, method, defender=most, seed=seed)
        if shares := setting_of(profile, SNAPSHOTS, ()):
            found |= _with_snapshots(profile, shares, seed)
    return found


def _with_snapshots(
    profile: Profile, shares: tuple[float, ...], seed: int
) -> dict[str, ScoreFingerprint]:
    """Every snapshot is one more member; a step asks as many as there are nets, or all."""
    found = {}
    for size in WITH_SNAPSHOTS:
        for few in (size, 0):
            job = score(profile, cem(profile, members_per_step=few), defender=size, seed=seed)
            candidates = job.fingerprint.candidates
            group = Group(
                with_snapshots(candidates.defender.surrogates, shares),
                with_snapshots(candidates.defender.references, shares),
            )
            more = dataclasses.replace(
                job.fingerprint, candidates=dataclasses.replace(candidates, defender=group)
            )
            asked = few or len(group.surrogates)
            name = f"{size} + {size}, {asked} + {asked} per step, snapshots as members, seed {seed}"
            found[name] = dataclasses.replace(job, fingerprint=more)
    return found


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw the gap over the cost, and write the table: the seeds of a setting together."""
    known = {name: row for name, row in rows.items() if "models" in row}
    if not known:
        return
    costs = {_setting(name): gradients(job) for name, job in jobs(profile).items()}
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, row in known.items():
        groups.setdefault(_setting(name), []).append(row)
    note = caption(known, profile, Role.CALIBRATION)
    plots.gap_over_cost(
        [_point(name, costs[name], found) for name, found in groups.items()],
        directory / NAME,
        caption=note,
    )
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "Members of the ensemble",
        [
            "ensemble",
            "n",
            "net gradients per image",
            "inputs",
            "gap, calibration",
            "range",
            "gap, evaluation",
        ],
        [_line(name, costs[name], found) for name, found in groups.items()],
        f"{note}; {profile.evaluation} + {profile.evaluation} evaluation models. n: seeds "
        "(starting images and draws); gap: mean CAEAcc of surrogates less that of references. "
        f"CEM with {profile.steps} steps, epsilon {profile.epsilon}.",
    )


def gradients(job: ScoreFingerprint) -> int:
    """Return how many gradients of nets each image costs: steps times the nets that a step asks."""
    candidates = job.fingerprint.candidates
    method, nets = candidates.method, len(candidates.defender.surrogates)
    assert isinstance(method, CEM)
    return method.steps * 2 * method.per_step(nets)


def gap(row: dict[str, Any], role: Role = Role.CALIBRATION) -> float:
    """Return the mean CAEAcc of a role's surrogates less that of its references."""
    found = row[role.value]
    return found["surrogates"]["mean"] - found["references"]["mean"]


def _point(name: str, cost: int, found: list[dict[str, Any]]) -> plots.Point:
    size, _, *way = name.split(", ", 2)
    inputs = statistics.mean(row["fingerprint"]["inputs"] for row in found)
    return plots.Point(", ".join([size, *way]), cost, [gap(row) for row in found], inputs)


def _setting(name: str) -> str:
    return name.rsplit(", seed ", 1)[0]


def _line(name: str, cost: int, found: list[dict[str, Any]]) -> list[str]:
    gaps = [gap(row) for row in found]
    return [
        name,
        str(len(found)),
        f"{cost:,}",
        " / ".join(str(row["fingerprint"]["inputs"]) for row in found),
        f"{statistics.mean(gaps):+.3f}",
        f"{min(gaps):+.3f} to {max(gaps):+.3f}",
        f"{statistics.mean(gap(row, Role.EVALUATION) for row in found):+.3f}",
    ]
