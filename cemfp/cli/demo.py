"""`cemfp demo`."""

from __future__ import annotations

from pathlib import Path

import click

from cemfp.cli import options


@click.command()
@click.option(
    "--out",
    type=options.PATH,
    callback=options.directory,
    default="demo-output",
    show_default=True,
    help="Directory of the pictures and the report.",
)
@click.option(
    "--store",
    type=options.PATH,
    callback=options.directory,
    envvar="CEMFP_STORE",
    default="~/.cache/cemfp/store",
    show_default=True,
    help="Where trained models are kept; a second run takes them from there.",
)
@options.quiet
def demo(out: Path, store: Path, quiet: bool) -> None:
    """Steal a model of handwritten digits several times, and catch every thief.

    Takes a few minutes, needs no network.

    \b
    Example: cemfp demo --out demo-output
    """
    from cemfp.protect.demo import run_demo

    run_demo(out, store, say=click.echo, progress=not quiet)
