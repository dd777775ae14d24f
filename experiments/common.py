"""What experiments share: the score job of a method, and the names methods have in figures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from cemfp.attacks import ATTACKS
from cemfp.data.cifar10 import CLASSES
from cemfp.figures import looks
from cemfp.figures.drawing import describe
from cemfp.fingerprint.cem import CEM
from cemfp.fingerprint.from_attack import FromAttack
from cemfp.fingerprint.ipguard import IPGuard
from cemfp.fingerprint.misclassified import Misclassified
from cemfp.jobs.fingerprint import MakeCandidates, MakeFingerprint
from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Group, Profile, make_zoo
from cemfp.models.roles import Role

Rows = dict[str, dict[str, Any]]

NOT_RUN = "not run yet"  # why a row is missing

LABELS = {name: look.name for name, look in looks.METHODS.items()}

_PUBLISHED = json.loads((Path(__file__).parent / "paper_values.json").read_bytes())
# What [Lukas21] publishes, and what [Wang21] does (in percent).
PAPER: dict[str, Any] = _PUBLISHED["conferrable"]
CHARACTERISTIC: dict[str, Any] = _PUBLISHED["characteristic"]


class Experiment(Protocol):
    """A module of this package; its docstring's first line is its title."""

    NAME: str
    jobs: Callable[[Profile], dict[str, Any]]
    draw: Callable[[Rows, Profile, Path], None]


def cem(profile: Profile, epsilon: float | None = None, **changes: Any) -> CEM:
    """CEM at the profile's size, with `changes` to its hyper-parameters."""
    settings = {
        "epsilon": profile.epsilon if epsilon is None else epsilon,
        "steps": profile.steps,
        "learning_rate": profile.learning_rate,
        "members_per_step": profile.members_per_step,
    }
    return CEM(**(settings | changes))


def score(
    profile: Profile,
    method: CEM | FromAttack | IPGuard | Misclassified,
    *,
    count: int = 0,
    filtered: bool = True,
    quantize: bool = True,
    defender: int = 0,
    seed: int = 0,
) -> ScoreFingerprint:
    """Make a fingerprint with the profile's defender, score it on calibration and evaluation.

    Args:
        profile: Size of the study.
        method: How to perturb.
        count: Starting images; 0 takes the profile's.
        filtered: Whether tau and balance apply; else every input counts that left its class.
        quantize: Round to 8 bits.
        defender: Use only the first surrogates and references of the defender; 0 means all.
        seed: Decides starting images and the method's random choices.
    """
    zoo = make_zoo(profile)
    if defender:
        group = Group(zoo.defender.surrogates[:defender], zoo.defender.references[:defender])
        zoo = dataclasses.replace(zoo, defender=group)
    count = count or profile.candidates
    candidates = MakeCandidates(
        method, profile.data, zoo.source, zoo.defender, count, quantize=quantize, seed=seed
    )
    if filtered:
        fingerprint = MakeFingerprint(candidates, size=profile.size)
    else:
        fingerprint = MakeFingerprint(candidates, size=count, threshold=0.0, balance=False)
    return ScoreFingerprint(fingerprint, zoo.calibration, zoo.evaluation)


def yardsticks(profile: Profile) -> dict[str, FromAttack | IPGuard | Misclassified]:
    """The baselines: evasion attacks at the profile's epsilon, IPGuard, misclassified images."""
    attacks = {name: FromAttack(name, profile.epsilon) for name in ATTACKS}
    return {**attacks, "ipguard": IPGuard(), "misclassified": Misclassified()}


def fingerprints(profile: Profile) -> dict[str, MakeFingerprint]:
    """The fingerprints that suspects are asked: CEM at each epsilon, the yardsticks at one."""
    found = {
        f"cem {epsilon}": score(profile, cem(profile, epsilon)) for epsilon in profile.epsilons
    }
    for name, method in yardsticks(profile).items():
        found[name] = score(profile, method)
    return {name: job.fingerprint for name, job in found.items()}


def class_names(profile: Profile) -> tuple[str, ...]:
    """Names of the classes in figures, without loading the data."""
    return CLASSES if profile.data.startswith("cifar10") else tuple("0123456789")


def caption(rows: Rows, profile: Profile, role: Role = Role.EVALUATION) -> str:
    """Data set, stand-in or not, and the models shown: the line below every figure."""
    count = profile.calibration if role == Role.CALIBRATION else profile.evaluation
    facts = next(row["fingerprint"] for row in rows.values() if "fingerprint" in row)
    return (
        f"{describe(facts['data'])}, profile {profile.name}: {count} {role} surrogates "
        f"and {count} {role} references"
    )
