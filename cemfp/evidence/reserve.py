"""A reserve: inputs that nobody was ever asked, for a second test of the same fingerprint."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from cemfp.evidence.leaves import OF_AN_INPUT
from cemfp.evidence.problem import EvidenceError, expect
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.verification import choose_threshold


def split(fingerprint: Fingerprint, reserve: int, seed: int) -> tuple[Fingerprint, Fingerprint]:
    """Return the public part of a fingerprint and the reserve, which have no input in common.

    Which inputs are kept back is drawn, so that both parts are alike but for chance.

    Args:
        fingerprint: If it is calibrated, with the answers of each calibration model: scores and
            threshold of a part follow from the answers on its inputs.
        reserve: Number of inputs to keep back.
        seed: Of the draw; it should be a secret.

    Raises:
        EvidenceError: No input would be left, or there are scores without answers.
        CalibrationError: No threshold follows for a part.
    """
    count = len(fingerprint)
    expect(0 < reserve < count, f"a reserve of 1 to {count - 1} inputs", reserve)
    if fingerprint.calibration is not None and fingerprint.surrogate_hits is None:
        raise EvidenceError(
            "expected the answers of each calibration model. Received: their scores on all inputs, "
            "which are not those of a part; calibrate again (cemfp calibrate)."
        )
    drawn = np.random.default_rng(seed).permutation(count)
    kept, back = np.sort(drawn[reserve:]), np.sort(drawn[:reserve])
    return _part(fingerprint, kept), _part(fingerprint, back)


def _part(fingerprint: Fingerprint, chosen: np.ndarray) -> Fingerprint:
    """Return a fingerprint of some inputs, with the calibration that follows for them."""
    arrays = {name: getattr(fingerprint, name) for name in OF_AN_INPUT}
    part = {name: array[chosen] for name, array in arrays.items() if array is not None}
    part |= _calibration(fingerprint, chosen)
    rule = None if fingerprint.rule is None else fingerprint.rule.of(chosen.tolist())
    # What classes are short of was counted before.
    return dataclasses.replace(fingerprint, shortfall={}, rule=rule, **part)


def _calibration(fingerprint: Fingerprint, chosen: np.ndarray) -> dict[str, Any]:
    """Fields that say how the calibration models answered the chosen inputs."""
    record = fingerprint.calibration
    surrogates, references = fingerprint.surrogate_hits, fingerprint.reference_hits
    if record is None or surrogates is None or references is None:
        return {}
    surrogates, references = (hits[:, chosen] for hits in (surrogates, references))
    above, below = (tuple(np.mean(x, axis=1).tolist()) for x in (surrogates, references))
    threshold, rule = choose_threshold(above, below)
    calibration = dataclasses.replace(
        record,
        surrogate_scores=above,
        reference_scores=below,
        threshold=threshold,
        rule=rule,
        queries=len(chosen),
    )
    hits = {"surrogate_hits": surrogates, "reference_hits": references}
    return {"calibration": calibration, **hits}
