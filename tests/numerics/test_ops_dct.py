"""The cosine transform against SciPy's, and what makes the high-pass a projection."""

import numpy as np
import pytest
import scipy.fft
import tensorflow as tf

from cemfp.numerics import ops

SHAPES = [(4, 8, 8, 1), (2, 8, 12, 3), (2, 12, 8, 3), (1, 5, 7, 2), (2, 32, 32, 3)]
BANDS = [1, 2, 3, 5, 8]


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def masked(x, k, keep_mean=False):
    """HighPass = IDCT(mask * DCT(x)), as the paper writes it down."""
    mask = ~ops.low_frequencies(x.shape[1], x.shape[2], k)
    mask[0, 0] |= keep_mean
    return ops.idct(ops.dct(tf.constant(x)) * mask[:, :, np.newaxis].astype(np.float32)).numpy()


def inner(x, y):
    return float(np.sum(x.astype(np.float64) * np.asarray(y, np.float64)))


# The transform


@pytest.mark.parametrize("shape", SHAPES)
def test_dct_is_scipys(shape):
    x = noise(shape)
    expected = scipy.fft.dctn(x.astype(np.float64), type=2, norm="ortho", axes=(1, 2))
    np.testing.assert_allclose(ops.dct(tf.constant(x)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_idct_inverts_it_and_is_scipys(shape):
    x = noise(shape)
    np.testing.assert_allclose(ops.idct(ops.dct(tf.constant(x))), x, rtol=0, atol=1e-5)
    expected = scipy.fft.idctn(x.astype(np.float64), type=2, norm="ortho", axes=(1, 2))
    np.testing.assert_allclose(ops.idct(tf.constant(x)), expected, rtol=0, atol=1e-5)


def test_dct_by_hand():
    # Size 2: the rows are [1, 1] / sqrt(2) and [cos(pi/4), cos(3pi/4)] = [1, -1] / sqrt(2).
    # [[1, 2], [3, 6]]: sum 12 / 2 = 6; left minus right (4 - 8) / 2 = -2; top minus bottom
    # (3 - 9) / 2 = -3; diagonal (1 + 6 - 2 - 3) / 2 = 1. The first index goes down.
    x = tf.constant([[1.0, 2.0], [3.0, 6.0]])[tf.newaxis, :, :, tf.newaxis]
    np.testing.assert_allclose(ops.dct(x)[0, :, :, 0], [[6, -2], [-3, 1]], atol=1e-5)


def test_few_rows_are_the_first_of_all_rows():
    full = ops.dct_matrix(8)
    np.testing.assert_allclose(full @ full.T, np.eye(8), atol=1e-6)
    np.testing.assert_array_equal(ops.dct_matrix(8, 3), full[:3])
    assert ops.dct_matrix(8, 20).shape == (8, 8)


# Which frequencies


def test_masked_coefficients_by_hand():
    # k = 2: i + j < 2 is (0, 0), (0, 1) and (1, 0).
    expected = np.zeros((3, 4), bool)
    expected[0, 0] = expected[0, 1] = expected[1, 0] = True
    np.testing.assert_array_equal(ops.low_frequencies(3, 4, 2), expected)


@pytest.mark.parametrize(("k", "count"), [(0, 0), (1, 1), (2, 3), (3, 6), (20, 210)])
def test_number_of_masked_coefficients(k, count):
    # 1 + 2 + ... + k = k (k + 1) / 2. The paper writes k^2 / 2: at k = 20, 200 in place of 210, of
    # 224^2 = 50,176 coefficients 0.399 % in place of 0.419 %: both are "about 0.4 %" [Wang21, A.2].
    mask = ops.low_frequencies(224, 224, k)
    assert mask.sum() == count == k * (k + 1) // 2
    if k == 20:
        assert round(100 * 200 / mask.size, 1) == round(100 * mask.mean(), 1) == 0.4


def test_on_a_small_image_the_corner_of_the_triangle_is_cut():
    # 3 x 4, k = 4: of the 10 coefficients of the triangle, (3, 0) does not exist.
    assert ops.low_frequencies(3, 4, 4).sum() == 9


# The high-pass


@pytest.mark.parametrize("keep_mean", [False, True])
@pytest.mark.parametrize("k", BANDS)
@pytest.mark.parametrize("shape", [(2, 8, 12, 3), (2, 12, 8, 3), (2, 8, 8, 1)])
def test_high_pass_is_the_masked_transform(shape, k, keep_mean):
    x = noise(shape)
    result = ops.high_pass(tf.constant(x), k, keep_mean=keep_mean).numpy()
    np.testing.assert_allclose(result, masked(x, k, keep_mean), rtol=0, atol=1e-5)


@pytest.mark.parametrize("keep_mean", [False, True])
@pytest.mark.parametrize("k", BANDS)
def test_high_pass_is_an_orthogonal_projection(k, keep_mean):
    x, y = noise((3, 8, 12, 3), 1), noise((3, 8, 12, 3), 2)
    once, other = (ops.high_pass(tf.constant(v), k, keep_mean=keep_mean).numpy() for v in (x, y))
    twice = ops.high_pass(tf.constant(once), k, keep_mean=keep_mean).numpy()
    np.testing.assert_allclose(twice, once, rtol=0, atol=1e-5)
    assert inner(once, y) == pytest.approx(inner(x, other), abs=1e-3)  # self-adjoint
    assert inner(once, x - once) == pytest.approx(0, abs=1e-3)
    assert np.abs(once - x).max() > 1e-2 or (k == 1 and keep_mean)


def test_high_pass_takes_its_frequencies_and_no_others():
    x = noise((2, 8, 12, 3))
    before = ops.dct(tf.constant(x)).numpy()
    after = ops.dct(ops.high_pass(tf.constant(x), 3)).numpy()
    low = ops.low_frequencies(8, 12, 3)
    np.testing.assert_allclose(after[:, low], 0, atol=1e-5)
    np.testing.assert_allclose(after[:, ~low], before[:, ~low], atol=1e-5)


@pytest.mark.parametrize("k", BANDS)
def test_the_mean_goes_or_stays(k):
    x = noise((2, 8, 12, 3)) + 0.5
    without, kept = (ops.high_pass(tf.constant(x), k, keep_mean=keep) for keep in (False, True))
    np.testing.assert_allclose(np.mean(without, axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.mean(kept, axis=(1, 2)), x.mean(axis=(1, 2)), atol=1e-6)


def test_a_constant_image_is_nothing_but_its_mean():
    x = tf.fill((1, 8, 8, 1), 0.7)
    np.testing.assert_allclose(ops.high_pass(x, 3), np.zeros((1, 8, 8, 1)), atol=1e-6)
    np.testing.assert_allclose(ops.high_pass(x, 3, keep_mean=True), x, atol=1e-6)


@pytest.mark.parametrize("keep_mean", [False, True])
def test_k_0_is_the_identity(keep_mean):
    x = noise((2, 8, 12, 3))
    np.testing.assert_array_equal(ops.high_pass(tf.constant(x), 0, keep_mean=keep_mean), x)


def test_k_of_the_whole_side_leaves_the_other_half():
    # 8 x 8, k = 8: 36 of 64 coefficients go, and the 28 with i + j >= 8 stay.
    x = noise((2, 8, 8, 1))
    coefficients = ops.dct(ops.high_pass(tf.constant(x), 8)).numpy()
    assert (np.abs(coefficients[0]) > 1e-4).sum() == 28


def test_channels_and_images_do_not_mix():
    x = noise((3, 8, 12, 2))
    alone = ops.high_pass(tf.constant(x[1:2, ..., :1]), 2).numpy()
    np.testing.assert_allclose(ops.high_pass(tf.constant(x), 2)[1:2, ..., :1], alone, atol=1e-6)
