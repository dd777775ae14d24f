"""The figure of measured shares beside published ones; it draws what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style
from cemfp.models.roles import Origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Bar(NamedTuple):
    """What one sort of model answers.

    Attributes:
        name: Its name, one line.
        values: A share for each of its models, at least one.
        published: The paper's share; None where it has none.
    """

    name: str
    values: Sequence[float]
    published: float | None


def bars(
    groups: Mapping[Origin, Sequence[Bar]], path: Path, *, xlabel: str, caption: str
) -> list[Path]:
    """Draw a bar for the mean of each sort of model, a dot for each model, the paper's value.

    Args:
        groups: Origin -> its sorts of models, from top to bottom.
        path: See `figures.drawing.save`.
        xlabel: What the shares are of.
        caption: Text below the figure.
    """
    with style():
        figure = new_figure(7.0, 1.3 + 0.25 * sum(map(len, groups.values())))
        axes = figure.subplots()
        names: list[str] = []
        for origin, chosen in groups.items():
            for bar in chosen:
                _draw_bar(axes, len(names), bar, looks.GROUPS[origin].colour)
                names.append(bar.name)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set(xlim=(0, 1.02), ylim=(len(names) - 0.4, -0.6), xlabel=xlabel)
        for look in (looks.GROUPS[origin] for origin in groups):
            axes.barh([0], [0], color=look.colour, alpha=0.5, label=f"{look.name}, mean")
        axes.plot([], [], "o", color=looks.BLACK, markersize=3, label="each model")
        axes.plot([], [], "D", color=looks.BLACK, fillstyle="none", label="the paper")
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, caption)
        return save(figure, path)


def _draw_bar(axes: Axes, place: int, bar: Bar, colour: str) -> None:
    axes.barh(place, np.mean(bar.values), height=0.7, color=colour, alpha=0.5)
    # Side by side, so that equal values do not hide each other.
    across = place + 0.12 * (np.arange(len(bar.values)) - (len(bar.values) - 1) / 2)
    axes.plot(bar.values, across, "o", color=colour, markersize=3, clip_on=False)
    if bar.published is not None:
        axes.plot(bar.published, place, "D", color=looks.BLACK, fillstyle="none", clip_on=False)
