"""CEM on a part of ImageNet32, with nets of five architectures [Lukas21, App. A.2, Table 3 and 4].

The defender's ensemble mixes architectures; thieves and unseen references have all of them, too.
Runs only when it is named.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.study.imagenet32 import imagenet32_setting
from cemfp.study.imagenet32_jobs import imagenet32_jobs
from cemfp.study.jobs import Job
from cemfp.study.profiles import Profile
from experiments.common import Rows

NAME = "imagenet32"


def jobs(profile: Profile) -> dict[str, Job]:
    """The fingerprint, the source's answers, and those of every thief and unseen reference."""
    return imagenet32_jobs(imagenet32_setting(profile))


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw the figure and write the tables."""
    del rows, profile, directory
