"""Figures of fingerprints and of results; they draw what they are given and measure nothing."""

from __future__ import annotations

import contextlib
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp.figures import looks
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.roles import Role
from cemfp.numerics import metrics
from cemfp.storage.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_COLUMNS = 12
# Width of a character of a caption, in inches: a little more than the mean of its font.
_CAPTION_SIZE, _CAPTION_CHARACTER = 7.5, 0.058


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Apply the project's look to the figures drawn inside the block, and to nothing else."""
    import matplotlib

    with matplotlib.rc_context(looks.STYLE):
        yield


def new_figure(*size: float) -> Figure:
    """Return an empty figure of `size` (width, height) in inches; it needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    return figure


def caption(figure: Figure, text: str) -> None:
    """Write `text` below the figure, in lines that fit; `save` keeps it in the files, too."""
    width = int(figure.get_figwidth() / _CAPTION_CHARACTER)
    figure.supxlabel("\n".join(textwrap.wrap(text, width)), fontsize=_CAPTION_SIZE)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write the figure, atomically: as `path` says, or as both .png and .pdf without a suffix.

    Equal figures give equal bytes: no date is written. The caption is the `Description` of a PNG
    and the `Subject` of a PDF.
    """
    path = Path(path)
    suffixes = [path.suffix] if path.suffix else [".png", ".pdf"]
    text = figure.get_supxlabel().replace("\n", " ")
    written = []
    for suffix in suffixes:
        buffer = io.BytesIO()
        pdf, png = {"CreationDate": None, "Subject": text}, {"Software": None, "Description": text}
        figure.savefig(buffer, format=suffix[1:], metadata=pdf if suffix == ".pdf" else png)
        target = path.with_suffix(suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, buffer.getvalue())
        written.append(target)
    return written


def gallery(
    fingerprint: Fingerprint,
    path: Path,
    *,
    columns: int = _MAX_COLUMNS,
    classes: Sequence[str] = (),
) -> list[Path]:
    """Draw some inputs: the original above, the perturbation in the middle, the input below.

    The perturbation is amplified as far as its range allows, grey means no change, and the factor
    is written beside it. A fingerprint without originals shows its inputs alone; signed ones are
    stretched.

    Args:
        fingerprint: Its first `columns` inputs are shown.
        path: See `save`.
        columns: How many.
        classes: Names of the classes; numbers without.
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
        _label_columns(axes, fingerprint, originals is not None, classes)
        caption(figure, _gallery_caption(fingerprint, count))
        return save(figure, path)


def displayable(images: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return images of any values in [0, 1], and whether they had to be stretched for it.

    Stretched ones lose their lowest and highest percent: few extreme values hide all others.
    """
    if images.min() >= 0 and images.max() <= 1:
        return images, False
    low, high = np.percentile(images, (1, 99))
    return np.clip((images - low) / max(high - low, 1e-6), 0.0, 1.0), True


def _draw_row(axes: Sequence[Axes], name: str, images: np.ndarray) -> None:
    grey = images.shape[-1] == 1
    for axis, image in zip(axes, images, strict=True):
        axis.imshow(image[..., 0] if grey else image, cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel(name, fontsize=8)


def _label_columns(
    axes: np.ndarray, fingerprint: Fingerprint, with_originals: bool, classes: Sequence[str]
) -> None:
    """Write the true class above each original and the key below each input."""
    names = classes or [str(number) for number in range(fingerprint.classes)]
    for number in range(axes.shape[1]):
        if with_originals and fingerprint.true_labels is not None:
            label = names[fingerprint.true_labels[number]]
            axes[0, number].set_title(f"true\n{label}", fontsize=8)
        axes[-1, number].set_xlabel(f"key\n{names[fingerprint.keys[number]]}", fontsize=8)


def _gallery_caption(fingerprint: Fingerprint, count: int) -> str:
    radius = "" if fingerprint.epsilon is None else f", ε = {fingerprint.epsilon:g}"
    shown = f"{count} of n = {len(fingerprint)} inputs"
    return f"{looks.method(fingerprint.method).name}{radius}, {describe(fingerprint.data)}: {shown}"


def describe(data: Mapping[str, Any]) -> str:
    """Name of a data set, whether it is a stand-in, and what there is to know of it."""
    kind = "stand-in data" if data.get("stand_in") else "real images"
    note = f", {data['note']}" if data.get("note") else ""
    return f"{data.get('name', 'unknown data')} ({kind}{note})"


def roc(results: Sequence[Mapping[str, Any]], path: Path) -> list[Path]:
    """Draw how evaluation models answer the key of each fingerprint, and the ROC curves.

    Args:
        results: What `jobs.score.ScoreFingerprint` writes, one for each fingerprint; the
            curves' corners are `metrics.roc_curve`'s.
        path: See `save`.
    """
    with style():
        figure = new_figure(6.0 + 0.6 * len(results), 3.7)
        dots, curves = figure.subplots(1, 2, width_ratios=(1 + 0.4 * len(results), 2))
        for place, result in enumerate(results):
            _draw_dots(dots, place, result)
            # Curves that coincide show as nested lines.
            _draw_curve(curves, result, 1.0 + 0.5 * (len(results) - 1 - place))
        _finish_dots(dots, results)
        curves.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
        curves.set(xlabel="share of independent models accused", aspect="equal")
        curves.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), ylabel="share of stolen copies caught")
        if len(results) < 4:
            curves.legend(fontsize=7, loc="lower right")
        else:
            curves.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
        caption(figure, _roc_caption(results))
        return save(figure, path)


