"""Variants of a data set: what is done to an image, once, by its own pixels."""

import numpy as np
import pytest

from cemfp.data import DATASETS, DataError, Dataset, Split, make_dataset
from cemfp.data.variants import VARIANTS, Variant, variants_of, vary


def images(count=6, side=8):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def test_noise_stays_within_its_bound_and_uses_all_of_it():
    grey = np.full((3, 16, 16, 3), 128, np.uint8)
    # Three images of equal pixels would get equal noise; a corner tells them apart.
    grey[:, 0, 0, 0] = [1, 2, 3]
    change = vary(grey, Variant(noise=2)).astype(int) - grey
    assert set(np.unique(change[:, 1:])) == {-2, -1, 0, 1, 2}
    assert not np.array_equal(change[0, 1:], change[1, 1:])


def test_noise_is_clipped_at_black_and_white():
    ends = np.stack([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)])
    noisy = vary(ends, Variant(noise=3))
    assert noisy[0].max() == 3 and noisy[1].min() == 252
    assert noisy[0].min() == 0 and noisy[1].max() == 255


def test_an_image_is_the_same_wherever_it_occurs():
    some = images()
    whole = vary(some, VARIANTS["shift-noise1"])
    np.testing.assert_array_equal(vary(some[3:4], VARIANTS["shift-noise1"]), whole[3:4])
    assert not np.array_equal(whole, some)


def test_a_shift_moves_a_ramp_by_its_fraction():
    # Columns 0, 8, 16, ...: the mean of a column and the one to its left lies between them. Only
    # the first column is mirrored: its left neighbour is column 1.
    ramp = np.broadcast_to(np.arange(0, 128, 8, dtype=np.uint8)[None, :, None], (16, 16, 1))
    moved = vary(ramp[None], Variant(shift=True))[0, :, :, 0].astype(float)
    step = (ramp[0, 1:, 0] - moved[0, 1:]) / 8
    assert np.ptp(step) == 0 and 0.2 < step[0] < 0.8
    np.testing.assert_array_equal(moved, np.broadcast_to(moved[0], moved.shape))
    assert moved[0, 0] == pytest.approx(8 * step[0], abs=1)


def test_a_constant_image_stays_under_a_shift():
    plain = np.full((1, 8, 8, 3), 77, np.uint8)
    np.testing.assert_array_equal(vary(plain, Variant(shift=True)), plain)


def test_floats_have_no_grey_levels():
    with pytest.raises(DataError, match="expected uint8"):
        vary(np.zeros((1, 8, 8, 3), np.float32), Variant(noise=1))


def test_mixed_noise_is_as_strong_as_each_image_draws_it():
    # A hundred grey images that differ, so that each seeds its own noise.
    levels = np.arange(78, 178, dtype=np.uint8)[:, None, None, None]
    grey = np.broadcast_to(levels, (100, 16, 16, 3))
    spread = (vary(grey, Variant(noise=3, mixed=True)).astype(float) - grey).std(axis=(1, 2, 3))
    assert 0.5 < spread.min() < 0.9 and 2.6 < spread.max() < 3.2
    assert str(Variant(noise=3, mixed=True)).endswith("with normal noise of half a grey level to 3")


def test_a_variant_is_a_data_set_of_its_own_with_both_splits_changed():
    def load() -> Dataset:
        labels = np.zeros(6, np.int64)
        split = Split(images(), labels)
        return make_dataset("toy", split, split, ("a", "b"), stand_in=True, note="a copy")

    loaders = variants_of("toy", load)
    assert set(loaders) == {f"toy-{kind}" for kind in VARIANTS}
    made = loaders["toy-noise1"]()
    assert made.provenance.name == "toy-noise1" and made.provenance.stand_in
    assert made.provenance.note == "a copy; every image with noise of up to 1 grey level"
    assert made.provenance.sha256 != load().provenance.sha256
    assert not np.array_equal(made.train.images, images())
    np.testing.assert_array_equal(made.train.images, made.test.images)


def test_cifar10_has_all_variants():
    assert {f"cifar10-{kind}" for kind in VARIANTS} <= set(DATASETS)
