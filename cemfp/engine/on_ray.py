"""Jobs on a Ray cluster, or on this machine through Ray; results go to a store that all see."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cemfp.engine.executors import Outcome, execute
from cemfp.engine.jobs import Job, to_json
from cemfp.engine.progress import last_line
from cemfp.engine.ray_task import WorkerDied, run_task
from cemfp.storage.store import Store

RETRIES = 3


class RayError(RuntimeError):
    """Ray is not installed, or there is no such cluster."""


def run_on_ray(
    jobs: Iterable[Job],
    store: Store,
    *,
    address: str | None = None,
    processes: int | None = None,
    threads_per_process: int = 1,
    progress: bool = True,
) -> Outcome:
    """Obtain `jobs` as Ray tasks, see `executors.execute`; a killed worker's job is tried again.

    Args:
        jobs: Jobs of classes that every node can import.
        store: A store whose URI every node can open: a path of a shared disk, or an object store.
        address: Of a running cluster, `auto` for the one of this machine; None starts Ray here.
        processes: Jobs at once; by default as many as the cluster's CPUs or GPUs allow.
        threads_per_process: CPUs that each job asks for, and the threads it uses.
        progress: Whether to show how far it is.

    Raises:
        RayError: Ray is missing, or there is no cluster at `address`.
    """
    ray = _start_ray(address, processes, threads_per_process)
    try:
        backend = RayBackend(ray, store, processes, threads_per_process)
        return execute(jobs, store, backend, progress=progress)
    finally:
        ray.shutdown()


class RayBackend:
    """Ray tasks, each with its CPUs, and with one GPU where the cluster has any.

    Attributes:
        slots: Jobs at once that the cluster has resources for.
    """

    def __init__(self, ray: Any, store: Store, processes: int | None, threads: int) -> None:
        self.ray, self.store, self.threads = ray, store, threads
        resources = ray.cluster_resources()
        self.gpus = int(resources.get("GPU", 0))
        fitting = self.gpus or max(1, int(resources.get("CPU", 1)) // threads)
        self.slots = min(processes or fitting, fitting)
        # More tasks than fit tell an autoscaling cluster to grow; who sets a number means it.
        self.most = processes or 4 * fitting
        self.tasks: list[RayTask] = []

    def has_room(self, running: int) -> bool:
        """Whether one more job may start beside `running` others."""
        return running < self.most

    def start(self, job: Job, log: Path) -> RayTask:
        """Submit a job."""
        task = self.ray.remote(run_task).options(
            num_cpus=self.threads,
            num_gpus=1 if self.gpus else 0,
            max_retries=RETRIES,
            retry_exceptions=[WorkerDied],
            name=job.label(),
        )
        alone = job.heavy or bool(self.gpus)
        answer = task.remote(to_json(job), job.key(), self.store.uri, self.threads, alone)
        self.tasks = [one for one in self.tasks if not one.ended] + [RayTask(self.ray, answer, log)]
        return self.tasks[-1]

    def prepare(self, heavy: Sequence[Job]) -> None:
        """Do nothing: Ray starts its workers itself."""

    def stop(self) -> None:
        """Cancel all that has not ended."""
        for task in self.tasks:
            if not task.ended:
                self.ray.cancel(task.answer, force=True)


class RayTask:
    """A submitted job."""

    def __init__(self, ray: Any, answer: Any, log: Path) -> None:
        self.ray, self.answer, self.log, self.ended = ray, answer, log, False

    def poll(self) -> str | None:
        """See `run.Task`."""
        ready, _ = self.ray.wait([self.answer], timeout=0)
        if not ready:
            return None
        self.ended = True
        try:
            well, words = self.ray.get(self.answer)
        except self.ray.exceptions.RayError as error:
            return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        # The node's log is this one if the disk is shared.
        if not self.log.is_file() or not self.log.read_bytes().endswith(words):
            self.log.write_bytes(words)
        return "" if well else last_line(self.log)


def _start_ray(address: str | None, processes: int | None, threads: int) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns at each start
    # Ray makes its workers nice by 15, which starves them beside anything else.
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError as error:
        raise RayError(
            "expected Ray. Received: it is not installed; pip install 'cemfp[ray]'"
        ) from error
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        count = processes or max(1, (os.cpu_count() or 1) // threads)
        settings |= {"num_cpus": count * threads, "include_dashboard": False}
    try:
        if address and address != "auto":
            _knock(address)
        ray.init(address=address, **settings)
    except (OSError, ValueError, RuntimeError) as error:
        raise RayError(
            f"expected a Ray cluster at {address or 'this machine'}. Received: "
            f"{' '.join(str(error).split())[:200]}; start one with `ray start --head`"
        ) from error
    return ray


def _knock(address: str) -> None:
    """See that somebody listens at `[ray://]host:port`: Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host, int(port)), timeout=10).close()
