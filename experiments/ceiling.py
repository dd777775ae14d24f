"""How accurate ResNet20 gets on these images at all: one long training on all of them.

The images are a JPEG-compressed copy, so published accuracies are out of reach; every accuracy of
the study is to be read beside this one. One seed, 60 epochs; half an hour on two cores with
bfloat16. The same at every profile on CIFAR-10. It runs only when it is named.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import FIRST_SEED, Profile, owned
from cemfp.models.roles import Role
from cemfp.training.recipe import Recipe
from experiments import markdown
from experiments.common import PAPER, Rows
from experiments.jobs.nets import DescribeNet

NAME = "ceiling"
RECIPE = Recipe(epochs=60, batch_size=128, learning_rate=0.2)


def training(profile: Profile) -> TrainNet:
    """Return the long training, of the net that the profile's source has."""
    net = Net() if profile.data.startswith("cifar10") else profile.net
    return owned(profile.data, net, RECIPE, Role.SOURCE, FIRST_SEED[Role.SOURCE], 0)


def jobs(profile: Profile) -> dict[str, DescribeNet]:
    """The one training."""
    return {"ceiling": DescribeNet(training(profile))}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table."""
    row = rows["ceiling"]
    data, paper = row["data"], PAPER["table2_surrogate_test_accuracy"]["source"]
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "Ceiling",
        ["net", "epochs", "seed", "seconds", "test accuracy", "the paper's source"],
        [
            [
                row["net"],
                str(row["recipe"]["epochs"]),
                str(row["seed"]),
                f"{row['seconds']:,.0f}",
                f"{row['test_accuracy']:.2%}",
                f"{paper:.1f}%",
            ]
        ],
        f"{data['name']} ({data['note']}), {data['train_size']:,} images, profile {profile.name}: "
        f"n = 1, {row['precision']}; seconds on a machine with other load.",
    )
