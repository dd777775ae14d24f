"""The record of a calibration, as the fingerprint file carries it."""

from __future__ import annotations

import dataclasses
from typing import Any

from cemfp.fingerprint.fields import expect, is_count, is_number


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How known models answered a fingerprint, and the threshold that follows from it.

    Attributes:
        surrogate_scores: CAEAcc of each calibration surrogate.
        reference_scores: CAEAcc of each calibration reference.
        threshold: A suspect with at least this CAEAcc counts as a surrogate; in (0, 1).
        rule: How the threshold was chosen from the scores.
        surrogate_sha256: Hash of each surrogate's weights.
        reference_sha256: Hash of each reference's weights.
        queries: Number of fingerprint inputs behind each score.
    """

    surrogate_scores: tuple[float, ...]
    reference_scores: tuple[float, ...]
    threshold: float
    rule: str
    surrogate_sha256: tuple[str, ...]
    reference_sha256: tuple[str, ...]
    queries: int

    def __post_init__(self) -> None:
        groups = (
            (self.surrogate_scores, self.surrogate_sha256),
            (self.reference_scores, self.reference_sha256),
        )
        for scores, hashes in groups:
            expect(
                isinstance(scores, tuple)
                and len(scores) > 0
                and all(is_number(score) and 0 <= score <= 1 for score in scores),
                "calibration scores in [0, 1], at least one per group",
                scores,
            )
            expect(
                isinstance(hashes, tuple)
                and len(hashes) == len(scores)
                and all(isinstance(text, str) for text in hashes),
                "one weights hash per calibration score",
                hashes,
            )
        expect(
            is_number(self.threshold) and 0 < self.threshold < 1,
            "a calibration threshold in (0, 1)",
            self.threshold,
        )
        expect(isinstance(self.rule, str), "a calibration rule", self.rule)
        expect(is_count(self.queries), "a positive number of queries", self.queries)

    @classmethod
    def from_dict(cls, values: Any) -> Calibration:
        """Rebuild from `dataclasses.asdict` or its JSON, lists becoming tuples."""
        names = {field.name for field in dataclasses.fields(cls)}
        expect(
            isinstance(values, dict) and values.keys() == names,
            f"calibration fields {', '.join(sorted(names))}",
            values,
        )
        tuples: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**tuples)
