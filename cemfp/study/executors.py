"""Run a list of jobs on this machine, several at once, each heavy one in its own process."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import os
import subprocess
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cemfp.store import CorruptEntry, MissingEntry, Store
from cemfp.study.jobs import Job, obtain, plan, to_json
from cemfp.study.progress import ProgressLine, duration, last_line
from cemfp.study.worker import start_worker

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Failure:
    """A job that ended without its result: its log file, and the last line of that."""

    job: Job
    log: Path
    reason: str


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


class Count(NamedTuple):
    """Number of jobs of one kind with and without a result."""

    done: int
    missing: int


def status(jobs: Iterable[Job], store: Store) -> dict[str, Count]:
    """Count by kind which results of `jobs` and of all they need are in the store."""
    counts: dict[str, Count] = {}
    for job in plan(jobs):
        done, missing = counts.get(job.kind, (0, 0))
        there = store.has(job.key())
        counts[job.kind] = Count(done + there, missing + (not there))
    return counts


def run_local(
    jobs: Iterable[Job],
    store: Store,
    *,
    processes: int = 1,
    threads_per_process: int | None = None,
    progress: bool = True,
) -> Outcome:
    """Obtain `jobs` and all they need; what the store holds intact is not run again.

    A failed job does not stop the others; what needs it is skipped. Each job's output goes to
    `<store>/logs/<key>.log`. On an interrupt the running jobs are stopped, their half-written
    results removed, and the interrupt raised again. If this process is killed, so are they.

    Args:
        jobs: Jobs of classes that another process can import.
        store: Where results are looked up and kept; other processes may use it meanwhile.
        processes: Heavy jobs at once. Light ones run in this process, one by one.
        threads_per_process: TensorFlow's and OpenMP's threads in each; by default the
            processor's cores divided by `processes`.
        progress: Whether to show a line on standard error with an estimate of the time left.
    """
    for name, value in (("processes", processes), ("threads_per_process", threads_per_process)):
        if value is not None and value < 1:
            raise ValueError(f"expected `{name}` of at least 1. Received: {value}")
    started = time.monotonic()
    store.sweep()
    threads = threads_per_process or max(1, (os.cpu_count() or 1) // processes)
    run = LocalRun(plan(jobs), store, processes, threads)
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


class Child(NamedTuple):
    """A running job: its process, its log file, and when it started (monotonic seconds)."""

    job: Job
    process: subprocess.Popen[bytes]
    log: Path
    started: float


class LocalRun:
    """State of one `run_local`: every job is in exactly one of the five dictionaries, by key."""

    def __init__(self, jobs: list[Job], store: Store, processes: int, threads: int) -> None:
        self.store, self.processes, self.threads = store, processes, threads
        self.needs = {job.key(): [d.key() for d in job.dependencies()] for job in jobs}
        self.waiting: dict[str, Job] = {}
        self.running: dict[str, Child] = {}
        self.done: dict[str, Job] = {}
        self.failed: dict[str, Failure] = {}
        self.skipped: dict[str, Job] = {}
        self.durations: dict[str, list[float]] = collections.defaultdict(list)
        for job in jobs:
            if _intact(job, store):
                self._succeeded(job)
            else:
                self.waiting[job.key()] = job

    def step(self) -> bool:
        """Take in what has ended, start what is ready; say whether anything is left to do."""
        for key, child in list(self.running.items()):
            code = child.process.poll()
            if code is not None:
                del self.running[key]
                self._ended(child, code)
        for key, job in list(self.waiting.items()):
            if any(need in self.failed or need in self.skipped for need in self.needs[key]):
                self.skipped[key] = self.waiting.pop(key)
            elif all(need in self.done for need in self.needs[key]):
                self._start(key, job)
        return bool(self.waiting or self.running)

    def stop(self) -> None:
        """End all that still runs, first by asking."""
        for child in self.running.values():
            child.process.terminate()
        for child in self.running.values():
            try:
                child.process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        if self.running:
            self.store.sweep()
        self.running.clear()

    def _start(self, key: str, job: Job) -> None:
        log = self.store.root / "logs" / f"{key}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if not job.heavy:
            del self.waiting[key]
            self._run_here(job, log)
        elif len(self.running) < self.processes:
            payload = to_json(job).encode()
            process = start_worker(self.store, log, self.threads)
            self.running[key] = Child(self.waiting.pop(key), process, log, time.monotonic())
            assert process.stdin is not None
            # A child that died at once leaves its exit code and its log to say why.
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(payload)

    def _run_here(self, job: Job, log: Path) -> None:
        with open(log, "a", buffering=1) as file:
            try:
                with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                    obtain(job, self.store)
            except Exception:  # noqa: BLE001 - whatever a job raises is its failure alone
                traceback.print_exc(file=file)
                self._failed(job, log, 1)
            else:
                self._succeeded(job)

    def _ended(self, child: Child, code: int) -> None:
        if code == 0 and self.store.has(child.job.key()):
            self._succeeded(child.job)
        else:
            self._failed(child.job, child.log, code)

    def _succeeded(self, job: Job) -> None:
        self.done[job.key()] = job
        self.durations[job.kind].append(self.store.manifest(job.key())["took_seconds"])

    def _failed(self, job: Job, log: Path, code: int) -> None:
        reason = f"killed by signal {-code}" if code < 0 else last_line(log)
        self.failed[job.key()] = Failure(job, log, reason)
        logger.error("%s failed: %s (log: %s)", job.label(), reason, log)


def _intact(job: Job, store: Store) -> bool:
    try:
        store.get(job.key())
    except MissingEntry:
        return False
    except CorruptEntry as error:
        logger.warning("%s; %s will be built again", error, job.label())
        return False
    return True
