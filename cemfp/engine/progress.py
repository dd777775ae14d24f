"""How far a list of jobs has come: a line that is redrawn; new lines without a terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tqdm import tqdm

from cemfp.engine.run import Run

_SHOW_SECONDS = 0.5
_SILENT_SECONDS = 30.0  # a log without a line for longer looks like a program that hangs
_SHOWN_JOBS = 4


class ProgressLine(tqdm):
    """Jobs done, failed, running with their last words, and the time left."""

    def __init__(self, run: Run, *, disable: bool) -> None:
        layout = "{n_fmt}/{total_fmt} jobs |{bar:20}| {elapsed}{postfix}"
        self.run, self.shown, self.terminal = run, (-1, 0.0), sys.stderr.isatty()
        super().__init__(
            total=len(run.needs),
            initial=run.ended,
            disable=disable or not self.terminal,
            bar_format=layout,
            file=sys.stderr,
        )
        self.silent = disable

    def show(self) -> None:
        """Redraw twice a second; else write a line when a job has ended, or each 30 seconds."""
        run, now = self.run, time.monotonic()
        due = now - self.shown[1] > (_SHOW_SECONDS if self.terminal else _SILENT_SECONDS)
        if self.silent or not (due or run.ended != self.shown[0]):
            return
        self.shown = (run.ended, now)
        parts = [f"{len(run.failed)} failed"] if run.failed else []
        parts += [time_left(run, now), f"{len(run.running)} running"]
        children = list(run.running.values())[:_SHOWN_JOBS]
        parts += [f"{child.job.label()}: {last_line(child.log)[-60:]}" for child in children]
        if not self.terminal:
            sys.stderr.write(f"{run.ended}/{len(run.needs)} jobs, {', '.join(parts)}\n")
            return
        self.n = run.ended
        self.set_postfix_str(" | ".join(parts))


def time_left(run: Run, now: float) -> str:
    """Say how long the rest will take; jobs of a sort that nobody measured count zero.

    Where nothing else is left, this is said in place of a number.
    """
    pending = [(job, 0.0) for job in run.waiting.values()]
    pending += [(child.job, now - child.started) for child in run.running.values()]
    estimates = [(run.estimates.seconds(job), spent) for job, spent in pending]
    seconds = sum(max(0.0, estimate - spent) for estimate, spent in estimates if estimate)
    unknown = any(estimate is None for estimate, _ in estimates)
    if unknown and seconds < 1.0:
        return "time left unknown"
    return f"{'more than ' if unknown else ''}{duration(seconds / run.backend.slots)} left"


def duration(seconds: float) -> str:
    """Write seconds as `[h:]mm:ss`."""
    return str(tqdm.format_interval(seconds))


def last_line(log: Path) -> str:
    """Last words of a log; a progress bar's carriage returns separate lines as well."""
    if not log.exists():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 1000))
        text = file.read().decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
