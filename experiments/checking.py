"""Are the committed numbers of the central tables those of the committed nets and fingerprints?

Two steps, without data and training. The kept nets are asked the kept fingerprints again, and have
to answer what the rows say; then every number of a row is computed again from its answers.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.score import summarize
from cemfp.models import kept
from cemfp.models.classifier import Classifier
from cemfp.numerics import metrics
from experiments.jobs.verdicts import judge_answers
from experiments.runner import RESULTS, fingerprint_path

TABLES = ("cifar10_roc", "cifar10_thresholds")
VERDICTS, OF = "verdicts", TABLES[0]  # verdicts over models, and whose answers they judge
# Two processors may differ about two labels whose logits differ by less.
CLOSE = 1e-3
EQUAL = 1e-9
# Verdicts come out of fits, which end where they are good enough; a share of all random splits may
# differ by a few tests.
EQUAL_FIT, EQUAL_SHARE = 1e-4, 0.01


@dataclasses.dataclass
class Found:
    """What a check came to.

    Attributes:
        rows: Rows computed again.
        asked, not_kept: Answers of a model to a fingerprint: asked again, and taken as committed
            because the net is not kept.
        differences: One line for each number that is not what it was.
    """

    rows: int = 0
    asked: int = 0
    not_kept: int = 0
    differences: list[str] = dataclasses.field(default_factory=list)

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.rows} rows computed again from their answers; {self.asked} models asked again, "
            f"{self.not_kept} not kept; {len(self.differences)} differences"
        )


def check(results: Path = RESULTS) -> Found:
    """Compute the central tables of every profile in `results` again."""
    found, nets = Found(), _Nets()
    for directory in sorted(path for path in results.iterdir() if path.is_dir()):
        for table in TABLES:
            path = directory / f"{table}.json"
            rows = json.loads(path.read_bytes()) if path.is_file() else {}
            for name, row in rows.items():
                if "decision" in row:
                    where = f"{directory.name}/{table}, {name}"
                    _check_row(row, fingerprint_path(directory, table, name), where, nets, found)
        _check_verdicts(directory, found)
    return found


class _Nets:
    """The kept nets by the hash of their weights, each loaded once."""

    def __init__(self) -> None:
        self.names = {
            entry["weights_sha256"]: name
            for name, entry in kept.entries().items()
            if "weights_sha256" in entry
        }
        self.loaded: dict[str, Classifier] = {}

    def get(self, sha256: str) -> Classifier | None:
        name = self.names.get(sha256)
        if name is None:
            return None
        if name not in self.loaded:
            self.loaded[name] = Classifier.load(kept.find(name))
        return self.loaded[name]


def _check_row(row: dict[str, Any], path: Path, where: str, nets: _Nets, found: Found) -> None:
    found.rows += 1
    fingerprint = Fingerprint.load(path) if _is_of_cem(row) and path.is_file() else None
    if fingerprint is None:
        # Without inputs and keys the answers are taken as they are; conferrability needs keys.
        found.not_kept += len(row["models"])
        keys = np.zeros(row["fingerprint"]["inputs"], np.int64)
    else:
        keys = fingerprint.keys
        for model in row["models"]:
            found.differences += _check_model(model, fingerprint, where, nets, found)
    again = summarize(keys, row["models"])
    for name, number, committed in _numbers(again, row):
        if fingerprint is None and ".confer." in name:
            continue
        if not _equal(number, committed):
            found.differences.append(f"{where}: {name} is {number}, committed {committed}")


def _check_verdicts(directory: Path, found: Found) -> None:
    """Judge the committed answers again, where their fingerprint is committed, too."""
    path = directory / f"{VERDICTS}.json"
    if not path.is_file():
        return
    answered = json.loads((directory / f"{OF}.json").read_bytes())
    for name, committed in json.loads(path.read_bytes()).items():
        made = fingerprint_path(directory, OF, name)
        if "shares" not in committed or not _is_of_cem(committed) or not made.is_file():
            continue
        found.rows += 1
        fingerprint = Fingerprint.load(made)
        again = json.loads(json.dumps(judge_answers(answered[name], fingerprint)))
        for place, number, there in _numbers(again, committed):
            tolerance = EQUAL_SHARE if place.startswith(".splits.") else EQUAL_FIT
            if not _equal(number, there, tolerance):
                where = f"{directory.name}/{VERDICTS}, {name}"
                found.differences.append(f"{where}: {place} is {number}, committed {there}")


def _is_of_cem(row: dict[str, Any]) -> bool:
    return bool(row["fingerprint"]["method"] == "cem")


def _check_model(
    model: dict[str, Any], fingerprint: Fingerprint, where: str, nets: _Nets, found: Found
) -> list[str]:
    """Ask a model again if it is kept; compare its answers and their CAEAcc."""
    who = f"{where}, {model['role']} {model['origin']} seed {model['seed']}"
    committed = np.array(model["answers"])
    differences = []
    score = metrics.cae_accuracy(committed, fingerprint.keys)
    if not _equal(score, model["cae_accuracy"]):
        differences.append(f"{who}: CAEAcc is {score}, committed {model['cae_accuracy']}")
    net = nets.get(model["weights_sha256"])
    if net is None:
        found.not_kept += 1
        return differences
    found.asked += 1
    logits = net.predict_logits(fingerprint.inputs)
    lost = logits.max(axis=1) - logits[np.arange(len(logits)), committed]
    if (wrong := np.flatnonzero(lost > CLOSE)).size:
        differences.append(f"{who}: answers {len(wrong)} inputs otherwise than committed")
    return differences


def _numbers(again: Any, committed: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the leaves of `again`, each with its place and what stands there in `committed`."""
    if isinstance(again, dict):
        for key, value in again.items():
            there = committed.get(key) if isinstance(committed, dict) else None
            yield from _numbers(value, there, f"{name}.{key}")
    elif isinstance(again, list) and isinstance(committed, list) and len(again) == len(committed):
        for number, pair in enumerate(zip(again, committed, strict=True)):
            yield from _numbers(*pair, f"{name}.{number}")
    else:
        yield name, again, committed


def _equal(number: Any, committed: Any, tolerance: float = EQUAL) -> bool:
    if isinstance(number, float) and isinstance(committed, int | float):
        return math.isclose(number, committed, abs_tol=tolerance)
    return bool(number == committed)
