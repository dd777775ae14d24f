"""The job that audits a claim, true or false, with models that its owner had no hand in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

from cemfp.audit import Judge, Papers, audit, worst
from cemfp.data import load
from cemfp.engine.jobs import Job, Progress
from cemfp.evidence.commitment import PUBLIC, commit
from cemfp.evidence.opening import open_leaves
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.models import Models
from cemfp.jobs.fingerprint import (
    FINGERPRINT,
    NOTHING,
    RECORD,
    ROWS,
    MakeFingerprint,
    load_classifiers,
)
from cemfp.jobs.zoo import Group
from cemfp.models.classifier import Classifier
from cemfp.numerics import metrics
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.verification import calibrate
from experiments.jobs.false_claims import CLAIMS, Claim, Owner, calibration_of


@dataclasses.dataclass(frozen=True)
class AuditClaim(Job):
    """Make a claim, and audit it with models that the owner had no hand in.

    Attributes:
        claim: A key of `CLAIMS`.
        fingerprint: The true one, made by a rule.
        calibration: Its calibration models; the first reference is the innocent one.
        evaluation: The references are the judge's independents; the surrogates are real copies.
    """

    kind: ClassVar[str] = "audit"
    heavy: ClassVar[bool] = False

    claim: str
    fingerprint: MakeFingerprint
    calibration: Group
    evaluation: Group

    def label(self) -> str:
        """Short name for people."""
        return f"audit {self.claim}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write what every check says, and whom the fingerprint would accuse."""
        made = store.get(self.fingerprint.key())
        if (made / NOTHING).is_file():
            write_atomic(out / ROWS, (made / NOTHING).read_bytes())
            return
        progress(self.claim)
        owner = self._owner(store, made)
        found = CLAIMS[self.claim](owner)
        independents, copies = (
            load_classifiers(store, jobs)
            for jobs in (self.evaluation.references, self.evaluation.surrogates)
        )
        row = audited(owner, found, independents, copies)
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())

    def _owner(self, store: Store, made: Path) -> Owner:
        origin = self.fingerprint.candidates
        assert origin.rule is not None
        source, surrogates, references = (
            load_classifiers(store, jobs)
            for jobs in ([origin.source], origin.defender.surrogates, origin.defender.references)
        )
        groups = (self.calibration.surrogates, self.calibration.references)
        calibration = [load_classifiers(store, jobs) for jobs in groups]
        return Owner(
            Models(source[0], surrogates, references),
            load(origin.data),
            origin.rule.rule,
            calibrate(Fingerprint.load(made / FINGERPRINT), *calibration),
            Fingerprint.load(made / RECORD),
            calibration[1][0],
        )


def audited(
    owner: Owner, claim: Claim, independents: list[Classifier], copies: list[Classifier]
) -> dict[str, Any]:
    """Return a claim's row: every check, and the share of key answers of those concerned."""
    judge = Judge(
        owner.dataset,
        source=owner.models.white_box("an audit"),
        independents={f"independent {n}": model for n, model in enumerate(independents)},
        secret=owner.rule.secret,
        record=claim.record,
        papers=_papers(owner.true if claim.late else claim.fingerprint),
    )
    made, checks = claim.fingerprint, audit(claim.fingerprint, judge)

    def share(model: Classifier) -> float:
        """Return the share of inputs on which a model answers the key."""
        return metrics.cae_accuracy(model.predict_labels(made.inputs), made.keys)

    return {
        "inputs": len(made),
        "epsilon": made.epsilon,
        "data": made.data,
        "threshold": calibration_of(made).threshold,
        "innocent": share(owner.innocent),
        "copies": [share(model) for model in copies],
        "independents": [share(model) for model in independents],
        "outcome": str(worst(checks)),
        "checks": {check.name: check.to_dict() for check in checks},
    }


def _papers(committed: Fingerprint) -> Papers:
    """A commitment that nobody signed or stamped, with all of it opened."""
    commitment, salts = commit({PUBLIC: committed}, seed="00" * 32)  # so that rows are the same
    return Papers(open_leaves(commitment, salts, committed))
