"""The record of a calibration, as the fingerprint file carries it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cemfp.fingerprint.fields import expect, is_count, is_number

_SAME_SHARE = 1e-9  # two roundings of one share
# A thousand models times ten thousand inputs: a verdict's arrays stay far below a gigabyte.
MAX_HITS = 10_000_000


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


def checked_hits(
    calibration: Calibration | None, hits: Mapping[str, np.ndarray | None], count: int
) -> dict[str, np.ndarray]:
    """Copies as uint8 of which inputs each calibration model answered with the key.

    Args:
        calibration: The record with the models' scores.
        hits: `surrogate_hits` (K, n) and `reference_hits` (L, n), each 0 or 1, or None for both.
        count: Inputs of the fingerprint, n.

    Raises:
        FingerprintError: They do not fit the record, or each other.
    """
    known = {name: array for name, array in hits.items() if array is not None}
    expect(len(known) in (0, len(hits)), f"{' together with '.join(hits)}", f"{[*known]}")
    if not known:
        return {}
    if calibration is None:
        expect(False, "hits together with a calibration", "hits alone")
        return {}
    scores = calibration.surrogate_scores, calibration.reference_scores
    pairs = zip(known.items(), scores, strict=True)
    return {name: _hits(name, array, count, group) for (name, array), group in pairs}


def _hits(name: str, values: np.ndarray, count: int, scores: Sequence[float]) -> np.ndarray:
    array = np.array(values)
    expect(array.size <= MAX_HITS, f"{name} of at most {MAX_HITS} answers", array.size)
    expect(
        array.shape == (len(scores), count) and array.dtype.kind in "bu",
        f"{name} of {len(scores)} models times {count} inputs, 0 or 1",
        f"{array.dtype} of shape {array.shape}",
    )
    expect(bool(np.all(array <= 1)), f"{name} of 0 and 1", int(array.max()))
    agree = np.allclose(array.mean(axis=1), scores, rtol=0, atol=_SAME_SHARE)
    expect(bool(agree), f"{name} whose shares are the calibration's scores", "other shares")
    return np.ascontiguousarray(array, np.uint8)  # a file holds rows
