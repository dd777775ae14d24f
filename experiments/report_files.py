"""The files that a report shows: tables, figures, and the verdicts in tables."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markdown import markdown
from markupsafe import Markup
from PIL import Image

from cemfp.figures import page

HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "does not", "undecided", "not run"


class Table(NamedTuple):
    """A table of the study: file, heading, raw cells and HTML."""

    stem: str
    title: str
    cells: Sequence[Sequence[str]]
    html: Markup


class Figure(NamedTuple):
    """A picture with its caption, as kept in the file."""

    stem: str
    source: str
    width: int
    height: int
    caption: str
    alt: str


class Verdicts(NamedTuple):
    """A table with a column `holds`: how often each verdict is in it, and what does not hold."""

    table: Table
    counts: Mapping[str, int]
    contradicted: Sequence[tuple[str, str]]


def read_table(path: Path) -> Table:
    """Read a Markdown file: a title, a table, a note."""
    text = path.read_text()
    head, _, body = text.partition("\n")
    cells = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in body.splitlines()
        if line.startswith("|") and not line.startswith("| ---")
    ]
    return Table(path.stem, head.lstrip("# "), cells, to_html(body, head.lstrip("# ")))


def to_html(text: str, label: str = "") -> Markup:
    """Markdown as HTML; tables in a box that scrolls, and no HTML of the text's own."""
    made = markdown(html.escape(text, quote=False), extensions=["tables"])
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(label)}">'
    made = made.replace("<table>", f"{box}<table>").replace("</table>", "</table></div>")
    return Markup(made)


def read_figure(path: Path) -> Figure:
    """Read a picture and its caption."""
    with Image.open(path) as image:
        (width, height), text = image.size, str(image.info.get("Description", ""))
    name = path.stem.replace("_", " ")
    caption = text or name
    source = page.embedded(path.read_bytes())
    return Figure(path.stem, source, width, height, caption, f"Figure {name}. {caption}")


def judge(table: Table) -> Verdicts | None:
    """Count the verdicts of a table that has a column `holds`."""
    header, *lines = table.cells or [[]]
    if "holds" not in header:
        return None
    place = header.index("holds")
    counts = dict.fromkeys((HOLDS, FAILS, UNDECIDED, NOT_RUN), 0)
    contradicted = []
    for line in lines:
        verdict = _verdict(line[place])
        counts[verdict] += 1
        if verdict == FAILS:
            contradicted.append((line[0], line[place + 1] if len(line) > place + 1 else ""))
    return Verdicts(table, counts, contradicted)


def _verdict(cell: str) -> str:
    word = re.match(r"\w*", cell.strip("* "))
    found = {"yes": HOLDS, "no": FAILS, "undecided": UNDECIDED}
    return found.get(word.group() if word else "", NOT_RUN)
