"""Input transforms in front of the source: do they hide it? Beyond the paper.

The stolen model is the source itself, bit by bit; only what it sees is changed. Mind the data: a
JPEG-compressed copy of CIFAR-10 loses nothing when it is compressed at the same quality again, so
that this transform costs no accuracy there.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.jobs.remove import JudgeTransform
from cemfp.jobs.zoo import Profile, make_zoo
from experiments import markdown
from experiments.common import Rows, fingerprints

NAME = "cifar10_transforms"
SHOWS = ("transforms",)
TRANSFORMS = (
    "", "jpeg=90", "jpeg=75", "jpeg=50", "bit-depth=5", "bit-depth=4", "bit-depth=3",
    "blur=0.4", "blur=0.6", "noise=0.02", "noise=0.05", "flip",
)  # fmt: skip
TEST_IMAGES = 2_000


def jobs(profile: Profile) -> dict[str, JudgeTransform]:
    """The source behind each transform, asked for every fingerprint."""
    asked, source = tuple(fingerprints(profile).items()), make_zoo(profile).source
    return {
        name or "none": JudgeTransform(source, name, profile.data, TEST_IMAGES, asked)
        for name in TRANSFORMS
    }


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table."""
    found = [row for row in rows.values() if "cae_accuracy" in row]
    if not found:
        return
    names = list(found[0]["cae_accuracy"])
    lines = [
        [
            row["transform"],
            f"{row['test_accuracy']:.1%}",
            *("–" if value is None else f"{value:.2f}" for value in row["cae_accuracy"].values()),
        ]
        for row in found
    ]
    markdown.write_table(
        directory.parent / "transforms.md",
        "Input transforms in front of the source",
        ["transform", "test accuracy", *names],
        lines,
        f"CAEAcc by fingerprint; {profile.data}, profile {profile.name}, one source, "
        f"{found[0]['test_images']} test images; noise has one seed.",
    )
