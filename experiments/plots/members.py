"""Figure of the gap that a defender's ensemble reaches, over what it costs; it draws rows only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style


def gap_over_cost(
    found: Mapping[str, tuple[int, Sequence[float]]], path: Path, *, caption: str
) -> list[Path]:
    """Draw one line for each size of the ensemble, and one for each way to use some of these.

    Args:
        found: Setting, `SIZE, MEMBERS per step[, WAY]` -> net gradients per image, and the gap of
            each seed.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    lines: dict[str, list[tuple[int, Sequence[float]]]] = {}
    for name, point in found.items():
        size, *_, last = name.split(", ")
        lines.setdefault(size if last.endswith("per step") else f"{size}, {last}", []).append(point)
    with style():
        figure = new_figure(7.0, 3.8)
        axes = figure.subplots()
        for number, (name, points) in enumerate(lines.items()):
            points = sorted(points)
            means = [statistics.mean(gaps) for _, gaps in points]
            spread = [
                [mean - min(gaps) for mean, (_, gaps) in zip(means, points, strict=True)],
                [max(gaps) - mean for mean, (_, gaps) in zip(means, points, strict=True)],
            ]
            colour, marker = _look(number)
            axes.errorbar(
                [cost for cost, _ in points],
                means,
                spread,
                color=colour,
                marker=marker,
                linewidth=1,
                capsize=2,
                label=name,
            )
        axes.set(
            xscale="log", xlabel="net gradients per image", ylabel="gap of unseen models (CAEAcc)"
        )
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, caption)
        return save(figure, path)


def _look(number: int) -> tuple[str, str]:
    """Return colour and marker of the line `number`: pairs that do not come twice."""
    count = len(looks.OTHERS)
    return looks.OTHERS[number % count].colour, looks.OTHERS[
        (number + number // count) % count
    ].marker
