"""Which images should the study take: the JPEG-compressed copy, or one with its noise floor back?

On the compressed copy a thief's detector finds a single grey level of noise, and compressing again
costs nothing. Both say something of the copy, not of fingerprints. Here are the variants of
`cemfp.data.variants`: the accuracy that each costs a shortly trained net, what JPEG 75 in front of
it costs, and what two detectors see. It runs only when it is named.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.data.variants import VARIANTS
from cemfp.jobs.train import TrainNet
from cemfp.jobs.zoo import FIRST_SEED, Profile
from cemfp.models.roles import Role
from cemfp.training.recipe import Recipe
from experiments import markdown
from experiments.common import Rows
from experiments.jobs.variants import QUALITY, MeasureVariant

NAME = "image_variants"
DATA = "cifar10"
# Short: it ranks the images. What the zoo's recipe loses on those that were chosen is seen in
# `experiments.recipes` (the set itself) and `experiments.zoo`.
RECIPE = Recipe(epochs=2, optimizer="muon", crop=20, full_size=0.4)
EPSILON, IMAGES, ASKED = 0.025, 5_000, 2_000


def jobs(profile: Profile) -> dict[str, MeasureVariant]:
    """The set itself, then each variant, moved ones first; the same whatever the profile."""
    del profile
    sets = [DATA, *(f"{DATA}-{variant}" for variant in reversed([*VARIANTS]))]
    seed = FIRST_SEED[Role.SOURCE]
    return {
        data: MeasureVariant(
            TrainNet(data, RECIPE, seed, Role.SOURCE.value), EPSILON, IMAGES, ASKED
        )
        for data in sets
    }


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table."""
    found = {name: row for name, row in rows.items() if "test_accuracy" in row}
    if not found:
        return
    lines = [
        [
            name,
            f"{row['test_accuracy']:.2%}",
            f"{row['test_accuracy_behind_jpeg']:.2%}",
            f"{row['grey_levels_changed_by_jpeg']:.2f}",
            _cell(row["noise_seen_by_noise_detector"]),
            _cell(row["noise_seen_by_fgm_detector"]),
            _cell(row["fgm_seen_by_fgm_detector"]),
        ]
        for name, row in found.items()
    ]
    epochs = next(iter(found.values()))["recipe"]["epochs"]
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "Variants of the images",
        [
            "images",
            "test accuracy",
            f"behind JPEG {QUALITY}",
            f"mean change by JPEG {QUALITY}, grey levels",
            "noise of one grey level: AUC of a detector that learnt FGM, then it",
            "of one that learnt FGM alone",
            "FGM: AUC of a detector that learnt it",
        ],
        lines,
        f"One ResNet20 per row, {epochs} epochs, n = 1, seed 0; detectors learn {IMAGES:,} "
        f"training images and as many changed ones, and are asked about {ASKED:,} test images; "
        f"FGM with epsilon {EPSILON}; AUC with a 95 % bootstrap interval over images.",
    )


def _cell(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['auc']:.3f} [{low:.3f}, {high:.3f}]"
