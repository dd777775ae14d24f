"""The job that asks how often verdicts over models are wrong, from answers given before."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cemfp.engine.jobs import Job, Progress
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import FINGERPRINT, ROWS, read_rows
from cemfp.jobs.score import ScoreFingerprint
from cemfp.models.roles import Origin, Role
from cemfp.numerics import metrics
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.verification import null_models, sequential
from cemfp.verification.hit_rates import fit_beta_binomial
from cemfp.verification.power import (
    RATES,
    SIZES,
    Ends,
    count_ends,
    cross_fitted_scores,
    leave_one_out_ends,
    subsets,
)
from cemfp.verification.rules import asking_order

RESAMPLES = 1_000
FEWEST = 2  # calibration models of a kind that can say how they differ
SPLITS, ALPHAS = 60, (0.01, 0.05, 0.1)
SCORES = ("llr", "cae_accuracy")

Hits = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class JudgeModels(Job):
    """Judge calibration and evaluation models by rank, beta-binomial and sequential test.

    Attributes:
        score: Who was asked what.
        alpha: Of the sequential test.
    """

    kind: ClassVar[str] = "verdicts"
    heavy: ClassVar[bool] = False

    score: ScoreFingerprint
    alpha: float = 0.01

    def label(self) -> str:
        """Short name for people."""
        return f"verdicts of {self.score.fingerprint.candidates.method.name}"

    def dependencies(self) -> tuple[Job, ...]:
        """Return the scores, and the fingerprint with its keys."""
        return (self.score, self.score.fingerprint)

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`, see `judge_answers`; or `missing`, the reason why there is none."""
        del progress  # half a minute
        row = read_rows(store, self.score)
        count = _fewest(row.get("models", ()))
        if "missing" not in row and count < FEWEST:
            row = {"missing": f"{count} calibration model of a kind, and {FEWEST} give rates"}
        if "missing" not in row:
            made = store.get(self.score.fingerprint.key()) / FINGERPRINT
            row = judge_answers(row, Fingerprint.load(made), self.alpha)
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


def judge_answers(
    row: Mapping[str, Any], fingerprint: Fingerprint, alpha: float = 0.01
) -> dict[str, Any]:
    """Return what verdicts over models say of models that are known.

    Args:
        row: What `ScoreFingerprint` wrote of the models' answers.
        fingerprint: What they answered.
        alpha: Of the sequential test.

    Returns:
        `models` with their `hits` as a text of 0 and 1; `p_values` of evaluation models against the
        calibration's; `shares`, see `compare`; `sequential`: how the test ends, for evaluation
        models with the calibration's rates, and for all models, each with the rates of the others;
        `splits`, see `random_splits`.
    """
    groups = {
        (role, origin): _hits(row, fingerprint, role, origin)
        for role in (Role.CALIBRATION, Role.EVALUATION)
        for origin in (Origin.SURROGATE, Origin.REFERENCE)
    }
    known = groups[Role.CALIBRATION, Origin.SURROGATE], groups[Role.CALIBRATION, Origin.REFERENCE]
    judged = groups[Role.EVALUATION, Origin.SURROGATE], groups[Role.EVALUATION, Origin.REFERENCE]
    above, below = np.vstack([known[0], judged[0]]), np.vstack([known[1], judged[1]])
    order = asking_order(fingerprint)
    return {
        "fingerprint": row["fingerprint"],
        "alpha": alpha,
        "models": [_model(one, fingerprint) for one in row["models"]],
        "p_values": {
            "references": len(known[1]),
            "surrogates": [_p_values(hits, *known) for hits in judged[0]],
            "independent": [_p_values(hits, *known) for hits in judged[1]],
            "each_reference": _each_reference(below),
        },
        "shares": [compare(above, below, size) for size in sizes(len(fingerprint))],
        "sequential": {
            "evaluation": _ends(_against(known, judged, order, alpha)),
            "each": _ends(leave_one_out_ends(above, below, order, alpha)),
        },
        "splits": random_splits(above, below, len(known[1])),
    }


def _fewest(models: Sequence[Mapping[str, Any]]) -> int:
    """Return how many calibration models there are of the kind that has fewer."""
    known = [model["origin"] for model in models if model["role"] == Role.CALIBRATION]
    return min(known.count(Origin.SURROGATE), known.count(Origin.REFERENCE))


def sizes(count: int) -> list[int]:
    """Numbers of queries that are compared, for a fingerprint of `count` inputs."""
    return sorted({size for size in SIZES if size < count} | {count})


def _hits(row: Mapping[str, Any], fingerprint: Fingerprint, role: Role, origin: Origin) -> Hits:
    answers = [m["answers"] for m in row["models"] if (m["role"], m["origin"]) == (role, origin)]
    return (np.array(answers) == fingerprint.keys).astype(np.uint8)


def _model(one: Mapping[str, Any], fingerprint: Fingerprint) -> dict[str, Any]:
    hits = (np.array(one["answers"]) == fingerprint.keys).astype(int)
    kept = {name: one[name] for name in ("role", "origin", "net", "seed", "weights_sha256")}
    return {**kept, "hits": "".join(map(str, hits))}


def _p_values(hits: Hits, surrogates: Hits, references: Hits) -> dict[str, float]:
    """Judge one model's hits (n,) against those of the calibration models."""
    score, others = null_models.scores_among(hits, surrogates, references)
    beta = fit_beta_binomial(references.sum(axis=1), len(hits))
    return {
        "rank": null_models.rank_p_value(others, score),
        "beta_binomial": null_models.beta_binomial_p_value(int(hits.sum()), len(hits), beta),
    }


