"""Rank tests on numbers one can check with a pencil."""

import numpy as np
import pytest

from cemfp.numerics.ranks import least_p_value, rank_sum_p_value


def test_p_values_count_the_ways_to_divide():
    # {3, 4} against {1, 2}: one of six ways reaches rank sum 7; {2, 4}: sums 6 and 7, two of six.
    assert rank_sum_p_value([0.3, 0.4], [0.1, 0.2]) == pytest.approx(1 / 6)
    assert rank_sum_p_value([0.2, 0.4], [0.1, 0.3]) == pytest.approx(2 / 6)
    assert rank_sum_p_value([0.1, 0.2], [0.3, 0.4]) == 1.0
    assert least_p_value(2, 2) == pytest.approx(1 / 6)


def test_equal_scores_share_their_rank():
    # Ranks 1, 2.5, 2.5, 4 of .1, .2, .2, .3; {.2, .3} has 6.5, as two of six ways do.
    assert rank_sum_p_value([0.2, 0.3], [0.1, 0.2]) == pytest.approx(2 / 6)
    assert rank_sum_p_value([0.5], [0.5, 0.5]) == 1.0


def test_many_scores_are_divided_at_random():
    low, high = np.arange(30), np.arange(30) + 100
    assert rank_sum_p_value(high, low) == pytest.approx(1 / 20_001)
    assert rank_sum_p_value(low, high) == 1.0
    assert rank_sum_p_value(low, low) == pytest.approx(0.5, abs=0.02)


def test_a_group_without_scores_is_refused():
    with pytest.raises(ValueError, match="expected scores in both groups"):
        rank_sum_p_value([], [1.0])


def test_a_rank_test_of_like_groups_accuses_as_seldom_as_it_says():
    # 2,000 pairs of groups of five and four, all from one distribution.
    rng = np.random.default_rng(0)
    found = [rank_sum_p_value(x[:5], x[5:]) for x in rng.random((2000, 9))]
    assert np.mean(np.array(found) <= 0.05) <= 0.065
