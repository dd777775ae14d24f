"""Tensor operations that generators share: projections, the 8-bit grid, stable log-space maths."""

from __future__ import annotations

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
