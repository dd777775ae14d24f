"""The report of a study: one HTML file made of committed rows, tables and figures.

It measures nothing and computes no metric. Every figure and table of the study's directory is shown
once: where an experiment's `SHOWS` names it, else with the experiment whose name it begins with,
else at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from cemfp.figures import page
from cemfp.jobs.zoo import Profile
from cemfp.storage.files import read_json, write_atomic
from experiments import report_facts as facts
from experiments import runner
from experiments.common import Rows
from experiments.report_files import (
    FAILS,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Figure,
    Table,
    Verdicts,
    judge,
    read_figure,
    read_table,
    to_html,
)
from experiments.report_page import GLOSSARY, PAGE

STUDY = "study"  # versions, hardware and time, written by the study's command
REPORT = "report.html"
GALLERY = ("_fingerprint", "_gallery")  # endings of the figures that show inputs


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
        own.sort(key=lambda figure: _place(figure.stem, name))
        shown = [figure for figure in own if not figure.stem.endswith(GALLERY)]
        written = [table for table in tables if owner(table.stem) == name]
        if not own and not written:
            continue
        title, text = _heading(name)
        moved = [figure.stem for figure in own if figure not in shown]
        parts.append(Part(name or "others", title, text, shown, written, moved))
    return parts


def _place(stem: str, name: str) -> int:
    """Where the experiment's list has a figure; those that it does not list come first."""
    listed = getattr(runner.find([name])[0], "SHOWS", ()) if name else ()
    return listed.index(stem) if stem in listed else -1


def _heading(name: str) -> tuple[str, Markup]:
    """The first line of the experiment's docstring, and the others as text."""
    if not name:
        return "Other figures and tables", Markup()
    (module,) = runner.find([name])
    title, _, text = (module.__doc__ or name).strip().partition("\n")
    return title.rstrip("."), to_html(text)
