"""Run experiments and draw their figures: `python -m experiments run|figures|status [NAME...]`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from cemfp.cli.quiet import quiet_libraries

quiet_libraries()  # before the imports that would speak

from cemfp.store import Store  # noqa: E402
from cemfp.study.profiles import PROFILES  # noqa: E402
from experiments import runner  # noqa: E402


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what all commands take."""
    for option in (
        click.argument("names", nargs=-1, metavar="[NAME]..."),
        click.option(
            "--profile",
            "profile_name",
            type=click.Choice(list(PROFILES)),
            default="small",
            show_default=True,
            help="How large: `demo` minutes on digits, `small` hours on CIFAR-10, `paper` a GPU.",
        ),
        click.option(
            "--store",
            "root",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path(os.environ.get("CEMFP_STORE", "~/.cache/cemfp/store")).expanduser(),
            show_default="$CEMFP_STORE or ~/.cache/cemfp/store",
            help="Where results are kept; a stopped run continues from here.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def main() -> None:
    """Regenerate figures and tables of the papers; NAMEs are the modules of `experiments`."""


@main.command()
@_options
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1),
    default=min(os.cpu_count() or 1, 4),
    show_default="one per core, at most 4",
    help="Trainings at once.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of each; by default an even share."
)
def run(
    names: tuple[str, ...], profile_name: str, root: Path, jobs: int, threads: int | None
) -> None:
    """Run what is missing, then write rows, figures and the README's table.

    \b
    Example: python -m experiments run cifar10_roc --profile demo
    """
    profile, store = PROFILES[profile_name], Store(root)
    experiments = runner.find(names)
    click.echo(runner.describe_plan(experiments, profile, store))
    outcome = runner.run(experiments, profile, store, processes=jobs, threads=threads)
    click.echo(outcome.summary())
    runner.collect(experiments, profile, store)
    runner.draw(experiments, profile)
    if not outcome.ok:
        raise SystemExit(1)


@main.command()
@_options
def figures(names: tuple[str, ...], profile_name: str, root: Path) -> None:
    """Draw figures and tables again from the committed rows; needs no store and no data."""
    del root
    for path in runner.draw(runner.find(names), PROFILES[profile_name]):
        click.echo(path)


@main.command()
@_options
def status(names: tuple[str, ...], profile_name: str, root: Path) -> None:
    """Say what is done and what is missing."""
    click.echo(runner.describe_plan(runner.find(names), PROFILES[profile_name], Store(root)))


if __name__ == "__main__":
    main()
