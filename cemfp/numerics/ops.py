"""Tensor operations that generators share: projections, 8-bit grid, DCT, stable log-space maths."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

GREY_LEVELS = 255.0

# An edge such as 255 * (0.5 + 3/255) comes out as 130.49999 or 130.50001 in float32. The slack
# is ten times that rounding error and far below what a step of one grey level could hide.
_EDGE_SLACK = 1e-4


def project_linf(x: tf.Tensor, center: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Project onto the L-inf ball around `center`, intersected with the image box [0, 1].

    Args:
        x: Images (n, h, w, c).
        center: Centres of the balls, same shape, in [0, 1].
        epsilon: Radius on the [0, 1] pixel scale; 0 gives `center` back.

    Returns:
        Images of the shape and type of `x`.
    """
    low = tf.maximum(center - epsilon, 0.0)
    high = tf.minimum(center + epsilon, 1.0)
    return tf.clip_by_value(x, low, high)


def quantize(x: tf.Tensor, center: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Move each pixel to the nearest value k/255 inside the closed ball and [0, 1].

    A service behind an API receives 8-bit images, so what it sees must be decided here, before
    any filter judges an example, and not by whoever writes the PNG.

    A centre on the grid always has a grid value in its ball. A centre off the grid with a radius
    below half a grey level may have none: its pixel then takes the grid value nearest to the
    *centre*, at most half a grey level away, which leaves the ball by less than that.

    Args:
        x: Images (n, h, w, c).
        center: Centres of the balls, same shape, in [0, 1].
        epsilon: Radius on the [0, 1] pixel scale.

    Returns:
        Images of the shape and type of `x`, every value equal to k/255 in float32.
    """
    lowest = tf.math.ceil(GREY_LEVELS * (center - epsilon) - _EDGE_SLACK)
    highest = tf.math.floor(GREY_LEVELS * (center + epsilon) + _EDGE_SLACK)
    nearest_to_center = tf.round(GREY_LEVELS * center)
    empty = lowest > highest
    lowest = tf.where(empty, nearest_to_center, tf.maximum(lowest, 0.0))
    highest = tf.where(empty, nearest_to_center, tf.minimum(highest, GREY_LEVELS))
    return tf.clip_by_value(tf.round(GREY_LEVELS * x), lowest, highest) / GREY_LEVELS


def dct_matrix(size: int, rows: int | None = None) -> np.ndarray:
    """Return the orthonormal discrete cosine transform of type II as a matrix.

    Row i is the cosine of frequency i, so that the rows are orthonormal and the inverse is the
    transpose.

    Args:
        size: Length of the signal.
        rows: Number of frequencies, the lowest ones; all `size` by default.

    Returns:
        Matrix (rows, size), float32.
    """
    frequencies = np.arange(size if rows is None else min(rows, size))[:, np.newaxis]
    cosines = np.cos(np.pi / size * (np.arange(size) + 0.5) * frequencies)
    norms = np.where(frequencies == 0, np.sqrt(1 / size), np.sqrt(2 / size))
    return (norms * cosines).astype(np.float32)


def dct(x: tf.Tensor) -> tf.Tensor:
    """Orthonormal DCT of type II of each image and channel: (n, h, w, c) to the same shape.

    The coefficient at [:, i, j] is of the frequencies i down and j across [Wang21, A.2].
    """
    return _both_ways(x, dct_matrix(x.shape[1]), dct_matrix(x.shape[2]))


def idct(coefficients: tf.Tensor) -> tf.Tensor:
    """Inverse of `dct`."""
    _, height, width, _ = coefficients.shape
    return _both_ways(coefficients, dct_matrix(height).T, dct_matrix(width).T)


def low_frequencies(height: int, width: int, k: int) -> np.ndarray:
    """Return which DCT coefficients (height, width) a high-pass of band size `k` takes away.

    Those with i + j < k: k (k + 1) / 2 of them, which the paper rounds to k^2 / 2 [Wang21, A.2].
    """
    return np.add.outer(np.arange(height), np.arange(width)) < k


def high_pass(x: tf.Tensor, k: int, *, keep_mean: bool = False) -> tf.Tensor:
    """Take the low frequencies out of each image and channel: HighPass [Wang21, Eq. 4].

    An orthogonal projection. Only the first k rows of the transform are needed: what they find is
    subtracted, which costs k / h of the transform there and back.

    Args:
        x: Images (n, h, w, c).
        k: Band size; coefficients with i + j < k become 0, and with k = 0 nothing happens.
        keep_mean: Leave the coefficient i = j = 0, which is the mean, as it is.

    Returns:
        Images of the shape and type of `x`, of mean 0 unless `keep_mean`.
    """
    if k == 0:
        return x
    rows, columns = dct_matrix(x.shape[1], k), dct_matrix(x.shape[2], k)
    mask = low_frequencies(len(rows), len(columns), k)
    mask[0, 0] = not keep_mean
    low = _both_ways(x, rows, columns) * tf.constant(mask[:, :, np.newaxis], x.dtype)
    return x - _both_ways(low, rows.T, columns.T)


def _both_ways(x: tf.Tensor, rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
    """Multiply each image and channel by `rows` from the left and `columns` from the right."""
    down = tf.einsum("ih,nhwc->niwc", tf.constant(rows, x.dtype), x)
    return tf.einsum("jw,niwc->nijc", tf.constant(columns, x.dtype), down)


def soft_cross_entropy(probabilities: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy H(p, softmax(z)) = -sum_t p_t log softmax(z)_t of each example.

    Finite for any finite logits, and differentiable in both arguments. The fused TensorFlow
    operation is not used: its gradient takes for granted that each row of p sums to 1.

    Args:
        probabilities: Target distributions p (n, C).
        logits: Scores z (n, C).

    Returns:
        Losses (n,), in nats.
    """
    return -tf.reduce_sum(probabilities * tf.nn.log_softmax(logits), axis=-1)


def log_mean_probabilities(logits: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Logarithm of the (weighted) mean softmax of several models.

    Stays in log space, so that a class that every model holds for impossible keeps a finite
    logarithm and a gradient.

    Args:
        logits: Scores of K models (K, n, C).
        weights: Non-negative weight of each model (K,), or of each model and example (K, n); at
            least one of an example's weights must be positive. They are normalised here. `None`
            weighs all models the same.

    Returns:
        Log-probabilities (n, C).
    """
    log_probabilities = tf.nn.log_softmax(logits)
    if weights is None:
        count = tf.cast(tf.shape(logits)[0], logits.dtype)
        return tf.reduce_logsumexp(log_probabilities, axis=0) - tf.math.log(count)
    weights = tf.cast(weights, logits.dtype)
    if weights.shape.rank == 1:
        weights = weights[:, tf.newaxis]
    share = weights / tf.reduce_sum(weights, axis=0, keepdims=True)
    return tf.reduce_logsumexp(log_probabilities + tf.math.log(share)[..., tf.newaxis], axis=0)
