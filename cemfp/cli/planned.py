"""A study's experiments, their jobs and their store: what the commands of `cemfp study` do."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli.errors import Failure

if TYPE_CHECKING:
    from cemfp.engine.executors import Outcome
    from cemfp.engine.jobs import Job
    from cemfp.engine.survey import Count
    from cemfp.jobs.zoo import Profile
    from cemfp.storage.store import Store


class Planned:
    """Experiments of a profile, their jobs and their store."""

    def __init__(
        self,
        names: tuple[str, ...],
        profile_name: str,
        uri: str,
        kinds: tuple[str, ...] = (),
        rows: tuple[str, ...] = (),
        processes: int | None = None,
    ) -> None:
        from cemfp.engine.survey import only
        from cemfp.storage.remote_store import open_store

        self.runner, self.profile = load_study(profile_name)
        self.experiments = self.runner.find(names)
        jobs = self.runner.all_jobs(self.experiments, self.profile, rows)
        self.jobs: list[Job] = only(jobs, kinds)
        self.store: Store = open_store(uri)
        self.processes = processes
        self.partial = bool(kinds)  # rows of such a run would lack what the experiment needs

    @property
    def slots(self) -> int:
        """Jobs at once on this machine."""
        return self.processes or min(os.cpu_count() or 1, 4)

    def show(self) -> None:
        """Print the plan."""
        from cemfp.engine.jobs import plan
        from cemfp.engine.survey import describe
        from cemfp.storage.remote_store import without_password

        place = without_password(self.store.uri)
        data = sorted({found for job in plan(self.jobs) if (found := getattr(job, "data", ""))})
        click.echo(f"profile {self.profile.name} on {', '.join(data)}, store {place}")
        click.echo(describe(self.survey(), self.store, slots=self.slots))

    def survey(self) -> dict[str, Count]:
        """Count what is done and missing; a net that the repository keeps is done."""
        from cemfp.engine.survey import survey
        from experiments.keeping import restorable

        kept = {job.key() for job in restorable(self.jobs, self.store).values()}
        return survey(self.jobs, self.store, elsewhere=kept)

    def take_kept(self) -> None:
        """Put the nets that the repository keeps into the store, instead of training them."""
        from experiments.keeping import restore

        if taken := restore(self.jobs, self.store):
            click.echo(f"taken from models/: {', '.join(taken)}")

    def run(self, executor: str, address: str | None, threads: int | None) -> Outcome:
        """Run what is missing."""
        if executor == "ray":
            from cemfp.engine.on_ray import run_on_ray

            return run_on_ray(
                self.jobs,
                self.store,
                address=address,
                processes=self.processes,
                threads_per_process=threads or 1,
            )
        from cemfp.engine.local import run_local

        return run_local(self.jobs, self.store, processes=self.slots, threads_per_process=threads)

    def write(self) -> None:
        """Write rows, figures, tables and the report of what the store holds."""
        self.runner.collect(self.experiments, self.profile, self.store)
        draw(self.runner, self.experiments, self.profile)
        click.echo(write_report(self.profile, self.runner.RESULTS))


def draw(runner: Any, experiments: Sequence[Any], profile: Profile) -> None:
    """Draw figures and tables of the committed rows, and say which."""
    drawn = runner.draw(experiments, profile)
    click.echo(f"{', '.join(drawn) or 'nothing'} drawn in {runner.RESULTS / profile.name}")


def write_report(profile: Profile, results: Path) -> Path:
    """Write the HTML page of all rows of `profile` and return its path."""
    from experiments.report import write

    return write(profile, results)


def load_study(profile_name: str) -> tuple[Any, Profile]:
    """Return the checkout's `experiments.runner` and the profile."""
    import importlib

    import cemfp

    checkout = Path(cemfp.__file__).parents[1]
    if not (checkout / "experiments" / "runner.py").is_file():
        raise Failure(
            f"expected a checkout of cemfp with its experiments/. Received: {checkout} without; "
            "clone the repository and install it with `make install`"
        )
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    profiles = importlib.import_module("experiments.profiles").PROFILES
    return importlib.import_module("experiments.runner"), profiles[profile_name]
