"""How accurate are the nets of the study: the source, and the surrogates and references by role.

They are trained a pair of every role in turn, so that what there is after some hours can be used.
`cemfp study keep` puts them into the repository. It runs only when it is named: the experiments
that need these nets train them, too.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from cemfp.jobs.train import TrainNet
from cemfp.jobs.zoo import Profile, make_zoo
from experiments import markdown
from experiments.common import PAPER, Rows
from experiments.jobs.cases import cases
from experiments.jobs.nets import DescribeNet

NAME = "zoo"
# The suspects of one repeat that are kept beside the zoo.
THIEVES = (
    *("ftll", "ftal", "rtll", "rtal", "prune_0.7", "prune_0.9"),
    *("black_box", "papernot", "advtrain_cifar10", "advtrain_cifar10_8"),
)


def names(profile: Profile) -> dict[str, TrainNet]:
    """Return every net of the zoo by the name under which it is kept, in the order of training."""
    return {_name(job): job for job in make_zoo(profile).everyone}


def kept(profile: Profile) -> dict[str, Any]:
    """Return the jobs whose nets the repository keeps: the zoo, then one repeat of the thieves."""
    first = {name: repeats[0] for name, repeats in cases(profile).items()}
    thieves = {f"thief-{name}": first[name] for name in THIEVES if name in first}
    return {**names(profile), **thieves}


def _name(job: TrainNet) -> str:
    if job.role == job.origin:
        return str(job.role)
    return f"{job.role}-{job.origin}-{job.seed % 100}"


def jobs(profile: Profile) -> dict[str, DescribeNet]:
    """A description of each net."""
    return {name: DescribeNet(job) for name, job in names(profile).items()}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table: one line for the source and for each role."""
    trained = {name: row for name, row in rows.items() if "test_accuracy" in row}
    if not trained:
        return
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, row in trained.items():
        groups.setdefault(name.rstrip("0123456789").rstrip("-"), []).append(row)
    some = next(iter(trained.values()))
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "Nets of the study",
        ["nets", "n", "mean test accuracy", "least", "most", "mean minutes, beside other load"],
        [_line(group, found) for group, found in groups.items()],
        f"ResNet20 on {some['data']['name']} ({some['data']['note']}), profile {profile.name}: "
        f"{len(trained)} of {len(rows)} nets trained. The paper's source: "
        f"{PAPER['table2_surrogate_test_accuracy']['source']:.1f}%.",
    )


def _line(group: str, found: list[dict[str, Any]]) -> list[str]:
    accuracies = [row["test_accuracy"] for row in found]
    minutes = statistics.mean(row["seconds"] for row in found) / 60
    return [
        group,
        str(len(found)),
        f"{statistics.mean(accuracies):.2%}",
        f"{min(accuracies):.2%}",
        f"{max(accuracies):.2%}",
        f"{minutes:.0f}",
    ]
