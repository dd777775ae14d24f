"""CAEAcc against test accuracy during training [Lukas21, Fig. 4e].

The evaluation models are trained once more, with the same seeds, and measured on the way. The
paper's surrogates keep a high CAEAcc as soon as they are any good, its references stay below.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.jobs.zoo import Profile, make_zoo
from experiments.common import PAPER, Rows, cem, score
from experiments.jobs.curves import FollowTraining
from experiments.plots import sweeps

NAME = "cifar10_training"
MODELS = 2  # surrogates, and references


def jobs(profile: Profile) -> dict[str, FollowTraining]:
    """The first evaluation surrogates and references, and CEM's fingerprint."""
    fingerprint = score(profile, cem(profile)).fingerprint
    evaluation = make_zoo(profile).evaluation
    models = evaluation.surrogates[:MODELS] + evaluation.references[:MODELS]
    return {model.label(): FollowTraining(model, fingerprint) for model in models}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw each training as a line of points."""
    found = [row for row in rows.values() if "points" in row]
    if found:
        sweeps.training(found, directory / NAME, caption=_caption(found, profile))


def _caption(rows: list[dict], profile: Profile) -> str:
    counts = {o: sum(row["origin"] == o for row in rows) for o in ("surrogate", "reference")}
    return (
        f"profile {profile.name} on {profile.data}, ε = {rows[0]['epsilon']:g}, "
        f"{rows[0]['inputs']} inputs, {rows[0]['test_images']} test images: "
        f"{counts['surrogate']} surrogates and {counts['reference']} references; least accuracy "
        "of a successful attack in the paper: "
        f"{PAPER['table2_surrogate_test_accuracy']['minimum_for_success']} %"
    )
