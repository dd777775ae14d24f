"""The figure of verdicts over models; it draws rows only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style
from cemfp.models.roles import Origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCORES = {"llr": ("log-likelihood ratio", "-"), "cae_accuracy": ("CAEAcc", ":")}
GROUPS = {"surrogates": Origin.SURROGATE, "independent": Origin.REFERENCE}


def verdicts(rows: Mapping[str, Any], path: Path, *, rate: str, caption: str) -> list[Path]:
    """Draw shares caught over queries, and the queries of the sequential test.

    Args:
        rows: Method -> what `JudgeModels` writes.
        path: See `figures.drawing.save`.
        rate: Key of the false-alarm rate to draw.
        caption: Line below the figure.
    """
    with style():
        figure = new_figure(9.5, 3.6)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        for name, row in rows.items():
            _draw_shares(left, looks.method(name), row, rate)
        left.set(xlabel="queries", ylabel="share of surrogates caught", ylim=(-0.03, 1.03))
        left.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _draw_queries(right, rows)
        write_caption(figure, caption)
        return save(figure, path)


def _draw_shares(axes: Axes, look: looks.Look, row: Mapping[str, Any], rate: str) -> None:
    inputs = [point["inputs"] for point in row["shares"]]
    for score, (name, dashes) in SCORES.items():
        points = np.array([point[score]["caught"][rate] for point in row["shares"]])
        axes.errorbar(
            inputs, points[:, 0], yerr=np.abs(points[:, 1:].T - points[:, 0]), color=look.colour,
            marker=look.marker, linestyle=dashes, elinewidth=0.5, label=f"{look.name}, {name}",
        )  # fmt: skip


def _draw_queries(axes: Axes, rows: Mapping[str, Any]) -> None:
    """Draw a dot for each model; a test that did not end asked all inputs."""
    names = [looks.method(name).name for name in rows]
    for shift, (group, origin) in zip((-0.15, 0.15), GROUPS.items(), strict=True):
        look = looks.GROUPS[origin]
        for place, row in enumerate(rows.values()):
            queries = np.array(row["sequential"]["each"][group]["queries"])
            across = place + shift + np.linspace(-0.08, 0.08, len(queries))
            axes.scatter(
                across, queries, s=16, color=look.colour, marker=look.marker, zorder=3,
                label=None if place else look.name,
            )  # fmt: skip
    axes.set_xticks(range(len(rows)), names, fontsize=6, rotation=30)
    axes.set(ylabel="queries until the test ends", ylim=(0, None))
    axes.legend(fontsize=7)
