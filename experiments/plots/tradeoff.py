"""The second paper's figures: robustness against transferability, frequencies, a gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp.figures import looks
from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import displayable, new_figure, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN_BAND = 32  # frequencies of a saliency map; a large image has more

Summaries = Mapping[str, Mapping[str, Any]]


def tradeoff(
    series: Mapping[str, Mapping[float, Summaries]],
    ratios: Sequence[float],
    path: Path,
    *,
    caption: str,
    symbol: str = "δ",
) -> list[Path]:
    """Draw robustness over transferability, one panel for each ratio [Wang21, Fig. 3].

    Points above the diagonal have a positive uniqueness score. Error bars: standard deviation over
    pruned copies and over variants.

    Args:
        series: Method -> delta (or another parameter) -> summaries of `pruned <ratio>`, `variant`.
        ratios: Pruning ratios.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
        symbol: The parameter's.
    """
    with style():
        figure = new_figure(3.1 * len(ratios) + 1.6, 3.7)
        panels = figure.subplots(1, len(ratios), sharey=True, squeeze=False)[0]
        for axes, ratio in zip(panels, ratios, strict=True):
            axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, label="uniqueness 0")
            for place, (name, by_delta) in enumerate(series.items()):
                text = _legend(name, by_delta, symbol)
                look = looks.FORMS.get(name.partition(", δ")[0], looks.other(place))
                _draw_series(axes, look, text, by_delta, f"pruned {ratio:g}")
            axes.set(xlim=(-0.03, 1.08), ylim=(-0.03, 1.08), xlabel="transferability (CAEAcc)")
            axes.set_title(f"{ratio:.0%} pruned", fontsize=9)
        panels[0].set_ylabel("robustness (CAEAcc)")
        panels[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        write_caption(figure, caption)
        return save(figure, path)


def _draw_series(
    axes: Axes, look: looks.Look, name: str, by_delta: Mapping[float, Summaries], kept: str
) -> None:
    deltas = sorted(by_delta)
    across, up = ([by_delta[delta][group] for delta in deltas] for group in ("variant", kept))
    axes.errorbar(
        [summary["mean"] for summary in across],
        [summary["mean"] for summary in up],
        [summary["std"] or 0.0 for summary in up],
        [summary["std"] or 0.0 for summary in across],
        color=look.colour,
        marker=look.marker,
        linewidth=0.8,
        elinewidth=0.5,
        capsize=1.5,
        label=name,
    )


def _legend(name: str, by_delta: Mapping[float, Summaries], symbol: str) -> str:
    low, high = min(by_delta), max(by_delta)
    return f"{name} ({symbol} {low:g} to {high:g})" if low < high else name


def frequencies(saliency: np.ndarray, path: Path, *, caption: str) -> list[Path]:
    """Draw the mean absolute gradient in each DCT coefficient, by channel [Wang21, Fig. 2a].

    Args:
        saliency: (h, w, c); the lowest frequencies are shown.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    shown = saliency[:SHOWN_BAND, :SHOWN_BAND]
    channels = shown.shape[2]
    names = ("red", "green", "blue") if channels == 3 else ("grey",) * channels
    with style():
        figure = new_figure(2.6 * channels + 0.9, 3.5)
        panels = figure.subplots(1, channels, sharey=True, squeeze=False)[0]
        for channel, axes in enumerate(panels):
            drawn = axes.imshow(shown[..., channel], cmap="viridis", vmin=0, vmax=shown.max())
            axes.set(xlabel="frequency across, j")
            axes.set_title(names[channel], fontsize=9)
        panels[0].set_ylabel("frequency down, i")
        figure.colorbar(
            drawn, ax=list(panels), shrink=0.75, label="mean |∂ loss / ∂ coefficient|, nats"
        )
        write_caption(figure, caption)
        return save(figure, path)


def _draw_examples(places: Mapping[str, Axes], shown: Mapping[str, list]) -> str:
    """Draw a method's examples by label; return what to know about them."""
    if not shown:
        return "\n(none found)"
    images, stretched = displayable(np.array(list(shown.values())) / 255)
    for label, image in zip(shown, images, strict=True):
        places[label].imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
    return "\n(stretched)" if stretched else ""


def examples(
    found: Mapping[str, Mapping[str, list]], classes: Sequence[str], path: Path, *, caption: str
) -> list[Path]:
    """Draw examples of several methods for the same labels [Wang21, Fig. 1].

    Grey levels from 0 to 255 are shown as they are; inputs of the domain `signed`, which have
    others, are shifted and stretched to that range, row by row, and their row says so.

    Args:
        found: Method -> label -> grey levels (h, w, c); a method without a label has a gap.
        classes: Names of the classes.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    labels = sorted({label for shown in found.values() for label in shown}, key=int)
    with style():
        figure = new_figure(0.95 * len(labels) + 1.6, 1.0 * len(found) + 0.7)
        lines = figure.subplots(len(found), len(labels), squeeze=False)
        for axes in lines.flat:
            axes.set_axis_off()
        for line, (name, shown) in zip(lines, found.items(), strict=True):
            note = _draw_examples(dict(zip(labels, line, strict=True)), shown)
            line[0].text(
                -0.1,
                0.5,
                name + note,
                transform=line[0].transAxes,
                ha="right",
                va="center",
                fontsize=7,
            )
        for axes, label in zip(lines[0], labels, strict=True):
            axes.set_title(classes[int(label)], fontsize=7)
        write_caption(figure, caption)
        return save(figure, path)
