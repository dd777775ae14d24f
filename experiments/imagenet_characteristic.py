"""Characteristic examples of VGG16 on ImageNet [Wang21, Table 1 and Fig. 1, 2a, 3].

Runs only when it is named: it needs Keras' published weights, ImageNet's images for pruning with
retraining, and a large GPU. The same at every profile.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.engine.jobs import Job
from cemfp.jobs.zoo import Profile
from experiments import characteristic
from experiments.common import CHARACTERISTIC, Rows
from experiments.jobs.base_models import imagenet_setting

NAME = "imagenet_characteristic"


def jobs(profile: Profile) -> dict[str, Job]:
    """All answers, the gallery's examples, the saliency."""
    del profile
    return characteristic.jobs(imagenet_setting())


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw Figures 1, 2a and 3, and write Table 1."""
    del profile
    characteristic.draw(
        rows,
        imagenet_setting(),
        CHARACTERISTIC["table1_imagenet_vgg16"],
        [str(label) for label in range(1000)],
        directory,
        NAME,
        "Uniqueness scores of VGG16 on ImageNet [Wang21, Table 1]",
    )
