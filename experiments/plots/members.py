"""Figure of the gap that a defender's ensemble reaches, over what it costs; it draws rows only."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style

BESIDE = 1.02  # one line's shift on the logarithmic axis
FEW_INPUTS = 10  # a fingerprint of fewer tells little, whatever its gap


class Point(NamedTuple):
    """What a setting cost, and what it gave.

    Attributes:
        line: What the points of one line have in common.
        cost: Net gradients per image.
        gaps: Gap of unseen models, for each seed.
        inputs: Inputs of the fingerprint, mean over the seeds.
    """

    line: str
    cost: int
    gaps: Sequence[float]
    inputs: float


def gap_over_cost(points: Sequence[Point], path: Path, *, caption: str) -> list[Path]:
    """Draw one line for each size of the ensemble, and one for each way to use some of these.

    Args:
        points: In any order; those of a line are joined by cost.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    lines: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.cost):
        lines.setdefault(point.line, []).append(point)
    costs = sorted({point.cost for point in points})
    with style():
        figure = new_figure(7.0, 3.8)
        axes = figure.subplots()
        for number, name in enumerate(dict.fromkeys(point.line for point in points)):
            # Beside each other where they cost the same.
            aside = BESIDE ** (number - (len(lines) - 1) / 2)
            _draw_line(axes, name, lines[name], aside, *_look(number))
        axes.set(
            xscale="log", xlabel="net gradients per image", ylabel="gap of unseen models (CAEAcc)"
        )
        axes.set_xticks(costs, [f"{cost:,}" for cost in costs], rotation=45)
        axes.set_xticks([], minor=True)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, f"{caption}; hollow: fewer than {FEW_INPUTS} inputs")
        return save(figure, path)


def _draw_line(
    axes: Axes, name: str, points: Sequence[Point], aside: float, colour: str, marker: str
) -> None:
    means = [statistics.mean(point.gaps) for point in points]
    costs = [point.cost * aside for point in points]
    below = [mean - min(point.gaps) for mean, point in zip(means, points, strict=True)]
    above = [max(point.gaps) - mean for mean, point in zip(means, points, strict=True)]
    look: dict[str, Any] = {"color": colour, "linewidth": 1, "marker": marker, "label": name}
    axes.errorbar(
        costs,
        means,
        [below, above],
        capsize=2,
        markerfacecolor="white" if points[0].inputs < FEW_INPUTS else colour,
        **look,
    )


def _look(number: int) -> tuple[str, str]:
    """Return colour and marker of the line `number`: pairs that do not come twice."""
    count = len(looks.OTHERS)
    return looks.OTHERS[number % count].colour, looks.OTHERS[
        (number + number // count) % count
    ].marker
