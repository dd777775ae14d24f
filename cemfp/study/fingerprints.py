"""The jobs that make a fingerprint and judge it on models that nobody used to make it."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cemfp import metrics
from cemfp.classifier import Classifier
from cemfp.data import load
from cemfp.files import write_atomic
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.cem import CEM
from cemfp.fingerprint.characteristic import Characteristic
from cemfp.fingerprint.from_attack import FromAttack
from cemfp.fingerprint.generate import (
    Candidates,
    FingerprintFailure,
    assemble,
    choose_starts,
    make_candidates,
)
from cemfp.fingerprint.ipguard import IPGuard
from cemfp.fingerprint.misclassified import Misclassified
from cemfp.fingerprint.models import Models
from cemfp.fingerprint.sensitive import SensitiveSamples
from cemfp.roles import Origin, Role, require_roles
from cemfp.store import Store
from cemfp.study.jobs import Job, Progress
from cemfp.study.profiles import Group
from cemfp.study.zoo import Model
from cemfp.verification.calibration import CalibrationError, choose_threshold

CANDIDATES, FINGERPRINT, ROWS = "candidates.npz", "fingerprint.cemfp", "rows.json"
NOTHING = "nothing.json"


@dataclasses.dataclass(frozen=True)
class MakeCandidates(Job):
    """Perturb starting images: the costly part of a fingerprint, before any filter.

    Attributes:
        method: How; one of `METHODS` with its hyper-parameters.
        data: Name of the data set whose test images are the starting images; empty for noise.
        source: The model to protect.
        defender: Surrogates and references of the role `defender`.
        count: Images to start from.
        quantize: Round to 8 bits.
        seed: Decides starting images and the method's random choices.
    """

    kind: ClassVar[str] = "candidates"
    heavy: ClassVar[bool] = False

    method: CEM | Characteristic | FromAttack | IPGuard | Misclassified | SensitiveSamples
    data: str
    source: Model
    defender: Group
    count: int
    quantize: bool = True
    seed: int = 0

    def label(self) -> str:
        """Short name for people."""
        if isinstance(self.method, Characteristic):
            return f"candidates {self.method.label()} seed {self.seed}"
        return f"candidates {self.method.name} epsilon {self.method.epsilon}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write the candidates as arrays."""
        # Every method is judged on the defender's ensemble; only those that need it learn from it.
        source, surrogates, references = (
            load_classifiers(store, jobs)
            for jobs in ([self.source], self.defender.surrogates, self.defender.references)
        )
        models = Models(source[0], surrogates, references)
        dataset = load(self.data) if self.data else None
        split = choose_starts(self.method, models.source, dataset, self.count, seed=self.seed)
        made = make_candidates(
            self.method,
            models,
            split,
            quantize=self.quantize,
            seed=self.seed,
            progress=lambda done, total, text: _tell(progress, done, total, text),
        )
        # Without a defender's ensemble there are no scores.
        known = {name: array for name, array in made._asdict().items() if array is not None}
        np.savez(out / CANDIDATES, **known)


@dataclasses.dataclass(frozen=True)
class MakeFingerprint(Job):
    """Filter and balance candidates into a fingerprint.

    Attributes:
        candidates: Where the inputs come from.
        size: Inputs wanted.
        threshold: Least conferrability on the defender's models, tau.
        balance: Whether target classes take turns.
    """

    kind: ClassVar[str] = "fingerprint"
    heavy: ClassVar[bool] = False

    candidates: MakeCandidates
    size: int
    threshold: float = 0.95
    balance: bool = True

    def label(self) -> str:
        """Short name for people."""
        return f"fingerprint {self.candidates.method.name} tau {self.threshold}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Choose the inputs and save the fingerprint; `nothing.json` says why there is none."""
        origin = self.candidates
        with np.load(store.get(origin.key()) / CANDIDATES, allow_pickle=False) as arrays:
            made = Candidates(**{name: arrays.get(name) for name in Candidates._fields})
        if not origin.method.ensemble:
            made = made._replace(confer=None)
        try:
            fingerprint, shortfall = assemble(
                made,
                origin.method,
                load_classifiers(store, [origin.source])[0],
                load(origin.data) if origin.data else None,
                size=self.size,
                threshold=self.threshold,
                quantize=origin.quantize,
                balance=self.balance,
                seed=origin.seed,
            )
        except FingerprintFailure as failure:
            # A form of a method that finds nothing is a result, and belongs into the table.
            write_atomic(out / NOTHING, json.dumps({"missing": str(failure)}).encode())
            return
        progress(str(shortfall))
        fingerprint.save(out / FINGERPRINT)


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
            "calibration": _summary(fingerprint, rows, Role.CALIBRATION),
            "evaluation": _summary(fingerprint, rows, Role.EVALUATION),
        }
        result["decision"] = _decision(rows)
        write_atomic(out / ROWS, json.dumps(result, indent=1).encode())


def read_rows(store: Store, job: Job) -> dict[str, Any]:
    """Return what `job` computed."""
    return json.loads((store.get(job.key()) / ROWS).read_bytes())


def load_classifiers(store: Store, jobs: Sequence[Model]) -> list[Classifier]:
    """Return the classifiers that `jobs` trained."""
    return [_load(store.get(job.key())) for job in jobs]


@functools.lru_cache(maxsize=64)
def _load(directory: Path) -> Classifier:
    """Load a net once for all jobs of a process: building and tracing it takes half a second."""
    return Classifier.load(directory)


def _tell(progress: Progress, done: int, total: int, text: str) -> None:
    progress(f"step {done}/{total}, {text}")


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


def _summary(fingerprint: Fingerprint, rows: list[dict[str, Any]], role: Role) -> dict[str, Any]:
    """What one role's models say: CAEAcc, conferrability [Lukas21, Eq. 2] and ROC AUC."""
    surrogates, references = (_scores(rows, role, o) for o in (Origin.SURROGATE, Origin.REFERENCE))
    by_surrogates, by_references = (
        np.array([row["answers"] for row in _pick(rows, role, origin)])
        for origin in (Origin.SURROGATE, Origin.REFERENCE)
    )
    confer = metrics.confer(by_surrogates, by_references, fingerprint.keys)
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
