"""The papers' scores and their uncertainty: arrays in, numbers out.

Equation numbers refer to Lukas, Zhang, Kerschbaum (ICLR 2021), "Deep Neural Network Fingerprinting
by Conferrable Adversarial Examples".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval, both ends included."""

    low: float
    high: float


class RocCurve(NamedTuple):
    """A ROC curve: rates (m,) at each threshold (m,), from the strictest threshold on."""

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Floats


def cae_accuracy(predictions: ArrayLike, key: ArrayLike) -> float:
    """Share of fingerprint inputs on which a suspect answers the key [Lukas21, eq. 7].

    Args:
        predictions: Labels the suspect gave (n,).
        key: Labels the fingerprint asks for (n,).

    Raises:
        ValueError: The shapes differ or there is no input.
    """
    predictions, key = np.asarray(predictions), np.asarray(key)
    if predictions.shape != key.shape or key.ndim != 1 or key.size == 0:
        raise ValueError(
            "Expected predictions and key of one shape (n,), n > 0. "
            f"Received: predictions {predictions.shape}, key {key.shape}."
        )
    return float(np.mean(predictions == key))


def transfer(predictions: ArrayLike, target: ArrayLike) -> Floats:
    """Share of models whose top-1 label is the target [Lukas21, eq. 1].

    Args:
        predictions: Labels of K models (K, n).
        target: Target label of each input (n,).

    Returns:
        Shares (n,), in [0, 1].

    Raises:
        ValueError: The shapes do not agree, or there is no model.
    """
    predictions, target = np.asarray(predictions), np.asarray(target)
    if predictions.ndim != 2 or len(predictions) == 0 or predictions.shape[1:] != target.shape:
        raise ValueError(
            "Expected predictions (K, n) of K > 0 models and a target (n,). "
            f"Received: predictions {predictions.shape}, target {target.shape}."
        )
    return np.mean(predictions == target, axis=0)


def confer(
    surrogate_predictions: ArrayLike, reference_predictions: ArrayLike, target: ArrayLike
) -> Floats:
    """Conferrability: transfers to surrogates, not to references [Lukas21, eq. 2].

    Args:
        surrogate_predictions: Labels of the surrogates (K, n).
        reference_predictions: Labels of the references (L, n).
        target: Target label of each input (n,).

    Returns:
        Scores (n,), in [0, 1].
    """
    return transfer(surrogate_predictions, target) * (1 - transfer(reference_predictions, target))


def uniqueness(robustness: float, transferability: float) -> float:
    """Uniqueness score, robustness minus transferability [Wang et al. 2021].

    Both are accuracies in [0, 1]. A negative score means more false claims than right ones.
    """
    return robustness - transferability


def summary(values: ArrayLike) -> dict[str, float | int | None]:
    """Count, mean, sample standard deviation (n - 1), minimum and maximum of numbers (n,).

    The standard deviation of a single value is unknown, and given as `None`, not as zero.

    Raises:
        ValueError: There is no value, or one is not finite.
    """
    numbers = _scores(values, "values")
    return {
        "n": len(numbers),
        "mean": float(np.mean(numbers)),
        "std": float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None,
        "min": float(np.min(numbers)),
        "max": float(np.max(numbers)),
    }


def roc_auc(surrogate_scores: ArrayLike, reference_scores: ArrayLike) -> float:
    """Area under the ROC curve: chance that a surrogate scores above a reference, ties half.

    Args:
        surrogate_scores: One score per surrogate (K,); a higher score means "surrogate".
        reference_scores: One score per reference (L,).

    Raises:
        ValueError: A group is empty or holds a value that is not finite.
    """
    from sklearn.metrics import roc_auc_score  # slow to import, and no verdict needs it

    return float(roc_auc_score(*_labelled(surrogate_scores, reference_scores)))


def roc_curve(surrogate_scores: ArrayLike, reference_scores: ArrayLike) -> RocCurve:
    """All corners of the ROC curve; arguments and errors as in `roc_auc`.

    The first threshold is infinite: nothing is called a surrogate.
    """
    from sklearn import metrics as sklearn_metrics

    labels, scores = _labelled(surrogate_scores, reference_scores)
    return RocCurve(*sklearn_metrics.roc_curve(labels, scores, drop_intermediate=False))


