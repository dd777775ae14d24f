"""The job that asks unseen models for their answers to a fingerprint, and computes every number."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cemfp.engine.jobs import Job, Progress
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import (
    FINGERPRINT,
    NOTHING,
    ROWS,
    MakeFingerprint,
    load_classifiers,
)
from cemfp.jobs.zoo import Group
from cemfp.models.classifier import Classifier
from cemfp.models.roles import Origin, Role, require_roles
from cemfp.numerics import metrics
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.verification.calibration import CalibrationError, choose_threshold


@dataclasses.dataclass(frozen=True)
class ScoreFingerprint(Job):
    """Ask calibration and evaluation models, and compute every number that a figure shows.

    Attributes:
        fingerprint: What to ask.
        calibration: Models that set the threshold, and nothing else.
        evaluation: Models that are judged, and nothing else.
    """

    kind: ClassVar[str] = "score"
    heavy: ClassVar[bool] = False

    fingerprint: MakeFingerprint
    calibration: Group
    evaluation: Group

    def label(self) -> str:
        """Short name for people."""
        return f"score {self.fingerprint.candidates.method.name}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`: the fingerprint's facts, one row per model, and the summary.

        Where the method found nothing, the only entry is `missing`, the reason.
        """
        del progress  # a matter of seconds
        made = store.get(self.fingerprint.key())
        if (made / NOTHING).is_file():
            write_atomic(out / ROWS, (made / NOTHING).read_bytes())
            return
        fingerprint = Fingerprint.load(made / FINGERPRINT)
        rows = [
            _model_row(fingerprint, model)
            for role, group in (
                (Role.CALIBRATION, self.calibration),
                (Role.EVALUATION, self.evaluation),
            )
            for model in _load_role(store, group, role)
        ]
        result = {
            "fingerprint": _facts(fingerprint),
            "models": rows,
            **summarize(fingerprint.keys, rows),
        }
        write_atomic(out / ROWS, json.dumps(result, indent=1).encode())


def summarize(keys: np.ndarray, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return every number that follows from the answers of `rows` and the `keys` (n,).

    Args:
        keys: The fingerprint's.
        rows: One of each model: `role`, `origin`, `answers` (n labels), `cae_accuracy`.

    Returns:
        `calibration` and `evaluation`: CAEAcc, conferrability [Lukas21, Eq. 2], ROC AUC;
        `decision`: the threshold from the calibration models, and what it says of the others.
    """
    summaries = {str(r): _summary(keys, rows, r) for r in (Role.CALIBRATION, Role.EVALUATION)}
    return {**summaries, "decision": _decision(rows)}


def _load_role(store: Store, group: Group, role: Role) -> list[Classifier]:
    models = load_classifiers(store, group.everyone)
    require_roles(models, [role], f"scoring, {role} models")
    return models


def _facts(fingerprint: Fingerprint) -> dict[str, Any]:
    counts = np.bincount(fingerprint.keys, minlength=fingerprint.classes)
    return {
        "method": fingerprint.method,
        "epsilon": fingerprint.epsilon,
        "inputs": len(fingerprint),
        "parameters": fingerprint.parameters,
        "data": fingerprint.data,
        "source_sha256": fingerprint.source_sha256,
        "keys_per_class": counts.tolist(),
        "shortfall": {str(label): count for label, count in fingerprint.shortfall.items()},
        "defender_confer": _mean_or_none(fingerprint.conferrability),
    }


def _model_row(fingerprint: Fingerprint, model: Classifier) -> dict[str, Any]:
    answers = model.predict_labels(fingerprint.inputs)
    return {
        "role": model.role,
        "origin": model.origin,
        "net": model.config.net,
        "seed": model.config.training["seed"],
        "weights_sha256": model.weights_sha256,
        "test_accuracy": model.config.training["test_accuracy"],
        "cae_accuracy": metrics.cae_accuracy(answers, fingerprint.keys),
        "answers": answers.tolist(),
    }


def _pick(rows: list[dict[str, Any]], role: Role, origin: Origin) -> list[dict[str, Any]]:
    return [row for row in rows if row["role"] == role and row["origin"] == origin]


def _scores(rows: list[dict[str, Any]], role: Role, origin: Origin) -> list[float]:
    return [row["cae_accuracy"] for row in _pick(rows, role, origin)]


def _summary(keys: np.ndarray, rows: list[dict[str, Any]], role: Role) -> dict[str, Any]:
    """What one role's models say: CAEAcc, conferrability [Lukas21, Eq. 2] and ROC AUC."""
    surrogates, references = (_scores(rows, role, o) for o in (Origin.SURROGATE, Origin.REFERENCE))
    by_surrogates, by_references = (
        np.array([row["answers"] for row in _pick(rows, role, origin)])
        for origin in (Origin.SURROGATE, Origin.REFERENCE)
    )
    confer = metrics.confer(by_surrogates, by_references, keys)
    interval = metrics.roc_auc_interval(surrogates, references, seed=0)
    return {
        "surrogates": metrics.summary(surrogates),
        "references": metrics.summary(references),
        "confer": metrics.summary(confer),
        "auc": metrics.roc_auc(surrogates, references),
        "auc_interval": list(interval),
        "auc_lower_bound": metrics.roc_auc_lower_bound(surrogates, references),
    }


def _decision(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Threshold from the calibration models, and how the evaluation models fall beside it."""
    scores = [_scores(rows, Role.CALIBRATION, o) for o in (Origin.SURROGATE, Origin.REFERENCE)]
    try:
        threshold, rule = choose_threshold(*scores)
    except CalibrationError as error:
        return {"threshold": None, "rule": str(error)}
    surrogates = np.array(_scores(rows, Role.EVALUATION, Origin.SURROGATE))
    references = np.array(_scores(rows, Role.EVALUATION, Origin.REFERENCE))
    return {
        "threshold": threshold,
        "rule": rule,
        "surrogates_caught": float(np.mean(surrogates >= threshold)),
        "references_accused": float(np.mean(references >= threshold)),
    }


def _mean_or_none(values: np.ndarray | None) -> float | None:
    return None if values is None else float(np.mean(values))
