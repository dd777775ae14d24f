"""Characteristic examples of CNN-1 [Wang21, Table 2 and Fig. 1, 2a, 3].

The base is pruned five times at each ratio, variants are the same net from other initial weights;
the paper has 20, profile `small` 5 of a narrower net.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.engine.jobs import Job
from cemfp.jobs.zoo import Profile
from experiments import characteristic, findings
from experiments.common import CHARACTERISTIC, Rows, class_names
from experiments.jobs.base_models import PAPER_ETA, cnn1_setting

NAME = "cifar10_characteristic"


def jobs(profile: Profile) -> dict[str, Job]:
    """All answers, the gallery's examples, the saliency."""
    return characteristic.jobs(cnn1_setting(profile))


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw Figures 1, 2a and 3, write Table 2 and what it says of the paper's findings."""
    setting, published = cnn1_setting(profile), CHARACTERISTIC["table2_cifar10_cnn1"]
    characteristic.draw(
        rows,
        setting,
        published,
        class_names(profile),
        directory,
        NAME,
        f"Uniqueness scores of CNN-1 on {profile.data} [Wang21, Table 2], profile {profile.name}",
    )
    if "models" in rows.get("answers", {}):
        found = characteristic.series(rows["answers"], setting)
        found = characteristic.solid(found, rows["answers"], setting)
        path = directory.parent / f"{NAME}_findings.md"
        findings.write(found, setting, PAPER_ETA, path)
