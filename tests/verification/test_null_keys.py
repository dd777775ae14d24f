"""Keys that are none: the same labels, in other places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cemfp.verification.null_keys import check_null_keys, null_keys


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_same_labels_and_never_the_true_one_where_possible(keys):
    keys = np.array(keys)
    drawn = null_keys(keys, 20, seed=b"seed")
    assert drawn.shape == (20, len(keys))
    np.testing.assert_array_equal(np.sort(drawn, axis=1), np.tile(np.sort(keys), (20, 1)))
    most = np.bincount(keys).max()
    # `most` inputs of one label and fewer others: as many have to stay as the others do not reach.
    assert np.all(np.sum(drawn == keys, axis=1) <= max(2 * most - len(keys), 0) + (len(keys) == 1))


def test_draws_differ_and_stay_the_same():
    keys = np.repeat(np.arange(4), 5)
    drawn = null_keys(keys, 50, seed=b"a")
    assert len(np.unique(drawn, axis=0)) > 45
    np.testing.assert_array_equal(drawn, null_keys(keys, 50, seed=b"a"))
    assert not np.array_equal(drawn, null_keys(keys, 50, seed=b"b"))
    # Written down: the same on every machine, and with every version of NumPy.
    golden = [[2, 1, 2, 0, 1, 0], [1, 1, 2, 2, 0, 0]]
    assert null_keys(np.array([0, 0, 1, 1, 2, 2]), 2, seed=b"golden").tolist() == golden


def test_p_values_by_hand():
    keys = np.repeat(np.arange(10), 10)
    # All answers are the key's, and no other key agrees anywhere.
    right = check_null_keys(keys, keys, seed=b"", draws=99)
    assert (right.draws, right.mean_matches, right.p_value) == (99, 0.0, 0.01)
    # A constant answer agrees with every key of these labels on 10 of 100: it says nothing.
    constant = check_null_keys(np.full(100, 3), keys, seed=b"", draws=99)
    assert constant.mean_matches == 10 and constant.p_value == 1.0


def test_answers_without_regard_to_the_key_are_seldom_called_related():
    rng, keys = np.random.default_rng(0), np.repeat(np.arange(10), 10)
    values = [
        check_null_keys(rng.integers(0, 10, 100), keys, seed=b"", draws=199).p_value
        for _ in range(200)
    ]
    assert np.mean(np.array(values) <= 0.05) <= 0.08
    assert np.mean(values) == pytest.approx(0.55, abs=0.08)
