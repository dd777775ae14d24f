"""Which recipe is the cheapest that gives a strong net: accuracy over processor time.

Short trainings rank the tricks, each alone and some together; longer ones confirm what won. Those
that `experiments.jobs.recipes` adds by hand did not become fields of `Recipe`. A recipe is chosen
by test accuracy, which no fingerprint is judged by. It runs only when it is named.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from pathlib import Path

from cemfp.jobs.train import TrainNet
from cemfp.jobs.zoo import FIRST_SEED, Profile
from cemfp.models.roles import Role
from cemfp.training.recipe import Recipe
from experiments import markdown
from experiments.common import Rows
from experiments.jobs.recipes import MeasureRecipe, Tricks
from experiments.plots.cost import Trial, accuracy_over_cost

NAME, DATA = "recipes", "cifar10"
SEEDS = (0, 1)

_SGD = Recipe(epochs=4, learning_rate=0.3, crop=20, full_size=0.25)
_MUON = dataclasses.replace(_SGD, learning_rate=0.2, optimizer="muon")


def _long(epochs: int, crop: int, full_size: float) -> Recipe:
    return dataclasses.replace(_MUON, epochs=epochs, crop=crop, full_size=full_size)


# What confirms comes first: a study runs in this order.
TRIALS: dict[str, tuple[Recipe, Tricks]] = {
    "muon, 6 epochs, crop 20, full size 40 %": (_long(6, 20, 0.4), Tricks()),
    "muon, 8 epochs, crop 24, full size 40 %": (_long(8, 24, 0.4), Tricks()),
    "muon, 10 epochs, crop 24, full size 50 %": (_long(10, 24, 0.5), Tricks()),
    "sgd": (_SGD, Tricks()),
    "muon": (_MUON, Tricks()),
    "muon, smoothing": (dataclasses.replace(_MUON, label_smoothing=0.1), Tricks()),
    "muon, full-size images": (dataclasses.replace(_MUON, crop=0), Tricks()),
    "muon, batch 256": (dataclasses.replace(_MUON, batch_size=256), Tricks()),
    "muon, whitening": (_MUON, Tricks(whiten=True)),
    "muon, identity": (_MUON, Tricks(identity=True)),
    "muon, average": (_MUON, Tricks(average=0.8, statistics=0.9)),
    "muon, all": (
        dataclasses.replace(_MUON, label_smoothing=0.1),
        Tricks(whiten=True, identity=True, average=0.8, statistics=0.9),
    ),
    "sgd, smoothing": (dataclasses.replace(_SGD, label_smoothing=0.1), Tricks()),
    "sgd, whitening": (_SGD, Tricks(whiten=True)),
    "sgd, identity": (_SGD, Tricks(identity=True)),
    "sgd, average": (_SGD, Tricks(average=0.8, statistics=0.9)),
    "sgd, full-size images": (dataclasses.replace(_SGD, crop=0), Tricks()),
    "sgd, batch 256": (dataclasses.replace(_SGD, batch_size=256), Tricks()),
}


def jobs(profile: Profile) -> dict[str, MeasureRecipe]:
    """Every trial with the first seed, then with the next; the same whatever the profile."""
    del profile
    first = FIRST_SEED[Role.SOURCE]
    return {
        f"{name} | {seed}": MeasureRecipe(
            TrainNet(DATA, recipe, first + seed, Role.SOURCE.value), tricks
        )
        for seed in SEEDS
        for name, (recipe, tricks) in TRIALS.items()
    }


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table and the figure."""
    del profile
    trials = _trials(rows)
    some = next(row for row in rows.values() if "test_accuracy" in row)
    data = some["data"]
    note = (
        f"ResNet20 on {data['name']} ({data['note']}), {data['train_size']:,} images; n seeds "
        "each, the range over them; short trainings have 4 epochs, three quarters of the steps on "
        "crops of 20 pixels. Core-seconds are processor time on a machine with other load, with "
        f"{some['precision']}."
    )
    lines = [
        [
            trial.name,
            str(len(trial.accuracies)),
            f"{statistics.mean(trial.accuracies):.2%}",
            f"{min(trial.accuracies):.2%} to {max(trial.accuracies):.2%}",
            f"{trial.core_seconds:,.0f}",
            f"{trial.flops / 1e12:,.0f}",
        ]
        for trial in trials
    ]
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "Recipes",
        ["recipe", "n", "test accuracy", "range", "core-seconds", "TFLOP"],
        lines,
        note,
    )
    accuracy_over_cost(trials, directory / NAME, caption=note)


def _trials(rows: Rows) -> list[Trial]:
    """Gather the seeds of each recipe; the best recipe comes first."""
    found = defaultdict(list)
    for name, row in rows.items():
        if "test_accuracy" in row:
            found[name.partition(" | ")[0]].append(row)
    trials = [
        Trial(
            name,
            [row["test_accuracy"] for row in same],
            statistics.mean(row["core_seconds"] for row in same),
            same[0]["flops"],
        )
        for name, same in found.items()
    ]
    return sorted(trials, key=lambda trial: -statistics.mean(trial.accuracies))
