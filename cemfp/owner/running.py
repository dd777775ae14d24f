"""How an owner's jobs are run: on this machine or a cluster; a job that fails ends the whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from cemfp.engine.executors import Outcome
from cemfp.engine.jobs import Job, obtain, plan
from cemfp.engine.local import run_local
from cemfp.jobs.source import LIVE
from cemfp.storage.store import Store

Run = Callable[[Sequence[Job]], Outcome]


class ProtectionError(RuntimeError):
    """A job failed, or no fingerprint tells copies from others; the message says what to do."""


def run_jobs(
    jobs: Sequence[Job],
    *,
    store: Store,
    progress: bool,
    executor: str = "local",
    address: str | None = None,
) -> Outcome:
    """Obtain jobs and all they need, see `engine.executors.execute`.

    Args:
        jobs: What is wanted.
        store: Where results are.
        progress: Whether to show progress on standard error.
        executor: `local` or `ray`.
        address: Of the Ray cluster.
    """
    if LIVE:
        # A function that was given in Python answers in this process only.
        for job in plan(jobs):
            if not job.heavy and all(store.has(need.key()) for need in job.dependencies()):
                obtain(job, store)
    if executor == "ray":
        from cemfp.engine.on_ray import run_on_ray

        return run_on_ray(jobs, store, address=address, progress=progress)
    # Trainings share the cores; what the rest does is one job after the other, and takes them all.
    processes = (os.cpu_count() or 1) if any(job.heavy for job in jobs) else 1
    return run_local(jobs, store, processes=processes, progress=progress)


def obtain_all(run: Run, jobs: Sequence[Job]) -> None:
    """Let `run` obtain the jobs.

    Raises:
        ProtectionError: One of them failed; the message names its log.
    """
    outcome = run(jobs)
    if not outcome.ok:
        raise ProtectionError(outcome.summary())
