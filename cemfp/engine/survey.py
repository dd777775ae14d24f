"""What a study still has to do: jobs by kind, time, disk, arithmetic."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cemfp.engine.estimates import Estimates
from cemfp.engine.jobs import Job, plan
from cemfp.engine.progress import duration
from cemfp.storage.store import Store

# What a GPU sustains on nets as small as these, far below its peak: assumed, none was measured.
GPU_TFLOPS = (1, 3, 10)


class Count(NamedTuple):
    """Jobs of one kind.

    Attributes:
        done: How many have a result.
        missing: How many have none.
        seconds: What the missing ones will take, one after another, as far as that is known.
        unknown: Missing ones of a sort that nobody measured.
        size: Bytes that their results will take.
        flops: Floating-point operations of the missing ones.
    """

    done: int = 0
    missing: int = 0
    seconds: float = 0.0
    unknown: int = 0
    size: float = 0.0
    flops: float = 0.0


def survey(jobs: Iterable[Job], store: Store, elsewhere: Container[str] = ()) -> dict[str, Count]:
    """Count by kind the results of `jobs` and of all they need.

    Args:
        jobs: What is wanted.
        store: Where results are.
        elsewhere: Keys of jobs whose results are put into the store before anything runs.
    """
    planned = plan(jobs)
    estimates = Estimates(store, planned)
    counts: dict[str, Count] = {}
    for job in planned:
        count, key = counts.get(job.kind, Count()), job.key()
        done = key in elsewhere or store.has(key)
        counts[job.kind] = (
            count._replace(done=count.done + 1) if done else _with(count, job, estimates)
        )
    return counts


def total(counts: dict[str, Count]) -> Count:
    """Return the sum over kinds."""
    return Count(*map(sum, zip(*counts.values(), strict=True))) if counts else Count()


def describe(counts: dict[str, Count], store: Store, *, slots: int) -> str:
    """Return the plan as lines: a table by kind, then time with `slots` jobs at once, and disk."""
    everything = total(counts)
    lines = [f"  {'kind':12} {'done':>5} {'missing':>8} {'time of one core':>17} {'PFLOP':>9}"]
    for kind, count in {**counts, "total": everything}.items():
        time = ("> " if count.unknown else "") + duration(count.seconds)
        lines.append(
            f"  {kind:12} {count.done:5} {count.missing:8} {time:>17} {count.flops / 1e15:9.3g}"
        )
    lines += [_time(everything, slots), _disk(everything, store.root)]
    return "\n".join(lines)


def cost_table(counts: dict[str, Count]) -> str:
    """Return the missing jobs as a Markdown table: arithmetic, and GPU-hours at assumed rates."""
    rates = " | ".join(f"GPU-hours at {rate} TFLOP/s" for rate in GPU_TFLOPS)
    lines = [f"| kind of job | jobs | PFLOP | {rates} |", "| --- " * (3 + len(GPU_TFLOPS)) + "|"]
    for kind, count in {**counts, "total": total(counts)}.items():
        hours = [f"{count.flops / rate / 3.6e15:,.1f}" for rate in GPU_TFLOPS]
        if count.missing:
            cells = [kind, str(count.missing), f"{count.flops / 1e15:,.1f}", *hours]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def only(jobs: Sequence[Job], kinds: Sequence[str]) -> list[Job]:
    """Return the jobs of these kinds among `jobs` and all they need; all for no kinds.

    Raises:
        ValueError: No such kind.
    """
    if not kinds:
        return list(jobs)
    planned = plan(jobs)
    known = {job.kind for job in planned}
    if not set(kinds) <= known:
        raise ValueError(
            f"expected kinds of job among {', '.join(sorted(known))}. Received: {', '.join(kinds)}"
        )
    return [job for job in planned if job.kind in kinds]


def _with(count: Count, job: Job, estimates: Estimates) -> Count:
    seconds = estimates.seconds(job)
    return Count(
        count.done,
        count.missing + 1,
        count.seconds + (seconds or 0.0),
        count.unknown + (seconds is None),
        count.size + estimates.size(job),
        count.flops + job.flops(),
    )


def _time(everything: Count, slots: int) -> str:
    if not everything.missing:
        return "nothing is missing"
    known = "at least " if everything.unknown else "about "
    text = f"time: {known}{duration(everything.seconds / slots)} with {slots} jobs at once"
    if everything.unknown:
        text += f" ({everything.unknown} jobs of a sort that was never measured count zero)"
    return text


def _disk(everything: Count, root: Path) -> str:
    there = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(there).free
    return f"disk: about {everything.size / 1e6:,.0f} MB more, {free / 1e9:,.0f} GB free at {root}"
