"""What `verify` says of a suspect, and why, in numbers and in words."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np

from cemfp.numerics import metrics
from cemfp.numerics.metrics import Interval
from cemfp.verification.asked import Asked
from cemfp.verification.null_keys import NullKeys
from cemfp.verification.null_models import bound_without_alarms, smallest_rate

RANK, E_PROCESS = "rank", "e-process"


class VerificationError(ValueError):
    """A suspect cannot be judged with what was given."""


class Decision(enum.StrEnum):
    """The three possible outcomes."""

    MATCH = "match"
    NO_MATCH = "no match"
    INCONCLUSIVE = "inconclusive"


@dataclasses.dataclass(frozen=True)
class OverModels:
    """What the answers say about models: how an independent one would answer, from m known ones.

    Attributes:
        p_value: Bound of the chance that an independent model looks so much like a surrogate.
        rule: `rank` among the references, or `e-process`: 1 over the largest wealth of the
            sequential test, which rests on the form of its model.
        statistic: The suspect's log-likelihood ratio, or the log of the wealth at the end; nats.
        surrogates: Calibration surrogates behind it.
        references: Calibration references, m.
        alpha: Of the sequential test; None without.
        beta_binomial_p_value: The rank's parametric companion; None for a sequential test, where
            the number of queries depends on the answers.
    """

    p_value: float
    rule: str
    statistic: float
    surrogates: int
    references: int
    alpha: float | None = None
    beta_binomial_p_value: float | None = None

    @property
    def smallest_rate(self) -> float:
        """Least false-alarm rate that the references can support."""
        return smallest_rate(self.references)

    @property
    def bound_without_alarms(self) -> float:
        """Upper bound (95 %) of the false-alarm rate, if none of so many references is accused."""
        return bound_without_alarms(self.references)

    def to_dict(self) -> dict[str, Any]:
        """All fields and the two rates, JSON-able."""
        rates = ("smallest_rate", "bound_without_alarms")
        return {**dataclasses.asdict(self), **{name: getattr(self, name) for name in rates}}

    @property
    def support(self) -> str:
        """What so many references can support, for people."""
        return (
            f"m = {self.references} supports a false-alarm rate of at least "
            f"{self.smallest_rate:.1%}, and with no false alarm among {self.references} it is "
            f"below {self.bound_without_alarms:.1%} (95 %)."
        )

    def __str__(self) -> str:
        models = f"{self.references} independent model{'s' * (self.references != 1)}"
        assumed = "without that assumption " if self.rule == E_PROCESS else ""
        return f"p = {self.p_value:.2g} over {models} ({self.rule}); {assumed}{self.support}"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a suspect answered, and what follows.

    Attributes:
        cae_accuracy: Share of queries answered with the key [Lukas21, eq. 7]; None if it was not
            asked any.
        matches: Number of such queries.
        queries: Number of queries.
        threshold: CAEAcc from which a suspect counts as a surrogate.
        threshold_source: "calibration" or "given".
        interval: Clopper-Pearson interval of the CAEAcc over queries. It covers the choice of
            the queries, not how much one surrogate or reference differs from the next. It is
            [0, 1] where nothing is claimed: no queries, or as many as the answers decided.
        confidence: Coverage of the interval.
        asked: How the suspect answered the control images.
        decision: Inconclusive if the interval contains the threshold, or if the suspect was not
            asked what it understands; of a sequential test, if it did not come to an end.
        reason: The decision's reason, for people, in one line.
        models: What the answers say about models; None if the fingerprint keeps no answers of
            calibration models, or the suspect was not asked.
        null_keys: How the answers agree with keys that are none; None if it was not asked.
    """

    cae_accuracy: float | None
    matches: int
    queries: int
    threshold: float
    threshold_source: str
    interval: Interval
    confidence: float
    asked: Asked
    decision: Decision
    reason: str
    models: OverModels | None = None
    null_keys: NullKeys | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-able."""
        return {
            **dataclasses.asdict(self),
            "interval": list(self.interval),
            "asked": self.asked.to_dict(),
            "decision": str(self.decision),
            "models": self.models and self.models.to_dict(),
        }

    @property
    def about_models(self) -> str:
        """One line for people; empty if the suspect was not asked."""
        if self.models is not None:
            return str(self.models)
        if not self.queries:
            return ""
        return (
            "How often an independent model would be accused is not known: this fingerprint keeps "
            "no answers of calibration models, which cemfp calibrate now stores."
        )


def decide(interval: Interval, threshold: float) -> Decision:
    """Match above the threshold, no match below it, inconclusive if it is in the interval."""
    if interval.low > threshold:
        return Decision.MATCH
    if interval.high < threshold:
        return Decision.NO_MATCH
    return Decision.INCONCLUSIVE


def reason_of_interval(
    decision: Decision,
    matches: int,
    queries: int,
    threshold: float,
    interval: Interval,
    confidence: float,
) -> str:
    """Say why a fixed number of queries led to the decision, in one line."""
    relation = {
        Decision.MATCH: "lies above",
        Decision.NO_MATCH: "lies below",
        Decision.INCONCLUSIVE: "contains",
    }
    text = (
        f"{matches} of {queries} answers are the key's; the {confidence:.0%} interval over queries "
        f"[{interval.low:.3f}, {interval.high:.3f}] {relation[decision]} the threshold "
        f"{threshold:.3f}"
    )
    if decision is not Decision.INCONCLUSIVE:
        return f"{text}."
    return f"{text}{_too_few(queries, threshold, confidence)}."


def _too_few(queries: int, threshold: float, confidence: float) -> str:
    """Says which decisions this few queries can never reach, whatever the suspect answers."""
    all_right = metrics.clopper_pearson(queries, queries, confidence)
    all_wrong = metrics.clopper_pearson(0, queries, confidence)
    impossible = []
    if decide(all_right, threshold) is not Decision.MATCH:
        impossible.append("a match")
    if decide(all_wrong, threshold) is not Decision.NO_MATCH:
        impossible.append("no match")
    if not impossible:
        return ""
    return f"; {queries} queries are too few to show {' or '.join(impossible)}, use more"


def reason_of_wealth(
    decision: Decision, hits: np.ndarray, log_wealth: float, alpha: float, groups: tuple[int, int]
) -> str:
    """Say why a sequential test stopped, or did not, and what it takes for granted.

    Args:
        decision: Of the test.
        hits: Answers that are the key's (T,), 0 or 1.
        log_wealth: Log E after the last answer.
        alpha: Of the test.
        groups: Calibration surrogates and references.
    """
    answers = f"{int(hits.sum())} of {len(hits)} answers are the key's"
    wealth = (
        f"the evidence for a surrogate against an independent model is E = {np.exp(log_wealth):.3g}"
    )
    relation = {
        Decision.MATCH: f"at least 1/alpha = {1 / alpha:g}",
        Decision.NO_MATCH: f"at most alpha = {alpha:g}",
        Decision.INCONCLUSIVE: f"between alpha = {alpha:g} and 1/alpha = {1 / alpha:g}",
    }
    return (
        f"{answers}; {wealth}, {relation[decision]}. Assumed: skills of models are normal on the "
        f"logit scale, as fitted to {groups[0]} surrogates and m = {groups[1]} references."
    )
