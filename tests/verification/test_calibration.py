"""Thresholds by hand, and no model where it must not be."""

import pytest

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.roles import RoleError
from cemfp.suspects import SuspectError
from cemfp.verification import CalibrationError, calibrate, choose_threshold
from cemfp.verification.calibration import MIDPOINT, YOUDEN
from tests.verification.stand_ins import Model, make_fingerprint


@pytest.mark.parametrize(
    ("above", "below", "threshold", "rule"),
    [
        ([0.9, 1.0], [0.1, 0.4], 0.65, MIDPOINT),
        ([1.0], [0.0], 0.5, MIDPOINT),
        # Overlap. At .25: J = 1 - 1/2; at .4 (2/3 - 1/2); at .65: 2/3 - 0. Take .65.
        ([0.3, 0.8, 0.9], [0.2, 0.5], 0.65, YOUDEN),
        # J at .25 = 1 - 1/2 and at .6 = 1/2 - 0: equal, so the higher one.
        ([0.3, 0.9], [0.2, 0.3], 0.6, YOUDEN),
        # A tie between the groups is an overlap: at .4, J = 1/2.
        ([0.5, 0.5], [0.3, 0.5], 0.4, YOUDEN),
    ],
)
def test_threshold_by_hand(above, below, threshold, rule):
    assert choose_threshold(above, below) == (pytest.approx(threshold), rule)


@pytest.mark.parametrize(
    ("above", "below"), [([0.5], [0.5]), ([0.1, 0.2], [0.8, 0.9]), ([0.4, 0.6], [0.6, 0.4])]
)
def test_scores_that_tell_nothing_apart_give_no_threshold(above, below):
    with pytest.raises(CalibrationError, match="does not tell them apart"):
        choose_threshold(above, below)


def test_calibration_is_stored_in_a_copy_and_survives_the_file(tmp_path):
    original = make_fingerprint(10)
    surrogates = [Model(9), Model(10)]
    references = [Model(2, "reference"), Model(4, "reference")]
    calibrated = calibrate(original, surrogates, references, batch_size=3)
    found = calibrated.calibration
    assert found.surrogate_scores == (0.9, 1.0)
    assert found.reference_scores == (0.2, 0.4)
    assert found.threshold == pytest.approx(0.65)
    assert (found.rule, found.queries) == (MIDPOINT, 10)
    assert found.surrogate_sha256 == ("surrogate-9", "surrogate-10")
    assert found.reference_sha256 == ("reference-2", "reference-4")
    # The first 9 and all 10; the first 2 and the first 4.
    assert calibrated.surrogate_hits.tolist() == [[1] * 9 + [0], [1] * 10]
    assert calibrated.reference_hits.tolist() == [[1] * 2 + [0] * 8, [1] * 4 + [0] * 6]
    assert original.calibration is None and original.surrogate_hits is None
    calibrated.save(tmp_path / "f")
    loaded = Fingerprint.load(tmp_path / "f")
    assert loaded.calibration == found
    assert loaded.reference_hits.sum(axis=1).tolist() == [2, 4]


@pytest.mark.parametrize("role", ["source", "defender", "evaluation", "attacker"])
def test_only_calibration_models_calibrate(role):
    good, bad = Model(9), Model(9, role=role, name="intruder")
    reference, bad_reference = Model(2, "reference"), Model(2, "reference", role, "intruder")
    for surrogates, references in [([good, bad], [reference]), ([good], [bad_reference])]:
        with pytest.raises(RoleError, match=rf"intruder\) with role {role}"):
            calibrate(make_fingerprint(), surrogates, references)


def test_origins_are_checked():
    with pytest.raises(RoleError, match="surrogates: expected classifiers with origin surrogate"):
        calibrate(make_fingerprint(), [Model(9, "reference")], [Model(2, "reference")])
    with pytest.raises(RoleError, match="references: expected classifiers with origin reference"):
        calibrate(make_fingerprint(), [Model(9)], [Model(2, "surrogate")])


@pytest.mark.parametrize(
    ("surrogates", "references"),
    [
        ([], [Model(1, "reference")]),
        ([Model(9)], []),
        ([Model(9), Model(9)], [Model(1, "reference")]),
        ([Model(9, name="x")], [Model(1, "reference", name="x")]),
    ],
)
def test_empty_groups_and_repeated_models_are_refused(surrogates, references):
    with pytest.raises(CalibrationError, match="at least one surrogate and one reference"):
        calibrate(make_fingerprint(), surrogates, references)


def test_a_model_of_another_shape_is_refused():
    other = Model(9)
    other.input_shape = (32, 32, 3)
    with pytest.raises(SuspectError, match="inputs of shape"):
        calibrate(make_fingerprint(), [other], [Model(2, "reference")])
