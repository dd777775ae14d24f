"""What a study ran on: versions, machine, time."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cemfp.engine.jobs import Job, plan
from cemfp.storage.store import Store

_PACKAGES = (
    *("cemfp", "tensorflow", "tensorflow-datasets", "tensorflow-privacy"),
    *("adversarial-robustness-toolbox", "numpy", "scipy", "matplotlib"),
)


def study_facts(jobs: Iterable[Job], store: Store) -> dict[str, Any]:
    """Return what `jobs` and all they need took, and what this machine and its packages are.

    Seconds are those of the jobs themselves, each on its share of the machine's cores.
    """
    counts: dict[str, dict[str, float]] = defaultdict(
        lambda: {"done": 0, "missing": 0, "seconds": 0.0}
    )
    for job in plan(jobs):
        count = counts[job.kind]
        if store.has(job.key()):
            count["done"] += 1
            seconds = store.manifest(job.key())["took_seconds"]
            count["seconds"] = round(count["seconds"] + seconds, 1)
        else:
            count["missing"] += 1
    return {
        "package_versions": _versions(),
        "python": platform.python_version(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "jobs": dict(counts),
        "core_hours": round(sum(count["seconds"] for count in counts.values()) / 3600, 2),
    }


def processor() -> str:
    """Return the processor's name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # an extra that is not installed
            continue
    return found


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
