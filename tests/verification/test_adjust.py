"""Adjusted p-values, by hand and as properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cemfp.verification.adjust import ADJUSTMENTS, benjamini_hochberg, holm

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_holm_by_hand():
    # Sorted .01, .03, .04 times 3, 2, 1: .03, .06, .04, which is not below the one before: .06.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])


def test_benjamini_hochberg_by_hand():
    # Sorted .01, .03, .04 times 3/1, 3/2, 3/3: .03, .045, .04; none above one after it: .03, .04.
    assert benjamini_hochberg([0.04, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])


@pytest.mark.parametrize("name", ADJUSTMENTS)
@settings(deadline=None)
@given(values=VALUES)
def test_adjusting_keeps_the_order_and_makes_nothing_smaller(name, values):
    adjusted = ADJUSTMENTS[name](values)
    assert np.all(adjusted >= np.array(values) - 1e-12) and np.all(adjusted <= 1)
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(adjusted[order]) >= 0)
    assert ADJUSTMENTS[name]([0.3])[0] == 0.3 and len(ADJUSTMENTS[name]([])) == 0


def test_holm_bounds_the_chance_of_any_false_alarm():
    """2,000 times ten innocents: at 0.05 some of them are accused in at most 5 % and a bit."""
    rng = np.random.default_rng(0)
    assert np.mean([holm(rng.random(10)).min() <= 0.05 for _ in range(2_000)]) <= 0.06
