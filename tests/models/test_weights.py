"""Weights as they are kept."""

import numpy as np

from cemfp.models.weights import from_npz, rounded, to_npz

# 1 + 2^-11 lies between two numbers of float16, whose fraction has 10 bits; 65504 is its largest.
EXACT, BETWEEN, BEYOND = np.float32([1.5, -0.25]), np.float32([1 + 2**-11]), np.float32([70_000.0])


def test_what_float16_can_hold_is_kept_in_it_and_the_rest_as_it_is():
    kept = from_npz(to_npz([EXACT, BETWEEN, BEYOND]))
    assert [weight.dtype for weight in kept] == [np.float16, np.float32, np.float32]
    for weight, original in zip(kept, (EXACT, BETWEEN, BEYOND), strict=True):
        np.testing.assert_array_equal(weight, original)


def test_rounding_keeps_the_type_and_leaves_what_is_beyond_it():
    assert rounded(BETWEEN).dtype == np.float32 and rounded(BETWEEN)[0] == 1.0
    np.testing.assert_array_equal(rounded(BEYOND), BEYOND)


def test_the_order_is_kept_beyond_ten():
    kept = from_npz(to_npz([np.float32([number]) for number in range(12)]))
    assert [float(weight[0]) for weight in kept] == list(range(12))
