"""What a fingerprint can show, from chosen calibration models."""

import json

import numpy as np
import pytest

from cemfp.verification import VerificationError, calibrate
from cemfp.verification.power import (
    count_ends,
    cross_fitted_scores,
    power,
    share_caught,
    subsets,
)
from tests.verification.stand_ins import Model, make_fingerprint


def calibrated(above=(50, 53, 55, 58), below=(4, 6, 9, 12)):
    models = [Model(right) for right in above], [Model(right, "reference") for right in below]
    return calibrate(make_fingerprint(60), *models)


def test_shares_by_hand():
    # Independent models hit 0 or 1 of 4 inputs; of the surrogates one hits all, one hits none.
    references = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]] * 5, np.uint8)
    surrogates = np.array([[1, 1, 1, 1], [0, 0, 0, 0]], np.uint8)
    found = share_caught(surrogates, references, 4, (0.05,))
    assert (found.inputs, found.by_beta_binomial) == (4, (0.5,))
    # With one input nobody is caught at 5 %: one of eight answers of references is the key's.
    assert share_caught(surrogates, references, 1, (0.05,)).by_beta_binomial == (0.0,)


def test_ends_by_hand():
    # log 20 = 3.0 (2.996): a match after two answers, none after one, no end after three.
    ends = count_ends([[0, 1, 3], [0, -3.1, 4], [0, 1, -1, 2]], alpha=0.05)
    assert (ends.models, ends.match, ends.no_match, ends.queries) == (3, 1, 1, (2, 1, 3))
    assert ends.mean_queries == 2


def test_a_model_has_no_part_in_its_own_score():
    rng = np.random.default_rng(0)
    surrogates, references = rng.random((3, 30)) < 0.8, rng.random((4, 30)) < 0.2
    above, below = cross_fitted_scores(surrogates, references)
    assert above.shape == (3,) and below.shape == (4,) and above.min() > 0 > below.max()


def test_a_fingerprint_that_tells_them_apart():
    found = power(calibrated(), alpha=0.05)
    assert [row.inputs for row in found.caught] == [10, 25, 50, 60]
    assert found.caught[-1].by_rank == 1.0 and found.caught[-1].by_beta_binomial == (1.0, 1.0)
    assert found.smallest_rate == 0.2 and found.references_needed == ((19, 59), (99, 299))
    assert found.of_surrogates.match == 4 and found.of_references.no_match == 4
    assert found.of_surrogates.mean_queries < 20
    assert json.loads(json.dumps(found.to_dict()))["of_references"]["mean_queries"] < 20


def test_few_models():
    found = power(calibrated((50, 58), (4, 6)))
    assert found.of_surrogates is None and found.smallest_rate == pytest.approx(1 / 3)
    with pytest.raises(VerificationError, match="at least 2 calibration surrogates"):
        power(calibrated((50,), (4, 6)))
    with pytest.raises(VerificationError, match="calibrate it"):
        power(make_fingerprint(5))


def test_subsets():
    chosen = subsets(100, 10)
    assert len(chosen) == 20 and all(len(set(some)) == 10 for some in chosen)
    assert len({some.tobytes() for some in chosen}) == 20
    assert [some.tolist() for some in subsets(3, 5)] == [[0, 1, 2]]
