"""The figure of what a fingerprint can show; it draws what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style


class Line(NamedTuple):
    """Shares of surrogates caught, by number of queries."""

    name: str
    inputs: Sequence[int]
    shares: Sequence[float]


def share_caught(lines: Sequence[Line], path: Path, *, caption: str) -> list[Path]:
    """Draw the share of surrogates caught over the number of queries, a line for each rule.

    Args:
        lines: What to draw.
        path: See `drawing.save`.
        caption: Line below the figure.
    """
    with style():
        figure = new_figure(6.5, 3.2)
        axes = figure.subplots()
        for place, line in enumerate(lines):
            look = looks.other(place)
            axes.plot(
                line.inputs, line.shares, color=look.colour, marker=look.marker, label=line.name
            )
        axes.set(xlabel="queries", ylabel="share of surrogates caught", ylim=(-0.03, 1.03))
        axes.set_xlim(left=0)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, caption)
        return save(figure, path)
