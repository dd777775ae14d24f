"""The nets that thieves use, trained on the ground truth: parameters, images/s, accuracy.

At profile `small` all but ResNet20 are narrow, about as costly as ResNet20: the published widths
take up to ten times as long. One seed each; the table is about sanity, not about ranks.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import FIRST_SEED, REFERENCE_OFFSET, Profile, make_zoo
from cemfp.models.roles import Role
from experiments import markdown
from experiments.common import Rows
from experiments.jobs.cases import MEANS
from experiments.jobs.nets import DescribeNet
from experiments.profiles import setting_of

NAME = "cifar10_nets"
SHOWS = ("nets",)
# Nets that no attack on CIFAR-10 uses; the paper takes them for ImageNet32.
# Depthwise convolutions have no fast bfloat16 form on a CPU.
PRECISION = {"mobilenetv2": "float32"}
EPOCHS = {"demo": 6}  # fifty-six layers take minutes even on digits
OTHERS = {
    "resnet56": Net("resnet56", (("width", 8),)),
    "mobilenetv2": Net("mobilenetv2", (("width", 8),)),
}


def jobs(profile: Profile) -> dict[str, DescribeNet]:
    """One training of each net; of the profile's own net there is one already."""
    nets = {**dict(setting_of(profile, MEANS).nets), **OTHERS}
    trained = {profile.net.name: make_zoo(profile).evaluation.references[0]}
    epochs = setting_of(profile, EPOCHS, profile.recipe.epochs)
    for name, net in nets.items():
        precision = PRECISION.get(name, "auto")
        trained[name] = TrainNet(
            data=profile.data,
            recipe=dataclasses.replace(profile.recipe, epochs=epochs, precision=precision),
            seed=FIRST_SEED[Role.ATTACKER] + REFERENCE_OFFSET,
            role=Role.ATTACKER.value,
            net=net,
        )
    return {name: DescribeNet(job) for name, job in trained.items()}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table."""
    found = [row for row in rows.values() if "parameters" in row]
    lines = [
        [
            row["net"],
            ", ".join(f"{key} {value}" for key, value in row["arguments"].items()) or "published",
            f"{row['parameters']:,}",
            f"{row['images_per_second']:.0f}",
            f"{row['test_accuracy']:.2%}",
        ]
        for row in found
    ]
    if not found:
        return
    recipe, data = found[0]["recipe"], found[0]["data"]
    epochs = " or ".join(sorted({str(row["recipe"]["epochs"]) for row in found}))
    markdown.write_table(
        directory.parent / "nets.md",
        "Nets",
        ["net", "width and depth", "parameters", "images/s", "test accuracy"],
        lines,
        f"{data['name']}, {data['train_size']:,} images, profile {profile.name}: "
        f"{epochs} epochs, batch {recipe['batch_size']}, one seed each. Images/s on one "
        "core of a busy machine, start and test included.",
    )
