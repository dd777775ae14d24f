"""Acceptance and balance on candidates small enough to follow by hand."""

import numpy as np
import pytest

from cemfp.fingerprint.selection import accepted, select


def distinct(count):
    return np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)


def test_acceptance_rule_by_hand():
    #        key  true clean confer
    cases = [
        (1, 0, 0, 0.95),  # passes: adversarial, correct start, exactly at the threshold
        (0, 0, 0, 1.00),  # not adversarial
        (1, 0, 2, 1.00),  # the source was wrong on the start
        (1, 0, 1, 1.00),  # wrong on the start, and never left that label
        (1, 0, 0, 0.94),  # below the threshold
    ]
    keys, true, clean, confer = map(np.array, zip(*cases, strict=True))
    mask = accepted(keys, confer, true, clean, threshold=0.95)
    np.testing.assert_array_equal(mask, [True, False, False, False, False])


def test_filters_without_their_input_are_left_out():
    np.testing.assert_array_equal(accepted([1, 1], None, [0, 1], [0, 1]), [True, False])
    np.testing.assert_array_equal(accepted([1, 1], [1, 0.5], None, None), [True, False])
    with pytest.raises(ValueError, match="together"):
        accepted([1], None, [0], None)


def test_balanced_selection_by_hand():
    # Class 0: scores .99 (i0) .98 (i1) .97 (i2); class 1: .96 (i3); class 2: 1.0 (i4) .95 (i5).
    # Round one, best first: i4, i0, i3. Round two: i1, i5. Round three: i2.
    keys = [0, 0, 0, 1, 2, 2]
    confer = [0.99, 0.98, 0.97, 0.96, 1.0, 0.95]

    def run(size):
        return select(distinct(6), keys, confer, None, None, size=size, classes=3)

    np.testing.assert_array_equal(run(6).indices, [4, 0, 3, 1, 5, 2])
    np.testing.assert_array_equal(run(4).indices, [4, 0, 3, 1])
    # Six inputs of three classes: a share of two each, of which class 1 has one.
    assert run(6).shortfall.missing == {1: 1}
    assert str(run(6).shortfall) == "6 of 6 inputs found; classes below their share: 1 (-1)"
    assert run(6).shortfall
    assert not run(3).shortfall


def test_shortfall_counts_what_was_not_found():
    result = select(distinct(2), [0, 0], [1, 1], None, None, size=6, classes=3)
    assert result.shortfall.missing == {1: 2, 2: 2}
    assert (result.shortfall.found, result.shortfall.wanted) == (2, 6)


def test_without_balance_the_best_win():
    result = select(
        distinct(4), [0, 0, 0, 1], [0.99, 0.98, 0.97, 0.96], None, None,
        size=3, balance=False, classes=2,
    )  # fmt: skip
    np.testing.assert_array_equal(result.indices, [0, 1, 2])
    assert not result.shortfall


def test_equal_scores_go_to_the_lower_index():
    result = select(distinct(5), [1, 0, 1, 0, 1], None, None, None, size=4, classes=2)
    np.testing.assert_array_equal(result.indices, [0, 1, 2, 3])


def test_repeated_images_are_taken_once_with_their_best_score():
    x = distinct(3)
    x[1] = x[0]
    result = select(x, [0, 0, 1], [0.95, 1.0, 0.97], None, None, size=3, classes=2)
    np.testing.assert_array_equal(result.indices, [1, 2])


def test_nothing_accepted_is_an_empty_selection():
    result = select(distinct(2), [0, 1], [0.1, 0.2], None, None, size=2, classes=2)
    assert result.indices.shape == (0,) and result.indices.dtype == np.int64
    assert result.shortfall.missing == {0: 1, 1: 1}
    empty = select(distinct(0), [], [], [], [], size=2, classes=2)
    assert len(empty.indices) == 0


def test_filters_apply_in_select():
    result = select(distinct(3), [1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 0, 1], size=3, classes=2)
    np.testing.assert_array_equal(result.indices, [0])


@pytest.mark.parametrize(
    ("keys", "confer", "size"), [([0], [1, 1], 1), ([0, 1], [1], 1), ([0, 1], [1, 1], 0)]
)
def test_select_refuses(keys, confer, size):
    with pytest.raises(ValueError, match="Expected equal lengths"):
        select(distinct(2), keys, confer, None, None, size=size, classes=2)
