"""`cemfp suspect`: what is behind an address."""

from __future__ import annotations

from pathlib import Path

import click

from cemfp.cli import asking as ask
from cemfp.cli import options
from cemfp.cli.asking import Asking
from cemfp.cli.work import check_file, echo_json
from cemfp.suspects import names


class Shape(click.ParamType):
    """Height, width and channels."""

    name = "h,w,c"

    def convert(self, value: object, param: object, ctx: object) -> tuple[int, ...]:
        """Return the three."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        sizes = tuple(int(part) for part in parts if part.isascii() and part.isdecimal())
        if len(parts) != 3 or len(sizes) != 3 or not all(0 < size < 10_000 for size in sizes):
            raise click.BadParameter(f"expected three sizes, 32,32,3. Received: {value}.")
        return sizes


@click.group()
def suspect() -> None:
    """Find out what a suspect takes and answers.

    \b
    Example: cemfp suspect probe https://host/v1/models/NAME
    """


@suspect.command()
@click.argument("address", metavar="URL")
@options.json_output
@click.option("--shape", type=Shape(), help="Size of an image, where the server does not say it.")
@ask.reaching
@options.output("Description of the API, a .yaml file for `cemfp verify`.", required=False)
def probe(
    address: str,
    as_json: bool,
    shape: tuple[int, ...] | None,
    asking: Asking,
    out: Path | None,
    force: bool,
) -> None:
    """Say what is behind URL, or behind a description (api.yaml), with a question or two.

    Asks for what the server tells of its model, then about one grey image and, where several may be
    asked at once, about two.

    \b
    Example: cemfp suspect probe http://localhost:8501/v1/models/NAME --out api.yaml
    """
    import dataclasses

    from cemfp.storage.files import write_atomic
    from cemfp.suspects.network import opening
    from cemfp.suspects.network.probe import probe as ask_once

    del force  # read by the check of --out
    if out is not None:
        check_file(out)
        if out.suffix not in names.DESCRIPTIONS:
            raise click.UsageError(f"expected a .yaml file as --out. Received: {out}.")
    with names.named(address):
        remote = opening.open_remote(address, asking.connection())
        found = ask_once(remote, shape)
    if out is not None:
        from cemfp.suspects.network.description import dump_yaml

        write_atomic(out, dump_yaml(remote.api, asking.headers).encode())
    if as_json:
        return echo_json({"suspect": names.shown(address), **dataclasses.asdict(found)})
    click.echo(f"{'suspect':<8} {names.shown(address)}")
    for line in found.lines():
        click.echo(line)
    if out is not None:
        click.echo(f"{'written':<8} {out}, for `cemfp verify FILE {out}`")
