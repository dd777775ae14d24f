"""Run benchmarks: `python -m benchmarks [NAME...] [--quick]`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from benchmarks import cem, characteristic, ensemble, harness, members, starting, training

BENCHMARKS = {
    "ensemble": ensemble,
    "training": training,
    "cem": cem,
    "members": members,
    "characteristic": characteristic,
    "starting": starting,
}
RESULTS = Path(__file__).parent / "results"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)), metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Few rounds and models; prints and writes nothing.")
@click.option(
    "--machine",
    default="",
    help="Write NAME-MACHINE.json: rows of another machine stay beside the first one's.",
)
def main(names: tuple[str, ...], quick: bool, machine: str) -> None:
    """Measure speed and memory against named baselines; all benchmarks unless some are named."""
    facts = harness.machine()
    if not quick:
        try:
            harness.require_idle(facts["load_before"])
        except harness.MachineBusy as error:
            raise click.ClickException(str(error)) from error
    for name in names or BENCHMARKS:
        results = [harness.measure(section) for section in BENCHMARKS[name].sections(quick)]
        for result in results:
            click.echo(table(result) + "\n")
        if not quick:
            RESULTS.mkdir(exist_ok=True)
            text = json.dumps({"machine": facts, "sections": results}, indent=2)
            parts = (name, machine, facts.get("played", "").lower())
            (RESULTS / f"{'-'.join(filter(None, parts))}.json").write_text(text + "\n")


def table(result: dict[str, Any]) -> str:
    """Return a section's result as a Markdown table."""
    lines = [
        f"{result['title']}:\n",
        f"| variant | {result['unit']}/s | lowest to highest | ratio | ready after s | peak MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['name']} | {row['rate']:.4g} | {row['lowest']:.4g} to {row['highest']:.4g} | "
        f"{row['ratio']:.2f} | {row['preparation_seconds']:.1f} | {_mib(row)} |"
        for row in result["rows"]
    ]
    return "\n".join(lines)


def _mib(row: dict[str, Any]) -> str:
    return "–" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"


if __name__ == "__main__":
    main()
