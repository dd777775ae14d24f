"""`cemfp study`: the experiments of both papers, resumable, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cemfp.cli.errors import Failure
from cemfp.cli.planned import Planned, draw, load_study, write_report

PROFILES = ("demo", "digits-18", "small", "strong", "strong-first", "paper")
UNFINISHED = 1


@click.group()
def study() -> None:
    """Regenerate the figures and tables of both papers.

    NAMEs are the modules of `experiments/` in a checkout; without one, all of the CIFAR-10 study.
    A stopped run continues where it was: finished jobs are in the store. Exit status: 0 all is
    there, 1 a job failed, 2 bad use, 130 interrupted.

    \b
    Example: cemfp study run cifar10_roc --profile demo
    """


_profile = click.option(
    "--profile",
    "profile_name",
    type=click.Choice(PROFILES),
    default="small",
    show_default=True,
    help="How large: `demo` minutes on digits, `digits-18` with the paper's 18 + 18 nets, `small` "
    "hours on CIFAR-10, `strong` a day of better nets, `strong-first` a few of them, `paper` "
    "GPUs.",
)
_store = click.option(
    "--store",
    "uri",
    envvar="CEMFP_STORE",
    default="~/.cache/cemfp/store",
    show_default=True,
    help="Where results are kept: a directory, or a URI that fsspec opens (s3://, gs://).",
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what says which experiments, of which size, and where."""
    for option in (click.argument("names", nargs=-1, metavar="[NAME]..."), _profile, _store):
        command = option(command)
    return command


def _choice(command: Callable[..., None]) -> Callable[..., None]:
    """Add what says which jobs of them, and how many at once."""
    for option in (
        click.option(
            "--only",
            "kinds",
            multiple=True,
            metavar="KIND",
            help="Only jobs of this kind, such as `train`, and what they need; writes no rows.",
        ),
        click.option(
            "--rows",
            multiple=True,
            metavar="PATTERN",
            help="Only rows of such a name, such as `prune*` or `cem`; the others stay for later.",
        ),
        click.option(
            "--jobs",
            "-j",
            "processes",
            type=click.IntRange(1),
            help="Jobs at once.  [default: one per core, at most 4; on Ray what the cluster has]",
        ),
    ):
        command = option(command)
    return command


@study.command()
@_options
@_choice
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where jobs run: processes of this machine, or a Ray cluster.",
)
@click.option("--address", help="Ray cluster, `auto` for this machine's; without one Ray starts.")
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of a job.  [default: a fair share]"
)
def run(
    dry_run: bool, executor: str, address: str | None, threads: int | None, **which: Any
) -> None:
    """Print the plan, run what is missing, then write rows, figures, tables and the report.

    \b
    Example: cemfp study run --profile demo --jobs 2
    Example: cemfp study run cifar10_irremovability --rows "scores*" --rows "prune* | 0"
    Example: cemfp study run --executor ray --address auto --store s3://bucket/cemfp
    """
    if address and executor != "ray":
        raise Failure(f"expected --executor ray with --address. Received: --executor {executor}")
    planned = Planned(**which)
    if not dry_run:
        planned.take_kept()
    planned.show()
    if dry_run:
        return
    outcome = planned.run(executor, address, threads)
    click.echo(outcome.summary())
    if not planned.partial:
        planned.write()
    if not outcome.ok:
        raise SystemExit(UNFINISHED)


@study.command()
@_options
def collect(**which: Any) -> None:
    """Write rows, figures, tables and the report of what is done; runs nothing.

    What a run does at its end, for one that was stopped or goes on elsewhere. Rows of what is
    missing say so.

    \b
    Example: cemfp study collect zoo --profile strong
    """
    planned = Planned(**which)
    planned.show()
    planned.write()


@study.command()
@_profile
@_store
def keep(profile_name: str, uri: str) -> None:
    """Copy the trained nets of the profile's zoo from the store to `models/`.

    What is there already stays. A study takes these instead of training them.

    \b
    Example: cemfp study keep --profile strong
    """
    from cemfp.storage.remote_store import open_store

    _, profile = load_study(profile_name)
    from experiments.keeping import keep as keep_models

    new = keep_models(profile, open_store(uri))
    click.echo(f"kept: {', '.join(new) or 'nothing new'}")


@study.command()
def check() -> None:
    """Compute the central tables again from committed nets, fingerprints and answers.

    And the verdicts over models from the answers that they are about. Needs neither data nor
    training. Exit status 1: a committed number is another.

    \b
    Example: cemfp study check
    """
    load_study(PROFILES[0])
    from experiments.checking import check as check_results

    found = check_results()
    for difference in found.differences:
        click.echo(difference, err=True)
    click.echo(found.summary())
    if found.differences:
        raise SystemExit(UNFINISHED)


@study.command()
@_options
@_choice
@click.option(
    "--rates",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the measured mean time of each sort of job there, as JSON.",
)
@click.option(
    "--cost",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the arithmetic of what is missing there, with GPU-hours, as Markdown.",
)
def status(rates: Path | None, cost: Path | None, **which: Any) -> None:
    """Say what is done, what is missing, and how long that will take.

    \b
    Example: cemfp study status cifar10_roc --profile small
    """
    from cemfp.engine.estimates import save_rates
    from cemfp.engine.survey import cost_table
    from cemfp.storage.files import write_atomic

    planned = Planned(**which)
    planned.show()
    if rates is not None:
        save_rates(planned.jobs, planned.store, rates)
    if cost is not None:
        write_atomic(cost, cost_table(planned.survey()).encode())


@study.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_profile
def figures(names: tuple[str, ...], profile_name: str) -> None:
    """Draw figures and tables again from the rows in `experiments/results`; needs no store.

    \b
    Example: cemfp study figures --profile small
    """
    runner, profile = load_study(profile_name)
    draw(runner, runner.find(names), profile)


@study.command()
@_profile
def report(profile_name: str) -> None:
    """Write one HTML page with all that `experiments/results` holds; needs no store.

    \b
    Example: cemfp study report --profile small
    """
    runner, profile = load_study(profile_name)
    if not any(runner.RESULTS.glob(f"{profile.name}/*.json")):
        made = sorted({path.parent.name for path in runner.RESULTS.glob("*/*.json")})
        raise Failure(f"expected a profile with rows: {', '.join(made)}. Received: {profile.name}")
    click.echo(write_report(profile, runner.RESULTS))
