"""The report of a study: one HTML file made of committed rows, tables and figures.

It measures nothing and computes no metric. Every figure and table of the study's directory is shown
once: where an experiment's `SHOWS` names it, else with the experiment whose name it begins with,
else at the end.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markdown import markdown
from markupsafe import Markup
from PIL import Image

from cemfp.files import read_json, write_atomic
from cemfp.study import page
from cemfp.study.profiles import Profile
from experiments import report_facts as facts
from experiments import runner
from experiments.common import Rows
from experiments.report_page import GLOSSARY, PAGE

STUDY = "study"  # versions, hardware and time, written by the study's command
REPORT = "report.html"
GALLERY = ("_fingerprint", "_gallery")  # endings of the figures that show inputs
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


class Part(NamedTuple):
    """An experiment's section."""

    anchor: str
    title: str
    text: Markup
    figures: Sequence[Figure]
    tables: Sequence[Table]
    elsewhere: Sequence[str]


def write(profile: Profile, results: Path) -> Path:
    """Write `results/PROFILE/report.html` from the files beside it; return its path."""
    directory = Path(results) / profile.name
    values = contents(profile, directory)
    path = directory / REPORT
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, page.render(PAGE, **values).encode())
    return path


def contents(profile: Profile, directory: Path) -> dict[str, Any]:
    """Return what the template shows."""
    files = {path.stem: read_json(path) for path in sorted(directory.glob("*.json"))}
    study, models = files.pop(STUDY, {}), files.pop(runner.MODELS, [])
    tables = [read_table(path) for path in sorted(directory.glob("*.md"))]
    verdicts = sorted(
        (found for table in tables if (found := judge(table))),
        key=lambda found: ["", *_known()].index(owner(found.table.stem)),
    )
    shown = [verdict.table.stem for verdict in verdicts]
    figures = [read_figure(path) for path in sorted((directory / "figures").glob("*.png"))]
    sets = facts.data_sets([models, files])
    return {
        "profile": profile,
        "notes": [*_notes(sets), *_paper_note(models)],
        "verdicts": verdicts,
        "total": _total(verdicts),
        "counts": _counts(verdicts),
        "grids": (
            facts.data_grid(sets, facts.transfer_sets(files)),
            facts.models_grid(models, files),
            facts.recipes_grid(models, files),
            facts.time_grid(study),
        ),
        "machine": facts.machine(study),
        "parts": _parts(files, [table for table in tables if table.stem not in shown], figures),
        "gallery": [figure for figure in figures if figure.stem.endswith(GALLERY)],
        "missing": [line for name in _known() for line in facts.not_run(name, files.get(name))],
        "glossary": GLOSSARY,
    }


def read_table(path: Path) -> Table:
    """Read a Markdown file: a title, a table, a note."""
    text = path.read_text()
    head, _, body = text.partition("\n")
    cells = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in body.splitlines()
        if line.startswith("|") and not line.startswith("| ---")
    ]
    return Table(path.stem, head.lstrip("# "), cells, _html(body, head.lstrip("# ")))


def _html(text: str, label: str = "") -> Markup:
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


def _total(verdicts: Sequence[Verdicts]) -> str:
    holds, fails, undecided, not_run = (
        sum(verdict.counts[kind] for verdict in verdicts)
        for kind in (HOLDS, FAILS, UNDECIDED, NOT_RUN)
    )
    return (
        f"Of the papers' statements, as judged here, {holds} hold, {fails} do not, {undecided} "
        f"are undecided and {not_run} wait for experiments that have not run."
    )


def _counts(verdicts: Sequence[Verdicts]) -> facts.Grid:
    kinds = [HOLDS, FAILS, UNDECIDED, NOT_RUN]
    lines = [
        [verdict.table.title, *(str(verdict.counts[kind]) for kind in kinds)]
        for verdict in verdicts
    ]
    return facts.Grid("Claims and findings of the papers", ["table", *kinds], lines)


def _notes(sets: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for one in sets:
        if one["stand_in"]:
            yield (
                f"Stand-in data: {one['name']}, {one['train_size']:,} training images "
                f"({one['note']}). Numbers that rest on it show that the machinery works; do not "
                "compare them with the papers'."
            )
        elif one["note"]:
            yield f"Not the published files: {one['name']} is a {one['note']}."


def _paper_note(models: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for model in models:
        if model["origin"] == "source":
            accuracy, data = 100 * model["test_accuracy"], model["data"]["name"]
            yield (
                f"The source is {accuracy:.1f} % accurate on {data}, that of [Lukas21] 89.3 % on "
                "CIFAR-10. Weaker nets move every number."
            )


def _known() -> tuple[str, ...]:
    return (*runner.EXPERIMENTS, *runner.ON_REQUEST)


def owner(stem: str) -> str:
    """Return the experiment that shows a figure or table; nothing for none."""
    for module in runner.find(_known()):
        if stem in getattr(module, "SHOWS", ()):
            return module.NAME
    return max((name for name in _known() if stem.startswith(name)), key=len, default="")


def _parts(
    rows: Mapping[str, Rows], tables: Sequence[Table], figures: Sequence[Figure]
) -> list[Part]:
    """One section for each experiment that has rows, and one for what belongs to none."""
    parts = []
    for name in (*_known(), ""):
        own = [figure for figure in figures if owner(figure.stem) == name]
        shown = [figure for figure in own if not figure.stem.endswith(GALLERY)]
        written = [table for table in tables if owner(table.stem) == name]
        if not own and not written:
            continue
        title, text = _heading(name)
        moved = [figure.stem for figure in own if figure not in shown]
        parts.append(Part(name or "others", title, text, shown, written, moved))
    return parts


def _heading(name: str) -> tuple[str, Markup]:
    """The first line of the experiment's docstring, and the others as text."""
    if not name:
        return "Other figures and tables", Markup()
    (module,) = runner.find([name])
    title, _, text = (module.__doc__ or name).strip().partition("\n")
    return title.rstrip("."), _html(text)
