"""The job that judges models by sample correlation, beside `ScoreFingerprint` [Guan22]."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cemfp.engine.jobs import Job, Progress
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.sac import sac_distance
from cemfp.jobs.fingerprint import ROWS, MakeFingerprint, load_classifiers
from cemfp.jobs.remove import load_fingerprint
from cemfp.jobs.zoo import Group
from cemfp.models.classifier import Classifier
from cemfp.models.roles import Origin, Role, require_roles
from cemfp.numerics import metrics
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.training.from_scratch import as_targets


@dataclasses.dataclass(frozen=True)
class ScoreSAC(Job):
    """Compare calibration and evaluation models with the source by sample correlation.

    It asks for probabilities, where a fingerprint asks for labels.

    Attributes:
        fingerprint: Whose inputs are asked; its keys are not used. The paper's SAC-w takes images
            that the source misclassifies.
        calibration: Models that the role `calibration` has.
        evaluation: Models that are judged.
    """

    kind: ClassVar[str] = "sac"
    heavy: ClassVar[bool] = False

    fingerprint: MakeFingerprint
    calibration: Group
    evaluation: Group

    def label(self) -> str:
        """Short name for people."""
        return f"sample correlation on {self.fingerprint.label()}"

    def dependencies(self) -> tuple[Job, ...]:
        """Return the fingerprint, all models and the source."""
        return (*super().dependencies(), self.fingerprint.candidates.source)

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json` in the form of `ScoreFingerprint`.

        A model's `distance` is `sac_distance`, its `score` 1 - distance; the summaries of both
        roles are over the scores.
        """
        del progress  # a matter of seconds
        inputs = load_fingerprint(store, self.fingerprint)
        if inputs is None:
            row = {"missing": "no image that the source misclassifies"}
            write_atomic(out / ROWS, json.dumps(row).encode())
            return
        own = _answer(load_classifiers(store, [self.fingerprint.candidates.source])[0], inputs)
        rows = []
        for role, group in (
            (Role.CALIBRATION, self.calibration),
            (Role.EVALUATION, self.evaluation),
        ):
            models = load_classifiers(store, group.everyone)
            require_roles(models, [role], f"sample correlation, {role} models")
            rows += [_model_row(own, inputs, model) for model in models]
        result = {
            "fingerprint": {
                "method": "sac",
                "epsilon": None,
                "inputs": len(inputs),
                "data": inputs.data,
                "source_sha256": inputs.source_sha256,
            },
            "models": rows,
            "calibration": _summary(rows, Role.CALIBRATION),
            "evaluation": _summary(rows, Role.EVALUATION),
        }
        write_atomic(out / ROWS, json.dumps(result, indent=1).encode())


def _answer(model: Classifier, fingerprint: Fingerprint) -> np.ndarray:
    return as_targets(model.predict_logits(fingerprint.inputs), "soft")


def _model_row(own: np.ndarray, fingerprint: Fingerprint, model: Classifier) -> dict[str, Any]:
    distance = sac_distance(own, _answer(model, fingerprint))
    return {
        "role": model.role,
        "origin": model.origin,
        "net": model.config.net,
        "seed": model.config.training["seed"],
        "weights_sha256": model.weights_sha256,
        "test_accuracy": model.config.training["test_accuracy"],
        "distance": distance,
        "score": 1.0 - distance,
    }


def _summary(rows: list[dict[str, Any]], role: Role) -> dict[str, Any]:
    """Scores of one role's models, and how well they tell surrogates from references."""
    surrogates, references = (
        [row["score"] for row in rows if row["role"] == role and row["origin"] == origin]
        for origin in (Origin.SURROGATE, Origin.REFERENCE)
    )
    return {
        "surrogates": metrics.summary(surrogates),
        "references": metrics.summary(references),
        "auc": metrics.roc_auc(surrogates, references),
        "auc_interval": list(metrics.roc_auc_interval(surrogates, references, seed=0)),
        "auc_lower_bound": metrics.roc_auc_lower_bound(surrogates, references),
    }
