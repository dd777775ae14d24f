"""Run every command of docs/tutorial.md: `python -m examples.tutorial --out DIR`, half an hour.

What each printed, its exit status and its seconds go to `examples/results/tutorial.json`, with the
facts of the machine and the summary of `cemfp protect`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import machine

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results"
FINGERPRINT = "protected/fingerprint.cemfp"
# `examples` and `cemfp` are run as modules of this Python, so that no installation is in the way.
COMMANDS = (
    "python -m examples.own_model photos photos",
    "python -m examples.own_model train photos my_model.keras --net {net}",
    "cemfp data photos --sheet photos.png",
    "cemfp protect my_model.keras --data photos --out protected --budget {budget}",
    "cemfp attack ftal --victim my_model.keras --scale 255 --data photos --out stolen/fine_tuned",
    "python -m examples.own_model train photos stranger.keras --seed 1 --net {net}",
    f"cemfp verify {FINGERPRINT} stolen/fine_tuned",
    f"cemfp verify {FINGERPRINT} stranger.keras --scale 255",
    f"cemfp verify {FINGERPRINT} my_model.keras",
    f"cemfp verify {FINGERPRINT} my_model.keras --scale 255",
)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Directory.")
@click.option("--budget", default="20m", show_default=True, help="Of `cemfp protect`.")
@click.option("--net", default="plain", show_default=True, help="Of `examples.own_model train`.")
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    help="File of the rows.  [default: tutorial.json or tutorial_NET.json in examples/results]",
)
def main(out: Path, budget: str, net: str, write: Path | None) -> None:
    """Run the tutorial in a directory; a run that was stopped goes on where it was."""
    write = write or RESULTS / ("tutorial.json" if net == "plain" else f"tutorial_{net}.json")
    out.mkdir(parents=True, exist_ok=True)
    kept = out / "rows.json"
    rows = json.loads(kept.read_bytes()) if kept.is_file() else []
    for command in COMMANDS[len(rows) :]:
        rows.append(run(command.format(budget=budget, net=net), out))
        kept.write_text(json.dumps(rows))
    found = {
        "commit": output("git", "rev-parse", "HEAD").strip(),
        "machine": machine(),
        "commands": rows,
        "summary": json.loads(nowhere((out / "protected" / "summary.json").read_text(), out)),
    }
    write.parent.mkdir(parents=True, exist_ok=True)
    write.write_text(json.dumps(found, indent=1) + "\n")


def run(command: str, place: Path) -> dict[str, Any]:
    """Run a command of the tutorial in `place`, show it, and return what became of it."""
    click.echo(f"$ {command}")
    program, *rest = shlex.split(command)
    start = [sys.executable, *(() if program == "python" else ("-m", program))]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    load, began = os.getloadavg()[0], time.monotonic()
    done = subprocess.run(
        [*start, *rest],
        cwd=place,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    printed = nowhere(done.stdout, place)
    click.echo(f"{printed}status {done.returncode}, {seconds:.0f} s, load before {load:.1f}")
    return {
        "command": command,
        "status": done.returncode,
        "seconds": round(seconds, 1),
        "load_before": round(load, 2),
        "output": printed.splitlines(),
    }


def nowhere(text: str, place: Path) -> str:
    """Return `text` without the folder: nobody needs to know where this machine keeps it."""
    return text.replace(f"{place.resolve()}/", "")


def output(*command: str) -> str:
    """Return what a command prints, run in the checkout."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
