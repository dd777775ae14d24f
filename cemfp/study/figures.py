"""Figures of fingerprints and of results; they draw what they are given and measure nothing."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp import metrics
from cemfp.files import write_atomic
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.roles import Origin, Role

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which stays apart for every kind of colour vision.
ORANGE, SKY, GREEN, BLUE, RED, PURPLE = (
    "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
METHOD_COLOURS = {
    "cem": BLUE,
    "pgd": ORANGE,
    "ipguard": GREEN,
    "bim": SKY,
    "fgm": PURPLE,
    "cw": RED,
    "misclassified": "0.4",
    "sac": "0.6",
    "own task": "0.1",
    "random noise": "#F0E442",
}
GROUPS = {
    Origin.SURROGATE: ("stolen copies", RED, "o"),
    Origin.REFERENCE: ("independent", BLUE, "^"),
}
_MAX_COLUMNS = 12
_STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,
    "svg.hashsalt": "cemfp",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Apply the project's look to the figures drawn inside the block, and to nothing else."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(*size: float) -> Figure:
    """Return an empty figure of `size` (width, height) in inches; it needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> list[Path]:
    """Write the figure, atomically: as `path` says, or as both .png and .pdf without a suffix.

    Equal figures give equal bytes: no date is written.
    """
    path = Path(path)
    suffixes = [path.suffix] if path.suffix else [".png", ".pdf"]
    written = []
    for suffix in suffixes:
        buffer = io.BytesIO()
        dateless = {"CreationDate": None} if suffix == ".pdf" else {"Software": None}
        figure.savefig(buffer, format=suffix[1:], metadata=dateless)
        target = path.with_suffix(suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, buffer.getvalue())
        written.append(target)
    return written


def gallery(fingerprint: Fingerprint, path: Path, *, columns: int = _MAX_COLUMNS) -> list[Path]:
    """Draw some inputs: the original above, the perturbation in the middle, the input below.

    The perturbation is amplified as far as its range allows, grey means no change, and the factor
    is written beside it. A fingerprint without originals shows its inputs alone; signed ones are
    stretched.

    Args:
        fingerprint: Its first `columns` inputs are shown.
        path: See `save`.
        columns: How many.
    """
    count = min(columns, len(fingerprint))
    inputs, originals = fingerprint.inputs[:count], fingerprint.originals
    images, stretched = displayable(inputs)
    rows = {"input\n(stretched)" if stretched else "input": images}
    if originals is not None:
        change = inputs - originals[:count]
        factor = 0.5 / max(float(np.abs(change).max()), 1e-6)
        amplified = np.clip(0.5 + factor * change, 0.0, 1.0)
        rows = {"original": originals[:count], f"change × {factor:.1f}": amplified, "input": inputs}
    with style():
        figure = new_figure(0.9 * count + 0.9, 0.95 * len(rows) + 0.7)
        axes = figure.subplots(len(rows), count, squeeze=False)
        for line, (name, images) in zip(axes, rows.items(), strict=True):
            _draw_row(line, name, images)
        _label_columns(axes, fingerprint, originals is not None)
        figure.supxlabel(_gallery_caption(fingerprint, count), fontsize=8)
        return save(figure, path)


