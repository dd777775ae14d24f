"""Run a list of jobs in order of their needs, as many at once as the backend has room for."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable

from cemfp.engine.jobs import Job, plan
from cemfp.engine.progress import ProgressLine, duration
from cemfp.engine.run import Backend, Failure, Run
from cemfp.storage.store import Store

_POLL_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of the jobs and of all they need.

    Attributes:
        done: Jobs whose result is in the store, now or before.
        failed: Jobs that ran and raised, or were killed.
        skipped: Jobs not run because something they need failed.
        seconds: Wall time of the call.
    """

    done: tuple[Job, ...]
    failed: tuple[Failure, ...]
    skipped: tuple[Job, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every result is there."""
        return not self.failed and not self.skipped

    def summary(self) -> str:
        """Return the counts, and one line per failure with its log."""
        lines = [
            f"{len(self.done)} done, {len(self.failed)} failed, {len(self.skipped)} skipped "
            f"in {duration(self.seconds)}"
        ]
        lines += [f"{f.job.label()} failed: {f.reason} (log: {f.log})" for f in self.failed]
        return "\n".join(lines)


def execute(
    jobs: Iterable[Job], store: Store, backend: Backend, *, progress: bool = True
) -> Outcome:
    """Obtain `jobs` and all they need; what the store holds intact is not run again.

    A failed job does not stop the others; what needs it is skipped. Each job's output goes to
    `<store>/logs/<key>.log`. On an interrupt the running jobs are stopped, their half-written
    results removed, and the interrupt raised again.

    Args:
        jobs: Jobs of classes that another process can import.
        store: Where results are looked up and kept; other processes may use it meanwhile.
        backend: Where jobs run.
        progress: Whether to show a line on standard error with an estimate of the time left.
    """
    started = time.monotonic()
    store.sweep()
    run = Run(plan(jobs), store, backend)
    with ProgressLine(run, disable=not progress) as line:
        try:
            while run.step():
                line.show()
                time.sleep(_POLL_SECONDS)
            line.show()
        finally:
            run.stop()
    return Outcome(
        tuple(run.done.values()),
        tuple(run.failed.values()),
        tuple(run.skipped.values()),
        time.monotonic() - started,
    )