def _each_reference(references: Hits) -> list[float]:
    """P-value of each reference (m, n) by the beta-binomial of the others.

    By rank there would be nothing to find: among the same models every rank occurs once.
    """
    counts, trials = references.sum(axis=1), references.shape[1]
    return [
        null_models.beta_binomial_p_value(
            int(count), trials, fit_beta_binomial(np.delete(counts, place), trials)
        )
        for place, count in enumerate(counts)
    ]


def compare(surrogates: Hits, references: Hits, size: int) -> dict[str, Any]:
    """Compare the log-likelihood ratio with CAEAcc, on the same queries.

    Args:
        surrogates: Hits of all surrogates (K, n).
        references: Of all references (m, n).
        size: Number of queries; numbers are means over random choices of so many inputs.

    Returns:
        `inputs`, and of each score `auc`, and `caught` by false-alarm rate: the share of surrogates
        above all references but the share `rate` of them. Each is (value, low, high), a 95 %
        bootstrap interval over models, which stays at the value where all resamples agree.
    """
    scores: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {
        name: [] for name in SCORES
    }
    for chosen in subsets(surrogates.shape[1], size):
        some, others = surrogates[:, chosen], references[:, chosen]
        scores["llr"].append(cross_fitted_scores(some, others))
        scores["cae_accuracy"].append((some.mean(axis=1), others.mean(axis=1)))
    return {"inputs": size, **{name: _separation(pairs) for name, pairs in scores.items()}}


def _separation(
    pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> dict[str, Any]:
    above, below = (np.array(group) for group in zip(*pairs, strict=True))
    # Scores that differ by rounding only are equal.
    above, below = above.round(9), below.round(9)
    rng = np.random.default_rng(0)
    draws = [
        (
            rng.integers(0, above.shape[1], above.shape[1]),
            rng.integers(0, below.shape[1], below.shape[1]),
        )
        for _ in range(RESAMPLES)
    ]
    resampled = [(above[:, some], below[:, others]) for some, others in draws]
    found: dict[str, Any] = {"auc": _interval(_auc, above, below, resampled)}
    found["caught"] = {
        f"{rate:g}": _interval(lambda a, b, r=rate: share_above(a, b, r), above, below, resampled)
        for rate in RATES
    }
    return found


def _interval(measure: Any, above: Any, below: Any, resampled: Sequence[Any]) -> list[float]:
    values = [measure(*pair) for pair in resampled]
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(measure(above, below)), float(low), float(high)]


def _auc(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    difference = above[:, :, None] - below[:, None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def share_above(above: NDArray[np.float64], below: NDArray[np.float64], rate: float) -> float:
    """Mean share of surrogates above the references, of which the share `rate` may be accused.

    Args:
        above: Scores of surrogates (subsets, K).
        below: Scores of references (subsets, m).
        rate: Of m references, rate * m rounded down may score as high.
    """
    allowed = int(rate * below.shape[1] + 1e-9)
    limit = np.sort(below, axis=1)[:, -1 - allowed]
    return float(np.mean(above > limit[:, None]))


def _against(
    known: tuple[Hits, Hits], judged: tuple[Hits, Hits], order: NDArray[np.int64], alpha: float
) -> tuple[Ends, Ends]:
    """Test models with the rates of others."""
    groups = sequential.fit_population(known[0]), sequential.fit_population(known[1])
    above, below = (
        count_ends([sequential.log_wealth(h[order], order, *groups) for h in hits], alpha)
        for hits in judged
    )
    return above, below


def random_splits(surrogates: Hits, references: Hits, known: int) -> dict[str, Any]:
    """Test models with the rates of others, over many choices of which are known.

    One choice of a few calibration models, and one order of the inputs, have luck of their own.

    Args:
        surrogates: Hits of all surrogates (K, n).
        references: Of all references (m, n).
        known: How many of each kind are known, fewer than there are; the others are suspects.

    Returns:
        `known`, `tests` of independent models, and shares by alpha: `accused` of independent
        models, `caught` and `missed` of surrogates.
    """
    rng, paths = np.random.default_rng(0), ([], [])  # type: ignore[var-annotated]
    for _ in range(SPLITS):
        mixed = [group[rng.permutation(len(group))] for group in (surrogates, references)]
        groups = [sequential.fit_population(group[:known]) for group in mixed]
        for found, group in zip(paths, mixed, strict=True):
            for hits in group[known:]:
                order = rng.permutation(len(hits))
                found.append(sequential.log_wealth(hits[order], order, groups[0], groups[1]))
    ends = {a: [count_ends(found, a) for found in paths] for a in ALPHAS}
    return {
        "known": known,
        "tests": len(paths[1]),
        "accused": {f"{a:g}": below.match / below.models for a, (_, below) in ends.items()},
        "caught": {f"{a:g}": above.match / above.models for a, (above, _) in ends.items()},
        "missed": {f"{a:g}": above.no_match / above.models for a, (above, _) in ends.items()},
    }


def _ends(ends: tuple[Ends, Ends]) -> dict[str, Any]:
    """JSON of how tests of surrogates and references end."""
    names = ("surrogates", "independent")
    return {
        name: {**dataclasses.asdict(one), "mean": metrics.summary(one.queries)["mean"]}
        for name, one in zip(names, ends, strict=True)
    }
