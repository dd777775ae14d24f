"""The figure of accuracy over the cost of a training; it draws what it is given."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style


class Trial(NamedTuple):
    """What one recipe gave.

    Attributes:
        name: Its name, one line.
        accuracies: Of each seed, at least one.
        core_seconds: Processor time of a training, the mean over seeds.
        flops: Floating-point operations of a training.
    """

    name: str
    accuracies: Sequence[float]
    core_seconds: float
    flops: float


def accuracy_over_cost(trials: Sequence[Trial], path: Path, *, caption: str) -> list[Path]:
    """Draw each recipe's accuracy, its range over seeds, over processor time.

    The colour says what a name begins with, the number which line of the legend it is.

    Args:
        trials: The recipes, in the order of the legend.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    with style():
        figure = new_figure(8.0, 1.5 + 0.24 * len(trials))
        axes = figure.subplots()
        sorts = list(dict.fromkeys(trial.name.partition(",")[0] for trial in trials))
        for number, trial in enumerate(trials, start=1):
            look = looks.other(sorts.index(trial.name.partition(",")[0]))
            mean = statistics.mean(trial.accuracies)
            axes.errorbar(
                trial.core_seconds, mean, fmt=look.marker, color=look.colour, markersize=4,
                yerr=[[mean - min(trial.accuracies)], [max(trial.accuracies) - mean]],
                label=f"{number}: {trial.name}",
            )  # fmt: skip
            axes.annotate(
                str(number), (trial.core_seconds, mean), (4, 3), textcoords="offset points",
                fontsize=7,
            )  # fmt: skip
        axes.set(xscale="log", xlabel="core-seconds of a training", ylabel="test accuracy")
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, caption)
        return save(figure, path)
