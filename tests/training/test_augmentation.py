"""Crops and mirror images: on pixels that say where they come from."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.training.augmentation import augment

COUNT, SIDE = 400, 6


def located(dtype=np.float32):
    """Images whose pixels hold 10 * row + column."""
    grid = 10 * np.arange(SIDE)[:, None] + np.arange(SIDE)
    return np.tile(grid[None, :, :, None], (COUNT, 1, 1, 1)).astype(dtype)


def run(size, *, flip=False, seed=(0, 0), margin=0, images=None):
    images = tf.constant(located() if images is None else images)
    return augment(images, size, flip=flip, seed=tf.constant(seed), margin=margin).numpy()


def corners(crops):
    """First row, first column and last column of each crop."""
    first, last = crops[:, 0, 0, 0].astype(int), crops[:, 0, -1, 0].astype(int)
    return first // 10, first % 10, last % 10


def test_a_crop_is_a_window_of_the_image():
    rows, columns, _ = corners(crops := run(4))
    grid = located()[0]
    for crop, row, column in zip(crops, rows, columns, strict=True):
        np.testing.assert_array_equal(crop, grid[row : row + 4, column : column + 4])
    # All 3 x 3 places occur.
    assert {*zip(rows.tolist(), columns.tolist(), strict=True)} == {
        (row, column) for row in range(3) for column in range(3)
    }


def test_half_of_the_images_are_mirrored_left_to_right():
    _, left, right = corners(crops := run(4, flip=True))
    mirrored = left > right
    # 400 fair coins: 200 with a standard deviation of 10.
    assert 150 < mirrored.sum() < 250
    rows = corners(crops)[0]
    for crop, row, column in zip(crops[mirrored], rows[mirrored], right[mirrored], strict=True):
        window = located()[0][row : row + 4, column : column + 4]
        np.testing.assert_array_equal(crop, window[:, ::-1])


def test_nothing_is_mirrored_unless_asked_for():
    _, left, right = corners(run(4))
    assert (left < right).all()


@pytest.mark.parametrize("size", [4, 5])
def test_rows_columns_and_mirror_image_are_drawn_apart(size):
    # Two places for a crop of 5: a generator used twice would give the same bit each time.
    rows, left, right = corners(run(size, flip=True))
    mirrored, columns = left > right, np.minimum(left, right)
    for place in range(SIDE - size + 1):
        assert 0.3 < mirrored[columns == place].mean() < 0.7
        assert 0.3 < mirrored[rows == place].mean() < 0.7
        assert len(np.unique(rows[columns == place])) == SIDE - size + 1


def test_a_margin_is_never_touched():
    rows, columns, _ = corners(run(2, margin=1))
    assert rows.min() == columns.min() == 1
    assert rows.max() == columns.max() == SIDE - 1 - 2


def test_a_crop_of_the_whole_image_is_the_image():
    np.testing.assert_array_equal(run(SIDE), located())


def test_the_seed_decides():
    np.testing.assert_array_equal(run(4, flip=True), run(4, flip=True))
    assert not np.array_equal(run(4, flip=True), run(4, flip=True, seed=(1, 0)))
    assert not np.array_equal(run(4, flip=True), run(4, flip=True, seed=(0, 1)))


def test_eight_bit_images_come_out_as_floats_in_the_unit_range():
    grey = np.full((COUNT, SIDE, SIDE, 1), 51, np.uint8)
    crops = run(4, images=grey)
    assert crops.dtype == np.float32
    np.testing.assert_allclose(crops, 0.2)
