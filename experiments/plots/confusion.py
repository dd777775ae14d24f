"""The figure of a fingerprint's true classes against its keys [Lukas21, Fig. 6]."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cemfp.figures.drawing import caption as write_caption
from cemfp.figures.drawing import new_figure, save, style
from cemfp.fingerprint.artifact import Fingerprint


def confusion_matrix(fingerprint: Fingerprint) -> np.ndarray:
    """Return how many inputs (C, C) of each true class have each key.

    Raises:
        ValueError: The fingerprint does not know its true labels.
    """
    if fingerprint.true_labels is None:
        raise ValueError("expected a fingerprint with true labels. Received: one without")
    matrix = np.zeros((fingerprint.classes,) * 2, np.int64)
    np.add.at(matrix, (fingerprint.true_labels, fingerprint.keys), 1)
    return matrix


def confusion(
    fingerprint: Fingerprint, classes: tuple[str, ...], path: Path, *, caption: str
) -> list[Path]:
    """Draw the matrix: true class on the vertical axis, key on the horizontal one.

    Args:
        fingerprint: Its inputs are counted.
        classes: Class names.
        path: See `figures.drawing.save`.
        caption: Line below the figure.
    """
    matrix = confusion_matrix(fingerprint)
    with style():
        figure = new_figure(4.8, 4.6)
        axes = figure.subplots()
        image = axes.imshow(matrix, cmap="cividis")
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                dark = count < 0.6 * matrix.max()
                colour = "white" if dark else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, size=7)
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(ticks, classes, fontsize=7)
        axes.set(xlabel="key: the source's answer", ylabel="true class")
        figure.colorbar(image, shrink=0.8, label="inputs")
        write_caption(figure, caption)
        return save(figure, path)
