"""Times variants against a baseline: one process each, so that peaks of memory stay apart.

The processes of a section live at the same time and take turns, one repeat each. Whatever else the
machine does then falls on all of them alike, and a ratio is the median over the rounds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import platform
import resource
import statistics
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import tensorflow as tf

Repeat = Callable[[], float]
Progress = Callable[[int, int, str], None]

LONGEST_SECONDS = 120.0  # of a section's timed rounds, whatever the machine
FEWEST_ROUNDS = 2
LIMIT = "ONEDNN_MAX_CPU_ISA"  # with it a newer CPU plays an older one
IDLE_LOAD = 0.7  # processes that ran or waited in the last minute, on average


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way of doing the work.

    Attributes:
        name: What the table calls it.
        prepare: Called in a process of its own; does all that is not timed and returns a function
            that does one repeat and returns how much work that was, in the section's unit.
        processes: So many do a repeat each at the same time; the rate and the memory are their sum.
    """

    name: str
    prepare: Callable[[], Repeat]
    processes: int = 1


@dataclasses.dataclass(frozen=True)
class Section:
    """Variants that are compared with each other.

    Attributes:
        title: Heading of its table.
        unit: What is counted, per second.
        variants: The baseline first.
        rounds: Timed repeats of each variant, fewer where they would take too long.
        memory: Whether the work is done in the measured process, and not by commands it starts.
    """

    title: str
    unit: str
    variants: tuple[Variant, ...]
    rounds: int
    memory: bool = True


class MachineBusy(RuntimeError):
    """Something else runs: what is measured now would not be the code's speed."""


class BenchmarkFailed(RuntimeError):
    """A variant's process ended before it was done; it has written why."""


class _Child:
    """A variant at work in its own process, or in several at once."""

    def __init__(self, variant: Variant) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = variant.name
        self.processes, self.pipes = [], []
        for _ in range(variant.processes):
            pipe, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(variant.prepare, theirs), daemon=True)
            process.start()
            theirs.close()  # the child now holds the only other end: its death is an end of file
            self.processes.append(process)
            self.pipes.append(pipe)

    def receive(self) -> list[float]:
        """Return the next answer of every process."""
        try:
            return [pipe.recv() for pipe in self.pipes]
        except EOFError as error:
            raise BenchmarkFailed(f"the variant {self.name!r} failed; see above") from error

    def ask(self, what: str) -> float:
        """Have one repeat done (`repeat`: its rate), or end it (`stop`: its peak memory, MiB)."""
        for pipe in self.pipes:
            pipe.send(what)
        return sum(self.receive())

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


def _serve(prepare: Callable[[], Repeat], pipe: Connection) -> None:
    start = time.perf_counter()
    repeat = prepare()
    repeat()  # compiles
    pipe.send(time.perf_counter() - start)
    while pipe.recv() == "repeat":
        start = time.perf_counter()
        work = repeat()
        pipe.send(work / (time.perf_counter() - start))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(section: Section) -> dict[str, Any]:
    """Run a section.

    Returns:
        Its title and unit, and `rows`: name, rate (median, lowest, highest), ratio to the baseline,
        seconds of preparation with the first, compiling repeat, and peak memory in MiB or None.

    Raises:
        BenchmarkFailed: A variant raised.
    """
    with contextlib.ExitStack() as stack:
        children, preparations = [], []
        for variant in section.variants:  # one after the other: preparing is timed, too
            children.append(_Child(variant))
            stack.callback(children[-1].close)
            preparations.append(max(children[-1].receive()))
        rounds = repeat_in_turns(
            lambda: [child.ask("repeat") for child in children], section.rounds, LONGEST_SECONDS
        )
        peaks = [child.ask("stop") for child in children]
    rows = []
    for i, child in enumerate(children):
        rates = [rates[i] for rates in rounds]
        row = {
            "name": child.name,
            "rate": statistics.median(rates),
            "lowest": min(rates),
            "highest": max(rates),
            "ratio": statistics.median(rates[i] / rates[0] for rates in rounds),
            "preparation_seconds": preparations[i],
            "peak_mib": peaks[i] if section.memory else None,
        }
        rows.append({key: value and _rounded(value) for key, value in row.items()})
    return {"title": section.title, "unit": section.unit, "rounds": len(rounds), "rows": rows}


def repeat_in_turns(
    once: Callable[[], list[float]], rounds: int, longest: float
) -> list[list[float]]:
    """Return the rates of as many of `rounds` as fit into `longest` seconds by the first one's.

    `FEWEST_ROUNDS` are made in any case, so that there is a spread.
    """
    start = time.perf_counter()
    rates = [once()]
    fitting = int(longest / max(time.perf_counter() - start, 1e-9))
    rounds = min(rounds, max(fitting, FEWEST_ROUNDS))
    return rates + [once() for _ in range(rounds - 1)]


def require_idle(load: float) -> None:
    """Refuse to measure for the record beside other work.

    Args:
        load: The load average of the last minute.

    Raises:
        MachineBusy: It is above `IDLE_LOAD`.
    """
    if load > IDLE_LOAD:
        raise MachineBusy(
            f"expected an idle machine, with a load of at most {IDLE_LOAD}. Received: {load:.2f}; "
            "wait a minute after other work has ended, or take --quick, which writes nothing"
        )


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def turns(run: Callable[[Progress], object], work: float) -> Repeat:
    """Return a function that lets `run` go on until it next reports progress.

    So a public function with a progress callback takes turns, and its compilation is not timed.

    Args:
        run: Called with the callback, in a thread; must report more often than it is asked to.
        work: What is done between two reports.
    """
    go, done = threading.Semaphore(0), threading.Semaphore(0)

    def progress(*report: object) -> None:
        del report
        done.release()
        go.acquire()

    def repeat() -> float:
        go.release()
        done.acquire()
        return work

    threading.Thread(target=run, args=(progress,), daemon=True).start()
    done.acquire()
    return repeat


def machine() -> dict[str, Any]:
    """Return what the numbers depend on; nothing that identifies the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.name == "posix" else []
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    formats = [
        flag
        for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
        if flag in facts.get("flags", "").split()
    ]
    limit = os.environ.get(LIMIT)
    return {
        "cpu": facts.get("model name", platform.processor()),
        "logical_cores": os.cpu_count(),
        "instructions": formats,
        **({"played": limit} if limit else {}),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "load_before": round(os.getloadavg()[0], 2),
    }