def roc_auc_interval(
    surrogate_scores: ArrayLike,
    reference_scores: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 10_000,
    *,
    seed: int,
) -> Interval:
    """Percentile bootstrap of the AUC over models, surrogates and references each resampled.

    When every surrogate scores above every reference, each resample does too, and the interval
    degenerates to [1, 1] however few the models are. It then says nothing about the uncertainty:
    report `roc_auc_lower_bound` beside it.

    Args:
        surrogate_scores: One score per surrogate (K,).
        reference_scores: One score per reference (L,).
        confidence: Coverage, in (0, 1).
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling.
    """
    _check_confidence(confidence)
    surrogates = _scores(surrogate_scores, "surrogate scores")
    references = _scores(reference_scores, "reference scores")
    difference = surrogates[:, None] - references[None, :]
    wins = (difference > 0) + 0.5 * (difference == 0)
    rng = np.random.default_rng(seed)
    # A resample is how often each model was drawn, so that one product gives all the AUCs.
    drawn_surrogates = _draws(rng, len(surrogates), resamples)
    drawn_references = _draws(rng, len(references), resamples)
    areas = np.sum(drawn_surrogates @ wins * drawn_references, axis=1) / wins.size
    tail = (1 - confidence) / 2
    low, high = np.quantile(areas, [tail, 1 - tail])
    return Interval(float(low), float(high))


def roc_auc_lower_bound(
    surrogate_scores: ArrayLike, reference_scores: ArrayLike, confidence: float = 0.95
) -> float:
    """One-sided lower confidence bound of the AUC that holds for any number of models.

    The m = min(K, L) disjoint pairs (surrogate i, reference i) are independent trials which the
    surrogate wins with a probability of at most the AUC, a tie counted as lost; the bound is
    Clopper and Pearson's on the wins. It is conservative, as most pairs go unused: with perfect
    separation it is (1 - confidence)^(1/m), 0.55 for five models and 0.74 for ten at 95 %.

    The pairing follows the order given, which must not depend on the scores (do not sort them).
    """
    from scipy.stats import binomtest

    _check_confidence(confidence)
    surrogates = _scores(surrogate_scores, "surrogate scores")
    references = _scores(reference_scores, "reference scores")
    pairs = min(len(surrogates), len(references))
    wins = int(np.sum(surrogates[:pairs] > references[:pairs]))
    test = binomtest(wins, pairs, alternative="greater")
    return float(test.proportion_ci(confidence, method="exact").low)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Exact two-sided confidence interval of a proportion [Clopper and Pearson 1934].

    Raises:
        ValueError: Not 0 <= successes <= trials with trials > 0, or confidence outside (0, 1).
    """
    import scipy.special

    _check_confidence(confidence)
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(
            f"Expected 0 <= successes <= trials with trials > 0. Received: {successes} of {trials}."
        )
    # The quantiles of beta distributions; `scipy.stats` has it, too, and takes seconds to import.
    tail, failures = (1 - confidence) / 2, trials - successes
    low = scipy.special.betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = scipy.special.betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return Interval(float(low), float(high))


def _scores(values: ArrayLike, name: str) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0 or not np.all(np.isfinite(scores)):
        raise ValueError(f"Expected {name} of shape (n,), n > 0, all finite. Received: {values!r}.")
    return scores


def _labelled(surrogate_scores: ArrayLike, reference_scores: ArrayLike) -> tuple[Floats, Floats]:
    surrogates = _scores(surrogate_scores, "surrogate scores")
    references = _scores(reference_scores, "reference scores")
    labels = np.repeat([1.0, 0.0], [len(surrogates), len(references)])
    return labels, np.concatenate([surrogates, references])


def _draws(rng: np.random.Generator, size: int, resamples: int) -> Floats:
    return rng.multinomial(size, np.full(size, 1 / size), size=resamples).astype(np.float64)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"Expected a confidence in (0, 1). Received: {confidence}.")
