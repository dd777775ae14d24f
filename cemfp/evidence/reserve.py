"""A reserve: inputs that nobody was ever asked, for a second test of the same fingerprint."""

from __future__ import annotations

import dataclasses

import numpy as np

from cemfp.evidence.leaves import OF_AN_INPUT
from cemfp.evidence.problem import EvidenceError, expect
from cemfp.fingerprint.artifact import Fingerprint


def split(fingerprint: Fingerprint, reserve: int, seed: int) -> tuple[Fingerprint, Fingerprint]:
    """Return the public part of a fingerprint and the reserve, which have no input in common.

    Which inputs are kept back is drawn, so that both parts are alike but for chance.

    Args:
        fingerprint: Without a calibration: scores on all inputs are not those of a part.
        reserve: Number of inputs to keep back.
        seed: Of the draw; it should be a secret.

    Raises:
        EvidenceError: No input would be left, or there is a calibration.
    """
    count = len(fingerprint)
    expect(0 < reserve < count, f"a reserve of 1 to {count - 1} inputs", reserve)
    if fingerprint.calibration is not None:
        raise EvidenceError(
            "expected a fingerprint without calibration, whose scores are of all inputs. Received: "
            "one with; take the file as it was before `cemfp calibrate`, and calibrate the parts."
        )
    drawn = np.random.default_rng(seed).permutation(count)
    kept, back = np.sort(drawn[reserve:]), np.sort(drawn[:reserve])
    return _part(fingerprint, kept), _part(fingerprint, back)


def _part(fingerprint: Fingerprint, chosen: np.ndarray) -> Fingerprint:
    arrays = {name: getattr(fingerprint, name) for name in OF_AN_INPUT}
    parts = {name: array[chosen] for name, array in arrays.items() if array is not None}
    # What classes are short of was counted before.
    return dataclasses.replace(fingerprint, shortfall={}, **parts)