def displayable(images: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return images of any values in [0, 1], and whether they had to be stretched for it."""
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high <= 1:
        return images, False
    return (images - low) / (high - low), True


def _draw_row(axes: Sequence[Axes], name: str, images: np.ndarray) -> None:
    grey = images.shape[-1] == 1
    for axis, image in zip(axes, images, strict=True):
        axis.imshow(image[..., 0] if grey else image, cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel(name, fontsize=8)


def _label_columns(axes: np.ndarray, fingerprint: Fingerprint, with_originals: bool) -> None:
    """Write the true class above each original and the key below each input."""
    for number in range(axes.shape[1]):
        if with_originals and fingerprint.true_labels is not None:
            axes[0, number].set_title(f"true {fingerprint.true_labels[number]}", fontsize=8)
        axes[-1, number].set_xlabel(f"key {fingerprint.keys[number]}", fontsize=8)


def _gallery_caption(fingerprint: Fingerprint, count: int) -> str:
    radius = "" if fingerprint.epsilon is None else f", ε = {fingerprint.epsilon:g}"
    data = fingerprint.data.get("name", "")
    shown = f"{count} of n = {len(fingerprint)} inputs"
    return f"{fingerprint.method}{radius}, {data}: {shown}"


def roc(results: Sequence[Mapping[str, Any]], path: Path) -> list[Path]:
    """Draw how evaluation models answer the key of each fingerprint, and the ROC curves.

    Args:
        results: What `study.fingerprints.ScoreFingerprint` writes, one for each fingerprint; the
            curves' corners are `metrics.roc_curve`'s.
        path: See `save`.
    """
    with style():
        figure = new_figure(6.0 + 0.6 * len(results), 3.7)
        dots, curves = figure.subplots(1, 2, width_ratios=(1 + 0.4 * len(results), 2))
        for place, result in enumerate(results):
            _draw_dots(dots, place, result)
            _draw_curve(curves, result)
        _finish_dots(dots, results)
        curves.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
        curves.set(xlabel="independent models accused", ylabel="stolen copies caught")
        curves.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        if len(results) < 4:
            curves.legend(fontsize=7, loc="lower right")
        else:
            curves.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
        figure.supxlabel(_roc_caption(results), fontsize=7)
        return save(figure, path)


def _scores(result: Mapping[str, Any], origin: str) -> list[float]:
    rows = [row for row in result["models"] if row["role"] == Role.EVALUATION]
    return [row["cae_accuracy"] for row in rows if row["origin"] == origin]


def _draw_dots(axis: Axes, place: int, result: Mapping[str, Any]) -> None:
    for shift, (origin, (name, colour, marker)) in zip((-0.15, 0.15), GROUPS.items(), strict=True):
        scores = _scores(result, origin)
        # Side by side in the order of the rows, so that equal scores do not hide each other.
        across = place + shift + np.linspace(-0.08, 0.08, len(scores))
        axis.scatter(
            across, scores, s=22, color=colour, marker=marker, clip_on=False, zorder=3,
            label=None if place else f"{name} (n = {len(scores)})",
        )  # fmt: skip
    threshold = result["decision"]["threshold"]
    if threshold is not None:
        axis.hlines(threshold, place - 0.35, place + 0.35, color="0.3", linestyle="--", linewidth=1)


def _finish_dots(axis: Axes, results: Sequence[Mapping[str, Any]]) -> None:
    names = [_name(result).replace(", ", "\n") for result in results]
    axis.set_xticks(range(len(results)), names, fontsize=7)
    axis.set(xlim=(-0.5, len(results) - 0.5), ylim=(0, 1.02), ylabel="answers that are the key's")
    axis.legend(loc="best", fontsize=7)


def _draw_curve(axis: Axes, result: Mapping[str, Any]) -> None:
    curve = metrics.roc_curve(*(_scores(result, origin) for origin in GROUPS))
    summary = result["evaluation"]
    low, high = summary["auc_interval"]
    axis.plot(
        curve.false_positive_rate,
        curve.true_positive_rate,
        color=METHOD_COLOURS.get(result["fingerprint"]["method"], PURPLE),
        label=f"{_name(result)}: AUC {summary['auc']:.2f} [{low:.2f}, {high:.2f}]",
    )


def _name(result: Mapping[str, Any]) -> str:
    method, epsilon = (result["fingerprint"][key] for key in ("method", "epsilon"))
    return method if epsilon is None else f"{method}, ε = {epsilon:g}"


def _roc_caption(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the numbers behind the figure: data, models, inputs."""
    data = results[0]["fingerprint"]["data"]
    kind = "stand-in data" if data["stand_in"] else "real images"
    note = f"; {data['note']}" if data["note"] else ""
    stolen, independent = (len(_scores(results[0], origin)) for origin in GROUPS)
    inputs = ", ".join(str(result["fingerprint"]["inputs"]) for result in results)
    return (
        f"{data['name']} ({kind}{note}): {stolen} stolen and {independent} independent models, "
        f"unseen before\nn = {inputs} inputs; dashed: threshold from calibration models"
    )
