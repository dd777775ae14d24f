"""`cemfp protect` ended in each of its phases: `python -m benchmarks.interrupted`.

A small model of digits is protected. The run is ended in its first phase, started again, ended in
the next, and so on; the last one ends by itself. Once Ctrl-C ends it, once `kill -9`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import machine
from cemfp.storage.store import MANIFEST, Store

# Phase -> what is on a line once it has begun. Before the first line there is the check.
PHASES = {
    "check": r"",
    "plan": r"^Timing some steps",
    "training": r"^[1-9]/\d+ jobs, .* running, ",
    "fingerprint": r" running, candidates",
    "threshold": r" running, threshold",
    "self-test": r" running, .*(ftal|black-box)",
    "report": r"^Survives: ",
}
SIGNALS = {"Ctrl-C": signal.SIGINT, "kill -9": signal.SIGKILL}
SOURCE = (
    "train --data digits --images 150 --width 4 --depth 8 --epochs 60 --batch-size 64 "
    "--learning-rate 0.1 --no-flip --pad 0 --out source --quiet"
)
PROTECT = (
    "protect source --data digits --out protected --budget 30m --surrogates 2 --references 2 "
    "--inputs 20 --epsilon 0.3"
)


@click.command()
@click.option("--write", type=click.Path(path_type=Path), help="Write the rows to this file, too.")
def main(write: Path | None) -> None:
    """Interrupt `cemfp protect` in every phase, and see what the next run does again."""
    facts = machine()
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(command(SOURCE), cwd=place, check=True)
        rows = []
        for how in SIGNALS:
            for row in chain(Path(place), how):
                click.echo(json.dumps(row))
                rows.append(row)
    text = json.dumps({"machine": facts, "command": f"cemfp {PROTECT}", "rows": rows}, indent=1)
    if write is not None:
        write.write_text(text + "\n")


def command(arguments: str) -> list[str]:
    """Return a command of this package, by this Python."""
    return [sys.executable, "-m", "cemfp", *arguments.split()]


def chain(place: Path, how: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each phase in which the run is ended, and for the run that ends by itself."""
    out = place / how.replace(" ", "-")
    before: dict[str, int] = {}
    for phase in (*PHASES, None):
        status, last = run(place, out, phase, SIGNALS[how])
        after = entries(out / "store")
        yield {
            "signal": how if phase else "none",
            "phase": phase or "whole",
            "status": status,
            "last_line": last,
            "results_before": len(before),
            "results_after": len(after),
            "made_again": sum(after.get(key) != when for key, when in before.items()),
            "half_written": half_written(out),
        }
        before = after


def run(place: Path, out: Path, phase: str | None, number: int) -> tuple[int, str]:
    """Run `protect` and end it in `phase`; return its exit status and the last line it printed."""
    process = subprocess.Popen(
        command(PROTECT.replace("--out protected", f"--out {out}")),
        cwd=place,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell starts its background jobs with interrupts ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    if phase == "check":
        wait_for_tensorflow(process.pid)
        process.send_signal(number)
    last, begun = "", phase == "check"
    for line in process.stdout:
        last = line.strip() or last
        if phase and not begun and re.search(PHASES[phase], line):
            begun = True
            process.send_signal(number)
    status = process.wait()
    if phase and not begun:
        raise click.ClickException(f"expected to see the phase {phase}. Received: {last}")
    return status, last.replace(f"{place}/", "")


def wait_for_tensorflow(pid: int) -> None:
    """Wait until a process has TensorFlow in memory: what it does next is the check."""
    while "libtensorflow_cc" not in Path(f"/proc/{pid}/maps").read_text():
        os.sched_yield()


def entries(store: Path) -> dict[str, int]:
    """Return when each result in a store was written, in nanoseconds."""
    found = (store / "objects").glob(f"*/*/{MANIFEST}")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


def half_written(out: Path) -> list[str]:
    """Return what is left of writings that did not end, and results that are not whole."""
    rest = [path.name for path in (out / "store" / "tmp").glob("*")]
    rest += [path.name for path in out.glob(".*")]
    store = Store(out / "store")
    for key in entries(store.root):
        store.get(key)
    return sorted(rest)


if __name__ == "__main__":
    main()
