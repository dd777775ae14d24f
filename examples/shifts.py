"""What shifts of the images do for the tutorial's fingerprint: `python -m examples.shifts DIR`.

DIR is where `python -m examples.tutorial` ran. The fingerprint is made again from the nets that are
there, with and without shifts and with other seeds, and asked of the nets that did not make it.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import machine
from cemfp.data import DataSpec, job_name
from cemfp.engine.jobs import obtain
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import FINGERPRINT, MakeFingerprint, load_classifiers
from cemfp.numerics import metrics
from cemfp.owner.jobs import Protection
from cemfp.owner.planning import Wish, plan_protection
from cemfp.owner.protect import SUMMARY
from cemfp.storage.store import Store
from experiments.markdown import write_table

ROWS = Path(__file__).parent / "results" / "shifts.json"


@click.command()
@click.argument("place", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--seeds", default=3, show_default=True)
@click.option("--budget", default=1200.0, show_default=True, help="That of the tutorial.")
def main(place: Path, seeds: int, budget: float) -> None:
    """Make the fingerprint with and without shifts, and write what unseen nets answer."""
    facts, out = machine(), place / "protected"
    store = Store(out / "store")
    data = job_name(DataSpec(str(place / "photos")))
    wish = Wish(str(place / "my_model.keras"), data, budget)
    protection = plan_protection(wish, out, store, say=click.echo)
    radius = json.loads((out / SUMMARY).read_bytes())["epsilon"]
    rows = []
    for seed in range(seeds):
        for shift in (0, None):
            rows.append(row_of(protection, radius, seed, shift, store))
            click.echo(json.dumps(rows[-1]))
    found = {"machine": facts, "epsilon": radius, "steps": protection.plan.steps, "rows": rows}
    ROWS.write_text(json.dumps(found, indent=1) + "\n")
    draw(found)


def draw(found: dict[str, Any]) -> None:
    """Write the table of the rows."""
    groups = ("copies", "independent")
    heads = ["shift, pixels", "seed", "inputs", *(f"CAEAcc, {name}" for name in groups), "gap"]
    lines = [
        [
            *(str(row[name]) for name in ("shift", "seed", "inputs")),
            *(", ".join(f"{score:.2f}" for score in row[name]) for name in groups),
            f"{row['gap']:+.2f}",
        ]
        for row in sorted(found["rows"], key=lambda row: (row["shift"], row["seed"]))
    ]
    note = (
        "The tutorial's model and photos (CIFAR-10, 5,000 images) and nets of its architecture: "
        f"2 + 2 make the fingerprint (CEM, epsilon {found['epsilon']:.4f}, {found['steps']} "
        "steps). Copies: two surrogates kept for the threshold, the model fine-tuned, and "
        "extracted; independent: two references kept for the threshold, and two that nothing used. "
        "Gap: difference of the means."
    )
    write_table(ROWS.with_suffix(".md"), "Shifts", heads, lines, note)


def row_of(
    protection: Protection, radius: float, seed: int, shift: int | None, store: Store
) -> dict[str, Any]:
    """Return the CAEAcc of nets that did not make the fingerprint.

    Args:
        protection: The nets, all of them in `store`.
        radius: Epsilon.
        seed: Of the starting images and all draws.
        shift: Pixels; None for what `protect` takes.
        store: Where results are.
    """
    usual = protection.owner.fingerprint(protection.defender, radius, protection.plan.steps)
    job = with_shift(usual, seed, shift)
    fingerprint = Fingerprint.load(obtain(job, store) / FINGERPRINT)
    known, thefts = protection.calibration, protection.thefts
    extracted = [thefts[name] for name in ("ftal", "black-box")]
    groups = {
        "copies": [*known.surrogates, *extracted],
        "independent": [*known.references, *protection.unseen],
    }
    scores = {
        name: [
            metrics.cae_accuracy(net.predict_labels(fingerprint.inputs), fingerprint.keys)
            for net in load_classifiers(store, jobs)
        ]
        for name, jobs in groups.items()
    }
    means = {name: statistics.mean(found) for name, found in scores.items()}
    shifted = job.candidates.method.shift
    facts = {"seed": seed, "shift": shifted, "inputs": len(fingerprint)}
    return {**facts, **scores, "gap": means["copies"] - means["independent"]}


def with_shift(usual: MakeFingerprint, seed: int, shift: int | None) -> MakeFingerprint:
    """Return the making of a fingerprint with another seed, and another shift if one is given."""
    method = usual.candidates.method
    if shift is not None:
        method = dataclasses.replace(method, shift=shift)
    candidates = dataclasses.replace(usual.candidates, method=method, seed=seed)
    return dataclasses.replace(usual, candidates=candidates)


if __name__ == "__main__":
    main()
