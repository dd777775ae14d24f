"""The line that shows how far a list of jobs has come."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from cemfp.study.executors import LocalRun

_SHOW_SECONDS = 0.5


class ProgressLine(tqdm):
    """Jobs done, jobs running with their last words, and the time left."""

    def __init__(self, run: LocalRun, *, disable: bool) -> None:
        total = len(run.needs)
        layout = "{n_fmt}/{total_fmt} jobs |{bar:20}| {elapsed}{postfix}"
        super().__init__(total=total, disable=disable, bar_format=layout, file=sys.stderr)
        self.run, self.shown = run, (-1, 0.0)

    def show(self) -> None:
        """Redraw twice a second; where there is no terminal, once for each job that ended."""
        run, now = self.run, time.monotonic()
        ended = len(run.done) + len(run.failed) + len(run.skipped)
        due = sys.stderr.isatty() and now - self.shown[1] > _SHOW_SECONDS
        if self.disable or not (due or ended != self.shown[0]):
            return
        self.shown, self.n = (ended, now), ended
        parts = [time_left(run, now)]
        parts += [f"{c.job.label()}: {last_line(c.log)[-60:]}" for c in run.running.values()]
        self.set_postfix_str(" | ".join(parts))


def time_left(run: LocalRun, now: float) -> str:
    """Estimate from the mean duration of jobs of the same kind; a kind not seen yet counts zero."""
    means = {kind: sum(took) / len(took) for kind, took in run.durations.items()}
    pending = [(job.kind, 0.0) for job in run.waiting.values()]
    pending += [(child.job.kind, now - child.started) for child in run.running.values()]
    seconds = sum(max(0.0, means.get(kind, 0.0) - spent) for kind, spent in pending)
    unknown = any(kind not in means for kind, _ in pending)
    return f"{'more than ' if unknown else ''}{duration(seconds / run.processes)} left"


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
