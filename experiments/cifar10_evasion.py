"""Does a thief's detector recognise the fingerprint's queries [Lukas21, Fig. 3b; Hitaj19]?

For each epsilon and each of three thieves, a detector learns to tell benign images from FGM, PGD
and CW examples of the thief's own surrogate; then it looks for fingerprint inputs among test
images. An AUC of 0.5 is a blind detector. Two controls: held-out examples of its own sort, since a
detector that fails there says nothing about fingerprints; and benign images with random noise of
one grey level, since one that finds these sees any change of pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.attacks import ATTACKS
from cemfp.fingerprint.from_attack import FromAttack
from cemfp.jobs.fingerprint import MakeFingerprint
from cemfp.jobs.zoo import Profile
from cemfp.numerics import metrics
from experiments.common import Rows, cem, fingerprints, score
from experiments.jobs.cases import cases
from experiments.jobs.detection import DetectFingerprint, TrainDetector
from experiments.plots import sweeps
from experiments.profiles import setting_of

NAME = "cifar10_evasion"
IMAGES = {"demo": 400, "small": 3_000, "paper": 20_000}
OWN_TASK, NOISE = "own task", "random noise"


def jobs(profile: Profile) -> dict[str, DetectFingerprint]:
    """One detector for each epsilon and thief, asked about every method's fingerprint."""
    thieves = cases(profile)[f"retrain_{profile.net.name}"]
    return {
        f"{epsilon} | {number}": DetectFingerprint(
            TrainDetector(thief, profile.data, epsilon, setting_of(profile, IMAGES), thief.seed),
            tuple(_asked(profile, epsilon).items()),
        )
        for epsilon in profile.epsilons
        for number, thief in enumerate(thieves)
    }


def _asked(profile: Profile, epsilon: float) -> dict[str, MakeFingerprint]:
    """The fingerprints of one radius, and those that have none."""
    free = {
        name: job
        for name, job in fingerprints(profile).items()
        if name in ("ipguard", "misclassified")
    }
    attacks = {name: score(profile, FromAttack(name, epsilon)).fingerprint for name in ATTACKS}
    return {"cem": score(profile, cem(profile, epsilon)).fingerprint, **attacks, **free}


def aucs(rows: Rows, epsilon: float) -> dict[str, list[float]]:
    """Return the AUC of each thief's detector by method, and on its own task."""
    found: dict[str, list[float]] = {}
    for key, row in rows.items():
        if key.startswith(f"{epsilon} | ") and "fingerprints" in row:
            found.setdefault(OWN_TASK, []).append(row["own_task"]["auc"])
            found.setdefault(NOISE, []).append(row["noise"]["auc"])
            for name, detection in row["fingerprints"].items():
                if detection is not None:
                    found.setdefault(name, []).append(detection["auc"])
    return found


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw the mean AUC over thieves against epsilon."""
    lines: dict[str, list[tuple[float | None, dict[str, Any]]]] = {}
    for epsilon in profile.epsilons:
        for name, values in aucs(rows, epsilon).items():
            lines.setdefault(name, []).append((epsilon, metrics.summary(values)))
    if not lines:
        return
    thieves = max(len(values) for values in aucs(rows, profile.epsilon).values())
    sweeps.over_epsilon(
        lines,
        directory / NAME,
        ylabel="detector's ROC AUC ± standard error",
        caption=f"{profile.data}, profile {profile.name}: n = {thieves} thieves for each ε, "
        f"{setting_of(profile, IMAGES)} images each, no error bar for n = 1; 0.5 is blind; "
        "own task: held-out FGM, PGD and CW; random noise: benign images, at most one grey level "
        "off",
    )