def _scores(result: Mapping[str, Any], origin: str) -> list[float]:
    rows = [row for row in result["models"] if row["role"] == Role.EVALUATION]
    return [row["cae_accuracy"] for row in rows if row["origin"] == origin]


def _draw_dots(axis: Axes, place: int, result: Mapping[str, Any]) -> None:
    for shift, (origin, look) in zip((-0.15, 0.15), looks.GROUPS.items(), strict=True):
        scores = _scores(result, origin)
        # Side by side in the order of the rows, so that equal scores do not hide each other.
        across = place + shift + np.linspace(-0.08, 0.08, len(scores))
        axis.scatter(
            across, scores, s=22, color=look.colour, marker=look.marker, clip_on=False, zorder=3,
            label=None if place else f"{look.name} (n = {len(scores)})",
        )  # fmt: skip
    threshold = result["decision"]["threshold"]
    if threshold is not None:
        axis.hlines(threshold, place - 0.35, place + 0.35, color="0.3", linestyle="--", linewidth=1)


def _finish_dots(axis: Axes, results: Sequence[Mapping[str, Any]]) -> None:
    names = [_name(result).replace(", ", "\n").replace(" images", "\nimages") for result in results]
    axis.set_xticks(range(len(results)), names, fontsize=7)
    axis.set(xlim=(-0.5, len(results) - 0.5), ylim=(0, 1.02), ylabel="CAEAcc of each model")
    axis.legend(loc="best", fontsize=7)


def _draw_curve(axis: Axes, result: Mapping[str, Any], width: float) -> None:
    curve = metrics.roc_curve(*(_scores(result, origin) for origin in looks.GROUPS))
    summary = result["evaluation"]
    low, high = summary["auc_interval"]
    axis.plot(
        curve.false_positive_rate,
        curve.true_positive_rate,
        color=looks.method(result["fingerprint"]["method"]).colour,
        linewidth=width,
        label=f"{_name(result)}: AUC {summary['auc']:.2f} [{low:.2f}, {high:.2f}]",
    )


def _name(result: Mapping[str, Any]) -> str:
    method, epsilon = (result["fingerprint"][key] for key in ("method", "epsilon"))
    name = looks.method(method).name
    return name if epsilon is None else f"{name}, ε = {epsilon:g}"


def _roc_caption(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the numbers behind the figure: data, models, inputs."""
    stolen, independent = (len(_scores(results[0], origin)) for origin in looks.GROUPS)
    counts = [result["fingerprint"]["inputs"] for result in results]
    inputs = ", ".join(str(count) for count in (counts if len(set(counts)) > 1 else counts[:1]))
    return (
        f"{describe(results[0]['fingerprint']['data'])}: {stolen} stolen and {independent} "
        f"independent models, unseen before; n = {inputs} inputs of each fingerprint; dashed: "
        "threshold from calibration models; AUC with its 95 % bootstrap interval over models"
    )
