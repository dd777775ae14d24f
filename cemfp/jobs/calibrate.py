"""The job that sets a fingerprint's threshold, and says how far the known models are apart."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

from cemfp.engine.jobs import Job, Progress
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import FINGERPRINT, NOTHING, ROWS, MakeFingerprint, load_classifiers
from cemfp.jobs.source import OwnIndependent
from cemfp.jobs.zoo import Group
from cemfp.storage.files import read_json, write_atomic
from cemfp.storage.store import Store
from cemfp.verification.calibration import CalibrationError, calibrate


@dataclasses.dataclass(frozen=True)
class CalibrateFingerprint(Job):
    """Ask models of the role `calibration`, and store the threshold that follows in the file.

    Attributes:
        fingerprint: What to ask.
        calibration: Whom.
        independents: Further references, which the owner trained himself.
    """

    kind: ClassVar[str] = "calibrate"
    version: ClassVar[int] = 2  # the file keeps the models' hits
    heavy: ClassVar[bool] = False

    fingerprint: MakeFingerprint
    calibration: Group
    independents: tuple[OwnIndependent, ...] = dataclasses.field(
        default=(), metadata={"omit_default": True}
    )

    def label(self) -> str:
        """Short name for people."""
        return f"threshold of {self.fingerprint.candidates.label()}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`, and the calibrated fingerprint unless there is none.

        The rows are `inputs`, `gap` (lowest surrogate less highest reference) and the record of the
        calibration, or `missing`, the reason why there is none.
        """
        del progress  # a matter of seconds
        made = store.get(self.fingerprint.key())
        row = self._row(made, store, out)
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())

    def _row(self, made: Path, store: Store, out: Path) -> dict[str, Any]:
        if (made / NOTHING).is_file():
            return read_json(made / NOTHING)
        fingerprint = Fingerprint.load(made / FINGERPRINT)
        surrogates, references = (
            load_classifiers(store, jobs)
            for jobs in (
                self.calibration.surrogates,
                (*self.calibration.references, *self.independents),
            )
        )
        try:
            calibrated = calibrate(fingerprint, surrogates, references)
        except CalibrationError as error:
            return {"missing": str(error)}
        calibrated.save(out / FINGERPRINT)
        record = calibrated.calibration
        assert record is not None
        gap = min(record.surrogate_scores) - max(record.reference_scores)
        return {"inputs": len(fingerprint), "gap": gap, **dataclasses.asdict(record)}
