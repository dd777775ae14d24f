"""How long jobs will take and how much disk they fill, from jobs that were measured."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from cemfp.engine.facts import processor
from cemfp.engine.jobs import Job, plan
from cemfp.storage.files import read_json, write_atomic
from cemfp.storage.store import Store

MEASURED = "measured.json"


class Mean(NamedTuple):
    """Means over `n` finished jobs of one sort: seconds, bytes on disk, floating-point operations.

    Times are wall times of one job on its share of the cores. `speed` is what the probe of
    `numerics.precision.speed` gave on the machine that made them, in operations per second of a
    core; 0 is this machine, or one that nobody asked.
    """

    n: int
    seconds: float
    size: float
    flops: float
    speed: float = 0.0

    def scaled(self, work: float) -> float:
        """Return the seconds that a job of `work` operations takes at this sort's rate."""
        return self.seconds * (work / self.flops if work and self.flops else 1.0)


class Estimates:
    """Seconds and bytes of jobs: as measured in this store, else as in the committed file.

    The file's times are of another machine: where its speed is known they are scaled by that of
    this one. What no machine measured, but has its arithmetic counted, takes that at this speed.
    """

    def __init__(self, store: Store, jobs: Iterable[Job]) -> None:
        self._found: dict[str, list[tuple[Job, float, float]]] = defaultdict(list)
        self._means: dict[str, Mean | None] = {}
        for job in jobs:
            if store.has(job.key()):
                self.learn(job, store)

    def learn(self, job: Job, store: Store) -> None:
        """Take in a finished job, unless another machine made it: that says nothing of this one."""
        manifest = store.manifest(job.key())
        if manifest.get("copied"):
            return
        size = float(sum(file["size"] for file in manifest["files"].values()))
        sort = job.sort()
        self._found[sort].append((job, manifest["took_seconds"], size))
        self._means.pop(sort, None)

    def means(self) -> dict[str, Mean]:
        """Return the mean of every sort that this store has."""
        found = {sort: self._mean(sort) for sort in sorted(self._found)}
        return {sort: mean for sort, mean in found.items() if mean is not None}

    def seconds(self, job: Job) -> float | None:
        """Return the seconds that `job` will take; None if nothing is known of its like."""
        mean, work = self._mean(job.sort()), job.flops()
        if mean is None:
            return work / _speed() if work else None
        elsewhere = mean.speed / _speed() if mean.speed and work else 1.0
        return mean.scaled(work) * elsewhere

    def size(self, job: Job) -> float:
        """Return the bytes that the job's result will take; 0 where nothing is known."""
        mean = self._mean(job.sort())
        return 0.0 if mean is None else mean.size

    def _mean(self, sort: str) -> Mean | None:
        if sort not in self._means:
            rows = self._found.get(sort)
            self._means[sort] = _mean_of(rows) if rows else committed().get(sort)
        return self._means[sort]


def _mean_of(rows: list[tuple[Job, float, float]]) -> Mean:
    columns = zip(*((seconds, size, job.flops()) for job, seconds, size in rows), strict=True)
    return Mean(len(rows), *(round(sum(column) / len(rows), 3) for column in columns))


def _speed() -> float:
    from cemfp.numerics.precision import speed  # TensorFlow, which counting arithmetic needs too

    return speed()


@functools.lru_cache(maxsize=1)
def committed() -> dict[str, Mean]:
    """Return the means that the package was shipped with."""
    text = resources.files("cemfp.engine").joinpath(MEASURED).read_text("utf-8")
    rows: dict[str, dict[str, Any]] = json.loads(text)["sorts"]
    return {sort: Mean(**row) for sort, row in rows.items()}


def save_rates(jobs: Iterable[Job], store: Store, path: Path) -> None:
    """Add what `store` measured of `jobs` and of all they need to the file at `path`."""
    known = read_json(path)["sorts"] if path.is_file() else {}
    measured = Estimates(store, plan(jobs)).means()
    here = round(_speed())
    sorts = known | {sort: mean._replace(speed=here)._asdict() for sort, mean in measured.items()}
    row = {"processor": processor(), "sorts": dict(sorted(sorts.items()))}
    write_atomic(path, (json.dumps(row, indent=1) + "\n").encode())
