"""`cemfp demo`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
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
    from cemfp.owner.demo import run_demo

    run_demo(out, store, say=click.echo, progress=not quiet, program=_called())


def _called() -> str:
    """Return how to call this program again: by its name alone only where the shell finds it."""
    own = Path(sys.argv[0])
    found = shutil.which("cemfp")
    if found and own.exists() and os.path.samefile(found, own):
        return "cemfp"
    if own.name == "cemfp":
        return shlex.quote(os.path.relpath(own))
    return f"{shlex.quote(sys.executable)} -m cemfp"
