"""`cemfp data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import images, options
from cemfp.cli.work import check_file, echo_json

if TYPE_CHECKING:
    from cemfp.data import DataSpec

MOST_CLASSES = 50


def _list(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Print the known names and stop."""
    from cemfp.data import DATASETS

    if not wanted or ctx.resilient_parsing:
        return
    for name in DATASETS:
        click.echo(name)
    ctx.exit()


@click.command()
@images.data_argument
@click.option(
    "--list",
    "wanted",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="Show the names of known data sets.",
)
@options.json_output
@click.option(
    "--sheet",
    type=options.PATH,
    callback=options.new_path,
    help="Draw a few images of each class to this PNG.",
)
@options.force
def data(data: DataSpec, as_json: bool, sheet: Path | None, force: bool) -> None:
    """Show what a data set holds, and what was converted or left out to read it.

    DATA is whatever the option --data of other commands takes. Images of your own are converted
    once, and kept in CEMFP_DATA_CACHE (else ~/.cache/cemfp/data/converted).

    \b
    Example:
      cemfp data photos --image-size 64x64 --sheet photos.png
    """
    from cemfp.data import job_name, load
    from cemfp.data.description import describe

    if sheet is not None:
        check_file(sheet)
        if sheet.suffix != ".png":
            raise click.UsageError(f"expected a PNG. Received: {sheet}.")
    dataset = load(data)
    facts = describe(dataset, job_name(data))
    if sheet is not None:
        from cemfp.figures.sheet import contact_sheet

        shown = contact_sheet(dataset, sheet)
        click.echo(f"{sheet}: {shown} of {len(dataset.classes)} classes", err=True)
    if as_json:
        return echo_json(facts)
    for line in _lines(facts):
        click.echo(line)


def _lines(facts: dict[str, Any]) -> list[str]:
    """Return the facts as text."""
    shape = " x ".join(map(str, facts["input_shape"]))
    classes, report = facts["classes"], facts["report"]
    stand_in = ", a stand-in" if facts["stand_in"] else ""
    lines = [
        f"{facts['name']}: {facts['train_size']} training and {facts['test_size']} test images of "
        f"{len(classes)} classes, {shape}, {facts['type']}{stand_in}",
        *([facts["note"]] if facts["note"] else []),
        f"content {facts['sha256']}",
        *([facts["data"]] if report else []),
        f"{'index':>5}  {'train':>7}  {'test':>7}  class",
    ]
    for row in classes[:MOST_CLASSES]:
        lines.append(f"{row['index']:5}  {row['train']:7}  {row['test']:7}  {row['name']}")
    if len(classes) > MOST_CLASSES:
        lines.append(f"  ... and {len(classes) - MOST_CLASSES} classes more (--json)")
    twice = facts["duplicates"]
    lines.append(
        f"equal pixels: {twice['train']} within training, {twice['test']} within test, "
        f"{twice['between']} in both, {twice['other_class']} of them in another class"
    )
    lines += [f"  {' = '.join(pair)}" for pair in twice["examples"]]
    for name in ("sizes", "modes", "found", "converted"):
        if report.get(name):
            counts = ", ".join(f"{kind} ({count})" for kind, count in report[name].items())
            lines.append(f"{name}: {counts}")
    lines += report.get("remarks", [])
    return lines + [f"skipped {s['name']}: {s['why']}" for s in report.get("skipped", [])]
