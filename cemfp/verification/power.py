"""What a fingerprint can show, before anybody is asked: from the answers of its calibration models.

No model is judged by rates that it had a part in. What remains optimistic is that the next suspect
is taken to be like the calibration's models: a thief who did more than they will be caught less.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.verification import null_models, sequential
from cemfp.verification.hit_rates import (
    Floats,
    beta_binomial_log_mass,
    fit_beta_binomial,
    log_likelihood_ratio,
    rates,
    rates_without_each,
)
from cemfp.verification.rules import asking_order
from cemfp.verification.verdict import VerificationError

SIZES = (10, 25, 50, 100)
RATES = (0.05, 0.01)
SUBSETS = 20  # random choices of inputs, over which shares are means
FEWEST = sequential.FEWEST + 1  # models of a group, if one is left out


@dataclasses.dataclass(frozen=True)
class Caught:
    """Share of surrogates that a number of queries catches.

    Attributes:
        inputs: Number of queries.
        by_rank: Share with the smallest p-value that the references support.
        by_beta_binomial: Share by false-alarm rate, in the order asked for: more key answers than
            independent models give at this rate, if their counts are beta-binomial.
    """

    inputs: int
    by_rank: float
    by_beta_binomial: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Ends:
    """How sequential tests of known models ended.

    Attributes:
        models: Number of models.
        match, no_match: Tests that ended so; the others did not end.
        queries: Of each model, in their order.
    """

    models: int
    match: int
    no_match: int
    queries: tuple[int, ...]

    @property
    def mean_queries(self) -> float:
        """Expected number of queries."""
        return float(np.mean(self.queries))


@dataclasses.dataclass(frozen=True)
class Power:
    """What a fingerprint with its calibration can show.

    Attributes:
        surrogates, references: Calibration models.
        rates: False-alarm rates that were asked for.
        smallest_rate: Least rate that the references support by rank.
        caught: By number of queries.
        references_needed: Of each rate: references for one p-value so small, and for a bound.
        alpha: Of the sequential test.
        of_surrogates, of_references: How it ends; None with too few models to leave one out.
    """

    surrogates: int
    references: int
    rates: tuple[float, ...]
    smallest_rate: float
    caught: tuple[Caught, ...]
    references_needed: tuple[tuple[int, int], ...]
    alpha: float
    of_surrogates: Ends | None
    of_references: Ends | None

    def to_dict(self) -> dict[str, Any]:
        """All fields and the expected numbers of queries, JSON-able."""
        found = dataclasses.asdict(self)
        for name in ("of_surrogates", "of_references"):
            if (ends := getattr(self, name)) is not None:
                found[name]["mean_queries"] = ends.mean_queries
        return found


def power(
    fingerprint: Fingerprint,
    rates_wanted: Sequence[float] = RATES,
    alpha: float = 0.01,
    sizes: Sequence[int] = SIZES,
) -> Power:
    """Say what a fingerprint can show with its calibration models.

    Args:
        fingerprint: Keeps the hits of its calibration models.
        rates_wanted: False-alarm rates, each in (0, 1).
        alpha: Of the sequential test, in (0, 0.5).
        sizes: Numbers of queries; those above the fingerprint's are left out, its own is added.

    Raises:
        VerificationError: The fingerprint keeps no hits, or those of fewer than two surrogates.
    """
    surrogates, references = fingerprint.surrogate_hits, fingerprint.reference_hits
    if surrogates is None or references is None:
        raise VerificationError(
            "Expected a fingerprint that keeps the answers of its calibration models. Received: "
            "one without; calibrate it (again) with cemfp calibrate."
        )
    if len(surrogates) < 2:
        raise VerificationError("Expected at least 2 calibration surrogates. Received: 1.")
    count = len(fingerprint)
    numbers = sorted({size for size in sizes if size < count} | {count})
    enough = min(len(surrogates), len(references)) >= FEWEST
    order = asking_order(fingerprint)
    ends = leave_one_out_ends(surrogates, references, order, alpha) if enough else (None, None)
    return Power(
        surrogates=len(surrogates),
        references=len(references),
        rates=tuple(rates_wanted),
        smallest_rate=null_models.smallest_rate(len(references)),
        caught=tuple(share_caught(surrogates, references, n, rates_wanted) for n in numbers),
        references_needed=tuple(null_models.references_needed(rate) for rate in rates_wanted),
        alpha=alpha,
        of_surrogates=ends[0],
        of_references=ends[1],
    )


def subsets(count: int, size: int, number: int = SUBSETS) -> list[NDArray[np.int64]]:
    """Random choices of `size` of `count` inputs, the same on every machine; all of them: once."""
    if size >= count:
        return [np.arange(count)]
    random = np.random.PCG64(size).random_raw(number * count).reshape(number, count)
    return [np.sort(np.argsort(line)[:size]) for line in random]


def cross_fitted_scores(
    surrogate_hits: ArrayLike, reference_hits: ArrayLike
) -> tuple[Floats, Floats]:
    """Log-likelihood ratios of known models, (K,) and (m,), each with rates without itself."""
    surrogates, references = np.asarray(surrogate_hits), np.asarray(reference_hits)
    above = log_likelihood_ratio(surrogates, rates_without_each(surrogates), rates(references))
    below = log_likelihood_ratio(references, rates(surrogates), rates_without_each(references))
    return above, below


def share_caught(
    surrogates: NDArray[np.uint8],
    references: NDArray[np.uint8],
    size: int,
    rates_wanted: Sequence[float],
) -> Caught:
    """Return the share of surrogates (K, n) that `size` queries catch; see `Caught`."""
    count = surrogates.shape[1]
    beta = fit_beta_binomial(references.sum(axis=1), count)
    mass = np.exp(beta_binomial_log_mass(np.arange(size + 1), size, beta))
    tails = np.cumsum(mass[::-1])[::-1]
    least = null_models.smallest_rate(len(references)) + 1e-9
    by_rank, hits = [], []
    for chosen in subsets(count, size):
        some, others = surrogates[:, chosen], references[:, chosen]
        hits.append(some.sum(axis=1))
        by_rank += [
            null_models.rank_p_value(*_null_and_score(some, others, place)) <= least
            for place in range(len(some))
        ]
    shares = tuple(float(np.mean(tails[np.array(hits)] <= rate)) for rate in rates_wanted)
    return Caught(size, float(np.mean(by_rank)), shares)


def _null_and_score(
    surrogates: NDArray[np.uint8], references: NDArray[np.uint8], place: int
) -> tuple[Floats, float]:
    """Scores of the references, and of the surrogate at `place`, scored without itself."""
    without = np.delete(surrogates, place, axis=0)
    score, others = null_models.scores_among(surrogates[place], without, references)
    return others, score


def leave_one_out_ends(
    surrogates: NDArray[np.uint8],
    references: NDArray[np.uint8],
    order: NDArray[np.int64],
    alpha: float,
) -> tuple[Ends, Ends]:
    """Test each surrogate (K, n) and reference (m, n) as if it were the suspect.

    Args:
        surrogates: Their hits.
        references: Theirs.
        order: In which inputs are asked (n,).
        alpha: Of the test.
    """
    whole = sequential.fit_population(surrogates), sequential.fit_population(references)
    above, below = [], []
    for place, hits in enumerate(surrogates):
        own = sequential.fit_population(np.delete(surrogates, place, axis=0))
        above.append(sequential.log_wealth(hits[order], order, own, whole[1]))
    for place, hits in enumerate(references):
        own = sequential.fit_population(np.delete(references, place, axis=0))
        below.append(sequential.log_wealth(hits[order], order, whole[0], own))
    return count_ends(above, alpha), count_ends(below, alpha)


def count_ends(paths: Sequence[Floats], alpha: float) -> Ends:
    """Count how tests with these paths of log E (each (T + 1,)) end."""
    stops = [sequential.stopping_time(path, alpha) for path in paths]
    signs = [0 if t is None else int(np.sign(p[t])) for p, t in zip(paths, stops, strict=True)]
    queries = (len(p) - 1 if t is None else t for p, t in zip(paths, stops, strict=True))
    return Ends(len(paths), signs.count(1), signs.count(-1), tuple(queries))
