"""Keys that are none: the same labels, in other places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cemfp.verification.null_keys import check_null_keys, null_keys


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_the_same_labels_in_another_order(keys):
    keys = np.array(keys)
    drawn = null_keys(keys, 20, seed=b"seed")
    assert drawn.shape == (20, len(keys))
    np.testing.assert_array_equal(np.sort(drawn, axis=1), np.tile(np.sort(keys), (20, 1)))


def test_every_place_gets_every_label_as_often_as_it_occurs():
    keys = np.array([0, 0, 1, 2])
    shares = np.mean(null_keys(keys, 4_000, seed=b"") == 0, axis=0)
    np.testing.assert_allclose(shares, 0.5, atol=0.04)


def test_draws_differ_and_stay_the_same():
    keys = np.repeat(np.arange(4), 5)
    drawn = null_keys(keys, 50, seed=b"a")
    assert len(np.unique(drawn, axis=0)) > 45
    np.testing.assert_array_equal(drawn, null_keys(keys, 50, seed=b"a"))
    assert not np.array_equal(drawn, null_keys(keys, 50, seed=b"b"))
    # Written down: the same on every machine, and with every version of NumPy.
    golden = [[2, 0, 2, 0, 1, 1], [1, 0, 1, 2, 2, 0]]
    assert null_keys(np.array([0, 0, 1, 1, 2, 2]), 2, seed=b"golden").tolist() == golden


def test_p_values_by_hand():
    keys = np.repeat(np.arange(10), 10)
    # All answers are the key's; a drawn one agrees with them on 10 of 100 inputs on average.
    right = check_null_keys(keys, keys, seed=b"", draws=99)
    assert (right.draws, right.p_value) == (99, 0.01)
    assert right.mean_matches == pytest.approx(10, abs=1.5)
    # A constant answer agrees with every key of these labels on 10 of 100: it says nothing.
    constant = check_null_keys(np.full(100, 3), keys, seed=b"", draws=99)
    assert constant.mean_matches == 10 and constant.p_value == 1.0


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_answers_without_regard_to_the_key_are_seldom_called_related(classes):
    rng, keys = np.random.default_rng(0), np.arange(100) % classes
    values = [
        check_null_keys(
            rng.integers(0, classes, 100), keys, seed=bytes([t % 256]), draws=199
        ).p_value
        for t in range(300)
    ]
    # 5 % and three standard errors of a share of 300.
    assert np.mean(np.array(values) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(values) == pytest.approx(0.55, abs=0.08)
