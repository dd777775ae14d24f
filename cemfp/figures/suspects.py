"""How each model whose truth is known answers a fingerprint, and where the threshold lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp.figures import looks
from cemfp.figures.drawing import caption, new_figure, save, style
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.roles import Origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def strip(fingerprint: Fingerprint, judged: Sequence[Any], path: Path) -> list[Path]:
    """Draw calibration models as dots, and each suspect of a self-test with its interval.

    Args:
        fingerprint: With its calibration.
        judged: Suspects with `name`, `truth` and `verdict`; see `owner.self_test.Judged`.
        path: See `drawing.save`.
    """
    record = fingerprint.calibration
    assert record is not None
    names = [*(f"{look.name}, calibration" for look in looks.GROUPS.values())]
    names += [one.name for one in judged]
    with style():
        figure = new_figure(7.5, 0.32 * len(names) + 1.4)
        axis = figure.subplots()
        groups = {
            Origin.SURROGATE: record.surrogate_scores,
            Origin.REFERENCE: record.reference_scores,
        }
        for place, (origin, scores) in enumerate(groups.items()):
            _dots(axis, place, scores, looks.GROUPS[origin])
        for place, one in enumerate(judged, start=len(groups)):
            _suspect(axis, place, one)
        axis.axvline(record.threshold, color="0.3", linestyle="--", linewidth=1)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set(xlim=(-0.02, 1.02), xlabel="share of key answers (CAEAcc)")
        axis.invert_yaxis()
        caption(
            figure,
            f"n = {len(fingerprint)} inputs; {len(record.surrogate_scores)} and "
            f"{len(record.reference_scores)} calibration models; dashed: threshold; bars: 95 % "
            "intervals over inputs",
        )
        return save(figure, path)


def _dots(axis: Axes, place: int, scores: Sequence[float], look: Any) -> None:
    shift = np.linspace(-0.15, 0.15, len(scores)) if len(scores) > 1 else [0.0]
    axis.scatter(
        scores, place + np.asarray(shift), s=22, color=look.colour, marker=look.marker, zorder=3
    )


def _suspect(axis: Axes, place: int, one: Any) -> None:
    """One suspect: what it answered, and the interval."""
    share = one.verdict.cae_accuracy
    if share is None:
        return
    origin = Origin.REFERENCE if one.truth == "independent" else Origin.SURROGATE
    look = looks.GROUPS[origin]
    low, high = one.verdict.interval
    axis.plot([low, high], [place, place], color=look.colour, linewidth=1.2)
    axis.scatter([share], [place], s=26, color=look.colour, marker=look.marker, zorder=3)
