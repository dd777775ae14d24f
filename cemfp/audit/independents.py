"""Do models answer the key that have nothing to do with the source?

The owner's references are the owner's. The judge's independents, trained on the truth by the judge
or bought elsewhere, show what the owner cannot have tuned: a fingerprint that they answer, too, is
a false claim, whatever the owner's calibration says.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cemfp.audit.checks import AuditError, Check, Status, missing, of
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.numerics import metrics, ranks
from cemfp.verification.null_models import references_needed

LEVEL = 0.05
# If independents answer the key on most inputs, it is no secret of the source's, whatever the
# threshold.
MOST = 0.5
# The rate of false accusations for which the text says how many models it takes.
WANTED = 0.05


def check_independents(fingerprint: Fingerprint, answers: Mapping[str, np.ndarray]) -> Check:
    """Say how many independents the fingerprint would accuse, and what that bounds.

    Args:
        fingerprint: Under audit.
        answers: Labels of the inputs (n,) by the name of the independent that gave them.
    """
    need = references_needed(WANTED)[1]
    if not answers:
        return missing(
            "independents",
            "none was asked: name the judge's own models with --independent; with none accused of "
            f"m the rate of false accusations is at most 1 - 0.05^(1/m): {WANTED:.0%} takes {need}",
        )
    hits = {name: int(np.sum(labels == fingerprint.keys)) for name, labels in answers.items()}
    count, models, limit = len(fingerprint), len(answers), limit_of(fingerprint)
    shares = np.array(list(hits.values())) / count
    accused = [name for name, share in zip(hits, shares, strict=True) if share >= limit]
    # One-sided: what leaves 5 % above it.
    bound = metrics.clopper_pearson(len(accused), models, 1 - 2 * LEVEL).high
    agreement, majority = agreements(np.stack(list(answers.values())), fingerprint.keys)
    problems = []
    if accused:
        problems.append(
            f"{len(accused)} of {models} independents would be accused: {', '.join(accused)} "
            f"({_range(shares[shares >= limit])} of the answers are the key's, threshold "
            f"{limit:.3f})"
        )
    if shares.mean() > MOST:
        problems.append(
            f"independents answer the key on {shares.mean():.2f} of the inputs: it is no secret of "
            "the source's"
        )
    return of(
        "independents",
        problems,
        f"0 of {models} would be accused: they answer the key on {_range(shares)} of the inputs, "
        f"the threshold is {limit:.3f}; of such models at most {bound:.0%} would be (95 % "
        f"confidence; {WANTED:.0%} takes {need}). " + _shown(agreement, majority),
        models={name: _model(hits[name], count) for name in hits},
        threshold=limit,
        accused=len(accused),
        upper_bound=bound,
        agreement=agreement,
        majority=majority,
    )


def check_references(fingerprint: Fingerprint, answers: Mapping[str, np.ndarray]) -> Check:
    """Test whether the judge's independents are like the owner's calibration references.

    An owner who picked or made up references has some that answer the key less often.
    """
    calibration = fingerprint.calibration
    if calibration is None:
        return missing("references", "the fingerprint has no calibration to compare with")
    if not answers:
        return missing("references", "no independent to compare the owner's references with")
    own = [float(np.mean(labels == fingerprint.keys)) for labels in answers.values()]
    theirs = calibration.reference_scores
    p_value = ranks.rank_sum_p_value(own, theirs)
    least = ranks.least_p_value(len(own), len(theirs))
    numbers = {"p_value": p_value, "least_p_value": least}
    numbers |= {"independents": len(own), "references": len(theirs)}
    groups = (
        f"the judge's {len(own)} independents answer the key on {_range(np.array(own))}, the "
        f"owner's {len(theirs)} references on {_range(np.array(theirs))} of the inputs"
    )
    if p_value < LEVEL:
        return Check(
            "references", Status.FAILED, f"{groups}: not alike (p = {p_value:.3f})", numbers
        )
    if least >= LEVEL:
        more = _enough(len(theirs))
        advice = f"{more} independents" if more else "more references of the owner"
        text = f"{groups}: too few to tell them apart, which takes {advice}"
        return missing("references", text, **numbers)
    passed = f"{groups}: no difference shown (p = {p_value:.2f}, at best {least:.3f})"
    return Check("references", Status.PASSED, passed, numbers)


def check_strangers(fingerprint: Fingerprint, hashes: Mapping[str, str | None]) -> None:
    """Refuse models that the owner had a hand in.

    Args:
        fingerprint: Under audit.
        hashes: Hash of the weights, where it is known, by the name of the model.

    Raises:
        AuditError: One is the source, or one of the owner's calibration models; or twice the same.
    """
    made = fingerprint.calibration
    owned = {fingerprint.source_sha256}
    owned |= {*made.surrogate_sha256, *made.reference_sha256} if made else set()
    known = {name: sha256 for name, sha256 in hashes.items() if sha256 is not None}
    theirs = [name for name, sha256 in known.items() if sha256 in owned]
    if theirs or len(set(known.values())) < len(known):
        raise AuditError(
            "expected independents that the owner had no hand in, each once. Received: "
            f"{', '.join(theirs) or 'one twice'}"
        )


def agreements(answers: np.ndarray, keys: np.ndarray) -> tuple[float | None, float]:
    """Return how often two independents agree, and where most of them answer the key.

    Args:
        answers: Labels of m models (m, n).
        keys: (n,).

    Returns:
        Mean share over pairs of models, None of a single one; share of inputs on which more than
        half of the models answer the key.
    """
    pairs = [
        np.mean(answers[i] == answers[j]) for i in range(len(answers)) for j in range(i)
    ]  # a judge has tens of models at most
    majority = np.mean((answers == keys).mean(axis=0) > 0.5)
    return float(np.mean(pairs)) if pairs else None, float(majority)


def limit_of(fingerprint: Fingerprint) -> float:
    """Return the share of key answers from which a suspect would be accused."""
    return MOST if fingerprint.calibration is None else fingerprint.calibration.threshold


def _enough(references: int) -> int:
    """Return how many independents could show a difference to so many references; 0: none."""
    return next((m for m in range(1, 100) if ranks.least_p_value(m, references) < LEVEL), 0)


def _model(hits: int, count: int) -> dict[str, float | list[float]]:
    interval = list(metrics.clopper_pearson(hits, count))
    return {"matches": hits, "cae_accuracy": hits / count, "interval": interval}


def _range(shares: np.ndarray) -> str:
    low, high = shares.min(), shares.max()
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


def _shown(agreement: float | None, majority: float) -> str:
    """Say what they answer instead."""
    text = f"Most of them answer the key on {majority:.2f} of the inputs"
    return text if agreement is None else f"{text}, two of them the same on {agreement:.2f}"
