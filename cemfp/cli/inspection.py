"""`cemfp inspect`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import options
from cemfp.cli.work import check_file, echo_json

if TYPE_CHECKING:
    from cemfp.fingerprint.artifact import Fingerprint


@click.command()
@click.argument("file", type=options.PATH)
@options.json_output
@click.option(
    "--gallery",
    type=options.PATH,
    callback=options.new_path,
    help="Draw originals, perturbations and inputs to this PNG or PDF.",
)
@options.force
def inspect(file: Path, as_json: bool, gallery: Path | None, force: bool) -> None:
    """Show what a fingerprint file holds.

    \b
    Example: cemfp inspect my.cemfp --gallery my.png
    """
    from cemfp.fingerprint.artifact import Fingerprint

    loaded = Fingerprint.load(file)
    if gallery is not None:
        from cemfp.figures import drawing as figures

        check_file(gallery)
        if gallery.suffix not in (".png", ".pdf"):
            raise click.UsageError(f"expected a PNG or PDF. Received: {gallery}.")
        figures.gallery(loaded, gallery)
    facts = _facts(loaded)
    if as_json:
        return echo_json(facts)
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name:{width}}  {value if isinstance(value, str) else json.dumps(value)}")


def _facts(loaded: Fingerprint) -> dict[str, Any]:
    """Everything but the arrays, JSON-able, and what the arrays say in short."""
    import numpy as np

    counts = np.bincount(loaded.keys, minlength=loaded.classes)
    scores = loaded.conferrability
    return {
        "method": loaded.method,
        "inputs": len(loaded),
        "shape": list(loaded.inputs.shape[1:]),
        "eight_bit": loaded.eight_bit,
        "domain": loaded.domain,
        "epsilon": loaded.epsilon,
        "classes": loaded.classes,
        "class_names": list(loaded.class_names),
        "keys_per_class": counts.tolist(),
        "shortfall": {str(label): count for label, count in loaded.shortfall.items()},
        "mean_conferrability": None if scores is None else float(np.mean(scores)),
        "controls": 0 if loaded.controls is None else len(loaded.controls),
        "source_input": str(loaded.convention),
        "parameters": loaded.parameters,
        "source_sha256": loaded.source_sha256,
        "data": loaded.data,
        "rule": loaded.rule and dataclasses.asdict(loaded.rule),
        "calibration": loaded.calibration and dataclasses.asdict(loaded.calibration),
        "calibration_hits": loaded.surrogate_hits is not None,
        "schema_version": loaded.schema_version,
    }
