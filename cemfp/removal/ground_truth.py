"""The ground-truth attack: part of the labels are true, the rest is stolen [Lukas21, Sec. 5]."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from cemfp.removal.attack import Family, Stolen
from cemfp.removal.extraction import FROM_SCRATCH
from cemfp.removal.thief import RemovalError, Thief
from cemfp.training.loop import soft_targets
from cemfp.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class GroundTruth:
    """Train a fresh net on ground truth for a share of the images, on the victim for the others.

    Attributes:
        share: p, the share of images whose true label the thief knows.
    """

    name: ClassVar[str] = "ground-truth"
    family: ClassVar[Family] = "adapted"
    needs: ClassVar[tuple[str, ...]] = ("queries", "images", "labels")
    recipe: ClassVar[Recipe | None] = FROM_SCRATCH
    like_victim: ClassVar[bool] = False

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise RemovalError(f"expected a share in [0, 1]. Received: {self.share}")

    def __call__(self, thief: Thief) -> Stolen:
        """Draw who is labelled by whom, ask for the rest, train."""
        count = len(thief.images)
        known = thief.chance().permutation(count)[: round(self.share * count)]
        targets = soft_targets(thief.truth(), thief.victim.classes)
        asked = np.setdiff1d(np.arange(count), known)
        if len(asked):
            targets[asked] = thief.ask_transfer_set(asked)
        return Stolen(
            thief.train(thief.images.images, targets),
            {"ground_truth_share": len(known) / count},
        )
