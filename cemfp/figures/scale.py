"""Groups of scores and one suspect on a line from 0 to 1, as SVG that stands in a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from cemfp.figures import looks
from cemfp.models.roles import Origin

_LEFT, _WIDTH, _ROW, _RIGHT = 190, 480, 34, 20  # pixels at 100 %
_DARK = "#222"
_SHAPES = {
    "o": '<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" fill-opacity=".75"/>',
    "^": '<path d="M{x:.1f} {top:.1f}l5 9h-10z" fill="{colour}" fill-opacity=".75"/>',
}


class Suspect(NamedTuple):
    """What is compared with the groups.

    Attributes:
        name: For people.
        score: In [0, 1].
        low, high: Ends of its interval.
    """

    name: str
    score: float
    low: float
    high: float


def scale(
    groups: Mapping[Origin, Sequence[float]], suspect: Suspect | None, threshold: float
) -> Markup:
    """Draw each group of scores as marks, the suspect as a diamond with its interval.

    Args:
        groups: Scores of known models by their origin.
        suspect: None if it has no score.
        threshold: A dashed line.
    """
    rows = len(groups) + 1
    height = _ROW * rows + 52
    parts = [*_axis(rows, threshold)]
    for place, (origin, scores) in enumerate(groups.items()):
        parts += _group(place, looks.GROUPS[origin], scores)
    if suspect is not None:
        parts += _suspect(rows - 1, suspect)
    said = f"Scores of known models and of the suspect; the threshold is {threshold:.3f}"
    return Markup(
        f'<svg viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" role="img" aria-label="{said}" '
        f'style="max-width:100%;height:auto" font-family="inherit" font-size="13" fill="{_DARK}">'
        f"{''.join(parts)}</svg>"
    )


def _x(score: float) -> float:
    return _LEFT + _WIDTH * score


def _axis(rows: int, threshold: float) -> Iterator[str]:
    bottom = _ROW * rows + 8
    yield f'<path d="M{_LEFT} {bottom}h{_WIDTH}" stroke="{_DARK}"/>'
    for tenth in range(0, 11, 2):
        x = _x(tenth / 10)
        yield f'<path d="M{x:.1f} {bottom}v5" stroke="{_DARK}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{10 * tenth} %</text>'
    middle = _x(0.5)
    yield f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">answers of the key</text>'
    x = _x(threshold)
    yield f'<path d="M{x:.1f} 4V{bottom}" stroke="{_DARK}" stroke-dasharray="5 4"/>'


def _group(place: int, look: looks.Look, scores: Sequence[float]) -> Iterator[str]:
    y = _ROW * (place + 0.5) + 4
    name = escape(f"{look.name} ({len(scores)})")
    yield f'<text x="{_LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
    for score in scores:
        shape = _SHAPES[look.marker]
        yield shape.format(x=_x(score), y=y, top=y - 5, colour=look.colour)


def _suspect(place: int, suspect: Suspect) -> Iterator[str]:
    y, x = _ROW * (place + 0.5) + 4, _x(suspect.score)
    name = suspect.name if len(suspect.name) <= 24 else f"{suspect.name[:23]}…"
    yield (
        f'<text x="{_LEFT - 14}" y="{y + 4:.1f}" text-anchor="end" font-weight="600">'
        f"{escape(name)}</text>"
    )
    low, high = _x(suspect.low), _x(suspect.high)
    yield f'<path d="M{low:.1f} {y:.1f}H{high:.1f}" stroke="{_DARK}" stroke-width="2"/>'
    yield f'<path d="M{x:.1f} {y - 7:.1f}l7 7-7 7-7-7z" fill="{_DARK}"/>'
