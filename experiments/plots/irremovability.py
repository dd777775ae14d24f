"""The figure of removal attacks: CAEAcc over epsilon, beside threshold and references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST_INPUTS = 10  # a share of fewer says nothing


def panel(
    attacks: Mapping[str, Sequence[Mapping[str, Any]]],
    scores: Mapping[float, Mapping[str, Any]],
    path: Path,
    *,
    caption: str,
) -> list[Path]:
    """Draw the mean CAEAcc of each attack, its standard deviation over repeats as error bar.

    A fingerprint of fewer than `FEWEST_INPUTS` inputs is left out.

    Args:
        attacks: Name -> one row per repeat, with `cae_accuracy` by fingerprint and `test_accuracy`.
        scores: Epsilon -> what `ScoreFingerprint` wrote: threshold, and the unseen references.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    counts = {epsilon: row["fingerprint"]["inputs"] for epsilon, row in sorted(scores.items())}
    epsilons = [epsilon for epsilon, count in counts.items() if count >= FEWEST_INPUTS]
    with style():
        figure = new_figure(7.2, 3.9)
        axes = figure.subplots()
        _draw_background(axes, scores, epsilons)
        for place, (name, repeats) in enumerate(attacks.items()):
            _draw_attack(axes, place, len(attacks), name, repeats, epsilons)
        ticks = [f"{epsilon:g}\n{counts[epsilon]} inputs" for epsilon in epsilons]
        axes.set_xticks(range(len(epsilons)), ticks)
        axes.set(xlabel="ε (pixel scale 0 to 1)", ylabel="CAEAcc, mean ± standard deviation")
        axes.set_ylim(0, 1.03)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, caption)
        return save(figure, path)


def _draw_background(
    axes: Axes, scores: Mapping[float, Mapping[str, Any]], epsilons: Sequence[float]
) -> None:
    places = np.arange(len(epsilons))
    references = [scores[epsilon]["evaluation"]["references"] for epsilon in epsilons]
    low, high = ([summary[bound] for summary in references] for bound in ("min", "max"))
    label = f"references, lowest to highest (n = {references[0]['n']})"
    axes.fill_between(places, low, high, color=looks.BLUE, alpha=0.15, label=label)
    thresholds = [scores[epsilon]["decision"]["threshold"] for epsilon in epsilons]
    drawn = [np.nan if threshold is None else threshold for threshold in thresholds]
    axes.plot(places, drawn, "--", color="0.3", linewidth=1, label="threshold (calibration)")


def _draw_attack(
    axes: Axes,
    place: int,
    count: int,
    name: str,
    repeats: Sequence[Mapping[str, Any]],
    epsilons: Sequence[float],
) -> None:
    values = np.array(
        [
            [_or_nan(row["cae_accuracy"][f"cem {epsilon}"]) for epsilon in epsilons]
            for row in repeats
        ]
    )
    errors = values.std(axis=0, ddof=1) if len(repeats) > 1 else None
    look = looks.other(place)
    accuracy = np.mean([row["test_accuracy"] for row in repeats])
    # Side by side around the tick, so that equal values do not hide each other.
    across = np.arange(len(epsilons)) + 0.05 * (place - (count - 1) / 2)
    axes.errorbar(
        across,
        values.mean(axis=0),
        errors,
        color=look.colour,
        marker=look.marker,
        linewidth=1,
        label=f"{name} ({accuracy:.1%} accurate, n = {len(repeats)})",
    )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
