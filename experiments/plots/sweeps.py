"""Figures of one quantity over a hyper-parameter, with error bars; they draw rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style
from cemfp.models.roles import Origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Summary = Mapping[str, Any]


def over_epsilon(
    lines: Mapping[str, Sequence[tuple[float | None, Summary]]],
    path: Path,
    *,
    ylabel: str,
    caption: str,
) -> list[Path]:
    """Draw means with their standard error against epsilon; a method without a radius is a band.

    Args:
        lines: Method -> (epsilon or None, summary with `mean`, `std` and `n`).
        path: See `figures.drawing.save`.
        ylabel: What the mean is of.
        caption: Line below the figure.
    """
    with style():
        figure = new_figure(7.0, 3.8)
        axes = figure.subplots()
        radii = sorted({epsilon for points in lines.values() for epsilon, _ in points if epsilon})
        shifts = _shifts(radii, len(lines))
        for (name, points), shift in zip(lines.items(), shifts, strict=True):
            _draw_line(axes, looks.method(name), points, shift)
        axes.set(xlabel="ε (pixel scale 0 to 1)", ylabel=ylabel, ylim=(0, None), xticks=radii)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, caption)
        return save(figure, path)


def _shifts(radii: Sequence[float], count: int) -> np.ndarray:
    """Shifts of lines along epsilon, so that equal values do not hide each other."""
    gap = min(np.diff(radii), default=0.2 * max(radii, default=0.0))
    return 0.5 * gap * (np.arange(count) / max(count - 1, 1) - 0.5)


def _draw_line(
    axes: Axes, look: looks.Look, points: Sequence[tuple[float | None, Summary]], shift: float
) -> None:
    means = np.array([summary["mean"] for _, summary in points])
    errors = np.array([(s["std"] or 0.0) / np.sqrt(s["n"]) for _, s in points])
    counts = sorted({summary["n"] for _, summary in points})
    number = f"n = {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else "")
    if points[0][0] is None:
        axes.axhspan(means[0] - errors[0], means[0] + errors[0], color=look.colour, alpha=0.2)
        axes.axhline(
            means[0], color=look.colour, linestyle="-.", label=f"{look.name}, no ε ({number})"
        )
        return
    axes.errorbar(
        np.array([float(epsilon or 0) for epsilon, _ in points]) + shift,
        means,
        errors if max(counts) > 1 else None,
        color=look.colour,
        marker=look.marker,
        linestyle=look.dashes,
        linewidth=1,
        label=f"{look.name} ({number})",
    )


def forms(rows: Mapping[str, Mapping[str, Any]], path: Path, *, caption: str) -> list[Path]:
    """Draw, for each form of a method, the CAEAcc of calibration surrogates and references.

    Args:
        rows: Form -> what `ScoreFingerprint` writes, or a row that says why there is nothing.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    with style():
        figure = new_figure(7.5, 1.0 + 0.27 * len(rows))
        axes = figure.subplots()
        for place, row in enumerate(rows.values()):
            if "calibration" not in row:
                axes.text(0.02, place, "no input passed the filters", va="center", fontsize=7)
                continue
            for origin, look in looks.GROUPS.items():
                # A little apart, so that equal values do not hide each other.
                height = place + (0.12 if origin == Origin.SURROGATE else -0.12)
                summary = row["calibration"][f"{origin}s"]
                axes.plot([summary["min"], summary["max"]], [height] * 2, color=look.colour)
                axes.plot(summary["mean"], height, look.marker, color=look.colour)
        axes.set(xlim=(0, 1.02), xlabel="CAEAcc: mean, and lowest to highest model")
        axes.set_yticks(range(len(rows)), [_with_count(*item) for item in rows.items()])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        for look in looks.GROUPS.values():
            axes.plot([], [], f"{look.marker}-", color=look.colour, label=look.name)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, caption)
        return save(figure, path)


def _with_count(name: str, row: Mapping[str, Any]) -> str:
    return f"{name} (n = {row['fingerprint']['inputs']})" if "fingerprint" in row else name


def training(rows: Sequence[Mapping[str, Any]], path: Path, *, caption: str) -> list[Path]:
    """Draw CAEAcc against test accuracy, one line for each training, from its first step on.

    Args:
        rows: What `FollowTraining` writes.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    with style():
        figure = new_figure(6.0, 4.0)
        axes = figure.subplots()
        seen: set[str] = set()
        for row in rows:
            look = looks.GROUPS[Origin(row["origin"])]
            across, up = (
                [point[key] for point in row["points"]] for key in ("test_accuracy", "cae_accuracy")
            )
            count = sum(other["origin"] == row["origin"] for other in rows)
            label = None if look.name in seen else f"{look.name} (n = {count})"
            seen.add(look.name)
            axes.plot(
                across, up, color=look.colour, marker=look.marker, alpha=0.7, lw=1, label=label
            )
        axes.set(
            xlabel="test accuracy (share of images)", ylabel="CAEAcc", xlim=(0, 1), ylim=(0, 1.02)
        )
        axes.legend()
        write_caption(figure, caption)
        return save(figure, path)
