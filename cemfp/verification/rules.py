"""How a suspect is asked and judged: with a number of queries that is fixed, or that is not."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.numerics import metrics
from cemfp.numerics.metrics import Interval
from cemfp.suspects import Suspect, answer_labels
from cemfp.verification import null_models, sequential
from cemfp.verification.hit_rates import fit_beta_binomial
from cemfp.verification.verdict import (
    E_PROCESS,
    RANK,
    Decision,
    OverModels,
    VerificationError,
    decide,
    reason_of_interval,
    reason_of_wealth,
)

NOTHING_CLAIMED = Interval(0.0, 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """A suspect's answers, and what follows from them.

    Attributes:
        keys: Keys of the inputs that were asked (T,).
        labels: What the suspect answered (T,).
        decision: What follows.
        reason: Why, in one line.
        interval: See `Verdict`.
        models: See `Verdict`.
    """

    keys: NDArray[np.int64]
    labels: NDArray[np.int64]
    decision: Decision
    reason: str
    interval: Interval
    models: OverModels | None

    @property
    def matches(self) -> int:
        """Number of answers that are the key's."""
        return int(np.sum(self.labels == self.keys))


class Rule(Protocol):
    """Asks a suspect as many inputs as it needs, and judges: a function of the answers alone."""

    @property
    def most(self) -> int:
        """Largest number of queries."""
        ...

    def __call__(self, suspect: Suspect, batch_size: int) -> Found:
        """Ask and judge.

        Raises:
            SuspectError: The suspect gave no usable answer.
        """
        ...


def identity(fingerprint: Fingerprint) -> bytes:
    """SHA-256 of the inputs and the key; a calibration does not change it."""
    parts = (fingerprint.inputs, fingerprint.keys)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).digest()


def asking_order(fingerprint: Fingerprint) -> NDArray[np.int64]:
    """Order in which inputs are asked if not all may be needed (n,): by hashes, as good as random.

    It follows from the fingerprint, so that nobody can choose the inputs by the answers.
    """
    whole = identity(fingerprint)
    hashes = [
        hashlib.sha256(whole + place.to_bytes(8)).digest() for place in range(len(fingerprint))
    ]
    return np.array(sorted(range(len(fingerprint)), key=hashes.__getitem__))


@dataclasses.dataclass(frozen=True, eq=False)
class FixedNumber:
    """Ask a fixed number of inputs, and compare an interval over queries with a threshold.

    Attributes:
        fingerprint: What is asked.
        most: How many inputs: all, or the first of `asking_order`.
        threshold: CAEAcc from which a suspect counts as a surrogate.
        confidence: Coverage of the interval.
    """

    fingerprint: Fingerprint
    most: int
    threshold: float
    confidence: float

    def __call__(self, suspect: Suspect, batch_size: int) -> Found:
        """Ask and judge."""
        asked, places = self.fingerprint, np.sort(asking_order(self.fingerprint)[: self.most])
        labels = answer_labels(suspect, asked.inputs[places], asked.classes, batch_size)
        hits = (labels == asked.keys[places]).astype(np.uint8)
        matches = int(hits.sum())
        interval = metrics.clopper_pearson(matches, self.most, self.confidence)
        decision = decide(interval, self.threshold)
        reason = reason_of_interval(
            decision, matches, self.most, self.threshold, interval, self.confidence
        )
        models = over_models(asked, places, hits)
        return Found(asked.keys[places], labels, decision, reason, interval, models)


def over_models(
    fingerprint: Fingerprint, places: NDArray[np.int64], hits: NDArray[np.uint8]
) -> OverModels | None:
    """Compare a suspect's hits (T,) on some inputs (T,) with those of the calibration models."""
    surrogates, references = fingerprint.surrogate_hits, fingerprint.reference_hits
    if surrogates is None or references is None:
        return None
    score, others = null_models.scores_among(hits, surrogates[:, places], references[:, places])
    beta = fit_beta_binomial(references.sum(axis=1), len(fingerprint))
    tail = null_models.beta_binomial_p_value(int(hits.sum()), len(hits), beta)
    p_value = null_models.rank_p_value(others, score)
    return OverModels(
        p_value, RANK, score, len(surrogates), len(references), beta_binomial_p_value=tail
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Sequential:
    """Ask input after input until the evidence suffices [see `sequential`].

    Attributes:
        fingerprint: What is asked; keeps the hits of its calibration models.
        most: Inputs after which the test ends without a result.
        alpha: Bound of the chance to accuse an independent model, and of the chance to acquit a
            surrogate, if models are as the calibration's.

    Raises:
        VerificationError: The fingerprint has no such hits, or too few models.
    """

    fingerprint: Fingerprint
    most: int
    alpha: float

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise VerificationError(f"Expected alpha in (0, 0.5). Received: {self.alpha}.")
        groups = self.fingerprint.surrogate_hits, self.fingerprint.reference_hits
        if groups[0] is None or groups[1] is None:
            raise VerificationError(
                "Expected a fingerprint that keeps the answers of its calibration models, for a "
                "sequential test. Received: one without; calibrate it again (cemfp calibrate)."
            )
        counts = len(groups[0]), len(groups[1])
        if min(counts) < sequential.FEWEST:
            raise VerificationError(
                f"Expected at least {sequential.FEWEST} calibration models of each kind, for a "
                f"sequential test. Received: {counts[0]} surrogates, {counts[1]} references; "
                "calibrate with more, or leave alpha out."
            )

    @functools.cached_property
    def populations(self) -> tuple[sequential.Population, sequential.Population]:
        """Surrogates and references, as the test sees them."""
        surrogates, references = self.fingerprint.surrogate_hits, self.fingerprint.reference_hits
        assert surrogates is not None and references is not None
        return sequential.fit_population(surrogates), sequential.fit_population(references)

    def __call__(self, suspect: Suspect, batch_size: int) -> Found:
        """Ask and judge, one input at a time: no answer is looked at that is not needed."""
        del batch_size
        asked, order = self.fingerprint, asking_order(self.fingerprint)[: self.most]
        labels: list[int] = []
        for place in order:
            labels += answer_labels(suspect, asked.inputs[[place]], asked.classes).tolist()
            path = self._log_wealth(labels, order)
            if sequential.stopping_time(path, self.alpha) is not None:
                break
        return self._found(np.array(labels), order[: len(labels)], path)

    def _log_wealth(self, labels: list[int], order: NDArray[np.int64]) -> NDArray[np.float64]:
        places = order[: len(labels)]
        hits = np.array(labels) == self.fingerprint.keys[places]
        return sequential.log_wealth(hits, places, *self.populations)

    def _found(
        self, labels: NDArray[np.int64], places: NDArray[np.int64], path: NDArray[np.float64]
    ) -> Found:
        asked, last = self.fingerprint, float(path[-1])
        assert asked.surrogate_hits is not None and asked.reference_hits is not None
        groups = len(asked.surrogate_hits), len(asked.reference_hits)
        decision = Decision.INCONCLUSIVE
        if sequential.stopping_time(path, self.alpha) is not None:
            decision = Decision.MATCH if last > 0 else Decision.NO_MATCH
        keys = asked.keys[places]
        reason = reason_of_wealth(decision, labels == keys, last, self.alpha, groups)
        p_value = float(np.exp(-path.max()))  # the path begins at 0: at most 1
        models = OverModels(p_value, E_PROCESS, last, *groups, alpha=self.alpha)
        return Found(keys, labels, decision, reason, NOTHING_CLAIMED, models)
