"""Jobs on this machine: a process of its own for each training, shared ones for the rest."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from cemfp.engine.executors import Outcome, execute
from cemfp.engine.jobs import Job, to_json
from cemfp.engine.progress import last_line
from cemfp.engine.worker import DONE, LARGE_MIB, how_it_ended, request, start_worker
from cemfp.storage.store import Store

_GRACE_SECONDS = 10.0


def run_local(
    jobs: Iterable[Job],
    store: Store,
    *,
    processes: int = 1,
    threads_per_process: int | None = None,
    progress: bool = True,
) -> Outcome:
    """Obtain `jobs` on this machine, see `executors.execute`.

    If this process is killed, so are the jobs.

    Args:
        jobs: Jobs of classes that another process can import.
        store: Where results are looked up and kept.
        processes: Jobs at once.
        threads_per_process: TensorFlow's and OpenMP's threads in each; by default the
            processor's cores divided by `processes`.
        progress: Whether to show how far it is.
    """
    for name, value in (("processes", processes), ("threads_per_process", threads_per_process)):
        if value is not None and value < 1:
            raise ValueError(f"expected `{name}` of at least 1. Received: {value}")
    threads = threads_per_process or max(1, (os.cpu_count() or 1) // processes)
    backend = LocalBackend(store, processes, threads, gpus=visible_gpus())
    return execute(jobs, store, backend, progress=progress)


def visible_gpus() -> tuple[str, ...]:
    """Return the names by which `CUDA_VISIBLE_DEVICES` calls the GPUs that this process may use."""
    import tensorflow as tf

    count = len(tf.config.list_physical_devices("GPU"))
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return tuple(named[:count] if named else map(str, range(count)))


class LocalBackend:
    """Worker processes, each with its share of the cores, or with one of the GPUs.

    Attributes:
        slots: Jobs at once.
        threads: Threads of each.
    """

    def __init__(
        self, store: Store, slots: int, threads: int, *, gpus: tuple[str, ...] = ()
    ) -> None:
        self.store, self.slots, self.threads = store, slots, threads
        # TensorFlow takes a GPU's whole memory, so that two jobs do not fit on one.
        self.gpus, self.on_gpus = list(gpus[:slots]), bool(gpus)
        if gpus:
            self.slots = len(self.gpus)
        self.fresh: list[Worker] = []  # importing TensorFlow while others work: it takes seconds
        self.idle: list[Worker] = []
        self.busy: list[Worker] = []
        self.leaving: list[Worker] = []

    def has_room(self, running: int) -> bool:
        """Whether one more job may start beside `running` others."""
        return running < self.slots

    def start(self, job: Job, log: Path) -> Worker:
        """Hand the job to a worker: to a new one if it trains, since Keras leaks in loops."""
        worker = (None if job.heavy else _living(self.idle)) or _living(self.fresh)
        if worker is None:
            worker = Worker(self, self.gpus.pop() if self.gpus else None)
        self.busy.append(worker)
        worker.begin(job, log)
        return worker

    def prepare(self, heavy: Sequence[Job]) -> None:
        """Start processes for the next jobs in advance; on a GPU they would take its memory."""
        if not self.on_gpus and len(self.fresh) < min(len(heavy), self.slots):
            modules = sorted({type(job).__module__ for job in heavy})
            self.fresh.append(Worker(self, None, modules))

    def take_back(self, worker: Worker, peak: int) -> None:
        """Keep a worker whose job has ended, or let it go; `peak` is its memory in MiB."""
        self.busy.remove(worker)
        if worker.gpu is not None:
            self.gpus.append(worker.gpu)
        if worker.gpu is None and not worker.job.heavy and peak < LARGE_MIB:
            self.idle.append(worker)
        else:
            self._dismiss(worker)

    def stop(self) -> None:
        """End all workers, first by asking."""
        for worker in (*self.busy, *self.idle, *self.fresh):
            worker.process.terminate()
            self._dismiss(worker)
        for worker in self.leaving:
            worker.join()
        for workers in (self.busy, self.idle, self.fresh, self.leaving):
            workers.clear()

    def _dismiss(self, worker: Worker) -> None:
        """Let a worker end in its own time, and forget those that have."""
        worker.close()
        ended = [one for one in self.leaving if one.process.poll() is not None]
        self.leaving = [one for one in self.leaving if one not in ended] + [worker]
        for one in ended:
            one.join()


def _living(workers: list[Worker]) -> Worker | None:
    """Take a worker that still runs out of the list."""
    while workers:
        worker = workers.pop(0)
        if worker.process.poll() is None:
            return worker
        worker.close()
        worker.join()
    return None


class Worker:
    """A process that runs one job after another; the task of the one at work."""

    def __init__(self, backend: LocalBackend, gpu: str | None, modules: Sequence[str] = ()) -> None:
        self.backend, self.gpu = backend, gpu
        extra = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        log = backend.store.root / "logs" / "workers.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self.process = start_worker(log, backend.threads, extra, modules)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout
        os.set_blocking(self.answers.fileno(), False)

    def begin(self, job: Job, log: Path) -> None:
        """Send a job."""
        self.job, self.log = job, log
        # A worker that died at once leaves its exit code and its log to say why.
        with contextlib.suppress(BrokenPipeError):
            self.requests.write(request(to_json(job), log, self.backend.store))
            self.requests.flush()

    def poll(self) -> str | None:
        """See `run.Task`."""
        try:
            answer = os.read(self.answers.fileno(), 100)
        except BlockingIOError:
            return None
        if not answer:  # the process has ended without a word
            code = self.process.wait()
            self.backend.take_back(self, LARGE_MIB)
            return how_it_ended(code)
        word, peak = answer.decode().split()
        self.backend.take_back(self, int(peak))
        return "" if word == DONE else last_line(self.log)

    def close(self) -> None:
        """Ask for no more jobs, upon which the process ends."""
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()

    def join(self) -> None:
        """Wait for the end, and bring it about if that takes long."""
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.answers.close()
