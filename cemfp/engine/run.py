"""A list of jobs at work: what waits, runs and has ended; and what a backend has to do."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from cemfp.engine.estimates import Estimates
from cemfp.engine.jobs import Job
from cemfp.storage.store import CorruptEntry, MissingEntry, Store

logger = logging.getLogger(__name__)


class Task(Protocol):
    """A job at work."""

    def poll(self) -> str | None:
        """Return None while it runs, "" when it has ended well, else the reason of its failure."""


class Backend(Protocol):
    """Where jobs run.

    Attributes:
        slots: Jobs at work at once, for the estimate of the time left.
    """

    slots: int

    def has_room(self, running: int) -> bool:
        """Whether one more job may start beside `running` others."""

    def start(self, job: Job, log: Path) -> Task:
        """Start a job whose needs are met; its output goes to `log`."""

    def prepare(self, heavy: Sequence[Job]) -> None:
        """Get ready for these jobs, which each want a process of their own."""

    def stop(self) -> None:
        """End all that still runs."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """A job that ended without its result: its log file, and the last line of that."""

    job: Job
    log: Path
    reason: str


class Child(NamedTuple):
    """A job at work: its log file, and when it started (monotonic seconds)."""

    job: Job
    task: Task
    log: Path
    started: float


class Run:
    """State of one `execute`: every job is in exactly one of the five dictionaries, by key."""

    def __init__(self, jobs: list[Job], store: Store, backend: Backend) -> None:
        self.store, self.backend = store, backend
        self.estimates = Estimates(store, jobs)
        self.needs = {job.key(): [d.key() for d in job.dependencies()] for job in jobs}
        self.waiting: dict[str, Job] = {}
        self.running: dict[str, Child] = {}
        self.done: dict[str, Job] = {}
        self.failed: dict[str, Failure] = {}
        self.skipped: dict[str, Job] = {}
        for job in jobs:
            where = self.done if _intact(job, store) else self.waiting
            where[job.key()] = job

    @property
    def ended(self) -> int:
        """Number of jobs that need no more work."""
        return len(self.done) + len(self.failed) + len(self.skipped)

    def step(self) -> bool:
        """Take in what has ended, start what is ready; say whether anything is left to do."""
        for key, child in list(self.running.items()):
            reason = child.task.poll()
            if reason is not None:
                del self.running[key]
                self._ended(child, reason)
        for key in list(self.waiting):
            if any(need in self.failed or need in self.skipped for need in self.needs[key]):
                self.skipped[key] = self.waiting.pop(key)
            elif not self.backend.has_room(len(self.running)):
                break
            elif all(need in self.done for need in self.needs[key]):
                self._start(self.waiting.pop(key))
        self.backend.prepare([job for job in self.waiting.values() if job.heavy])
        return bool(self.waiting or self.running)

    def stop(self) -> None:
        """End all that still runs."""
        self.backend.stop()
        if self.running:
            self.store.sweep()
        self.running.clear()

    def _start(self, job: Job) -> None:
        log = self.store.root / "logs" / f"{job.key()}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        task = self.backend.start(job, log)
        self.running[job.key()] = Child(job, task, log, time.monotonic())

    def _ended(self, child: Child, reason: str) -> None:
        job = child.job
        if not reason and self.store.has(job.key()):
            self.done[job.key()] = job
            self.estimates.learn(job, self.store)
        else:
            reason = reason or "ended without a result"
            self.failed[job.key()] = Failure(job, child.log, reason)
            logger.error("%s failed: %s (log: %s)", job.label(), reason, child.log)


def _intact(job: Job, store: Store) -> bool:
    if store.uri != str(store.root):
        return store.has(job.key())  # elsewhere: who needs its bytes downloads and checks them
    try:
        store.get(job.key())
    except MissingEntry:
        return False
    except CorruptEntry as error:
        logger.warning("%s; %s will be built again", error, job.label())
        return False
    return True
