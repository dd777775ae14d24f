"""`cemfp power`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cemfp.cli import options
from cemfp.cli.work import check_file, echo_json

if TYPE_CHECKING:
    from cemfp.verification.power import Ends, Power


@click.command()
@click.argument("file", type=options.PATH)
@options.json_output
@click.option(
    "--rate",
    "rates",
    type=options.Number(0, 1, min_open=True, max_open=True),
    multiple=True,
    default=(0.05, 0.01),
    show_default=True,
    help="False-alarm rate, repeatable.",
)
@click.option(
    "--alpha",
    type=options.Number(0, 0.5, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Of the sequential test; see `cemfp verify --alpha`.",
)
@click.option(
    "--plot",
    type=options.PATH,
    callback=options.new_path,
    help="Draw the shares caught to this PNG or PDF.",
)
@options.force
def power(
    file: Path,
    as_json: bool,
    rates: tuple[float, ...],
    alpha: float,
    plot: Path | None,
    force: bool,
) -> None:
    """Say what the fingerprint in FILE can show, before a suspect is asked.

    From the answers of the calibration models: which share of surrogates is caught with how many
    queries at which false-alarm rate, how many queries a sequential test needs, and how many
    references a rate needs. No model is judged by rates that it had a part in.

    \b
    Example: cemfp power my.cemfp --rate 0.05 --plot power.png
    """
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.verification import power as computing

    if plot is not None:
        check_file(plot)
        if plot.suffix not in (".png", ".pdf"):
            raise click.UsageError(f"expected a PNG or PDF. Received: {plot}.")
    found = computing.power(Fingerprint.load(file), rates, alpha)
    if plot is not None:
        _draw(found, file, plot)
    if as_json:
        return echo_json(found.to_dict())
    for line in _lines(found):
        click.echo(line)


def _columns(found: Power) -> list[str]:
    """Name the rules, and the rates that they hold."""
    by_count = [f"{rate:g}, beta-binomial" for rate in found.rates]
    return [f"{found.smallest_rate:.3g}, rank", *by_count]


def _lines(found: Power) -> Iterator[str]:
    yield f"{found.surrogates} calibration surrogates, {found.references} calibration references"
    yield "Share of surrogates caught, by queries and false-alarm rate:"
    header = ["queries", *_columns(found)]
    yield "  ".join(header)
    for row in found.caught:
        shares = (row.by_rank, *row.by_beta_binomial)
        cells = [str(row.inputs), *(f"{share:.0%}" for share in shares)]
        yield "  ".join(f"{c:>{len(name)}}" for c, name in zip(cells, header, strict=True))
    yield f"Sequential test, alpha = {found.alpha:g}, each model tested without its own answers:"
    if found.of_surrogates is None or found.of_references is None:
        yield "  needs at least 3 calibration models of each kind"
    else:
        yield f"  surrogates: {_ends(found.of_surrogates)}"
        yield f"  references: {_ends(found.of_references)}"
    for rate, (rank, bound) in zip(found.rates, found.references_needed, strict=True):
        yield (
            f"A false-alarm rate of {rate:g} needs {rank} references for one p-value, and {bound} "
            "without a false alarm for a bound (95 %)."
        )


def _ends(ends: Ends) -> str:
    return (
        f"{ends.mean_queries:.1f} queries in the mean; {ends.match} of {ends.models} match, "
        f"{ends.no_match} do not"
    )


def _draw(found: Power, file: Path, plot: Path) -> None:
    from cemfp.figures.power import Line, share_caught

    inputs = [row.inputs for row in found.caught]
    columns = zip(*((row.by_rank, *row.by_beta_binomial) for row in found.caught), strict=True)
    names = (f"false-alarm rate {name}" for name in _columns(found))
    lines = [Line(name, inputs, shares) for name, shares in zip(names, columns, strict=True)]
    models = f"{found.surrogates} calibration surrogates, {found.references} references"
    share_caught(lines, plot, caption=f"{file.name}: {models}; means over random inputs")
