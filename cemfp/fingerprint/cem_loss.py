"""What CEM minimises, and when a label is conferred [Lukas21, Eq. 3 to 6].

Everything is computed from logits in log space: with saturated softmax outputs, the literal
products and quotients of probabilities have neither value nor gradient in float32.
"""

from __future__ import annotations

import tensorflow as tf

from cemfp.numerics import ops


def ensemble_probabilities(logits: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean of the models' outputs after dropout [Lukas21, Eq. 3 and 4], as a logarithm.

    Args:
        logits: Scores of K models (K, n, C).
        mask: Factors of the outputs, broadcast to (K, n, C): 0 drops one.

    Returns:
        log(mean_K(mask * softmax(logits))) (n, C).
    """
    count = tf.cast(tf.shape(logits)[0], logits.dtype)
    # The floor keeps a class that every model dropped at a finite loss.
    log_mask = tf.math.log(tf.maximum(mask, 1e-7))
    log_sum = tf.reduce_logsumexp(tf.nn.log_softmax(logits) + log_mask, axis=0)
    return log_sum - tf.math.log(count)


def conferrability_logits(log_surr: tf.Tensor, log_ref: tf.Tensor) -> tf.Tensor:
    """What the softmax of M_E is taken of: Surr * (1 - Ref) [Lukas21, Eq. 5]; (n, C) each."""
    return tf.exp(log_surr) * (1.0 - tf.exp(log_ref))


def log_conferrability(log_surr: tf.Tensor, log_ref: tf.Tensor) -> tf.Tensor:
    """log(Surr * (1 - Ref)), the logarithm of what M_E is the softmax of [Lukas21, Eq. 5]; (n, C).

    For a label that was named in advance: M_E's gradient is as small as Surr itself, and vanishes
    for a label that nobody thinks of, while this one does not.
    """
    return log_surr + tf.math.log(tf.maximum(1.0 - tf.exp(log_ref), 1e-3))


def cem_loss(
    source: tf.Tensor | None,
    clean: tf.Tensor,
    log_surr: tf.Tensor,
    log_ref: tf.Tensor,
    *,
    alpha: float,
    beta: float,
    gamma: float,
    exclude_clean: bool,
    targets: tf.Tensor | None = None,
) -> tf.Tensor:
    """Per-image objective [Lukas21, Eq. 6], to be minimised.

    Args:
        source: Logits of M on x' (n, C); needed only if `beta` or `gamma` is not 0.
        clean: Probabilities of M on x0 (n, C).
        log_surr: Logarithms of Surr(x') (n, C).
        log_ref: Logarithms of Ref(x') (n, C).
        alpha: Weight of H(1, max_t M_E(x')_t), which makes some label conferrable.
        beta: Weight of H(M(x0), M(x')), which is maximised: leave the clean label.
        gamma: Weight of H(M(x'), Surr(x')): surrogates follow the source.
        exclude_clean: Take the maximum over t other than argmax M(x0); the paper takes all.
        targets: 1 where t may be the label, 0 elsewhere (n, C): the maximum is then taken over
            these, of `log_conferrability` in place of M_E.

    Returns:
        Losses (n,), in nats.
    """
    if targets is None:
        log_ensemble = tf.nn.log_softmax(conferrability_logits(log_surr, log_ref))
    else:
        log_ensemble = log_conferrability(log_surr, log_ref)
    if exclude_clean:
        clean_label = tf.one_hot(tf.argmax(clean, axis=-1), clean.shape[-1], dtype=clean.dtype)
        log_ensemble -= 1e9 * clean_label
    if targets is not None:
        log_ensemble -= 1e9 * (1.0 - targets)
    loss = -alpha * tf.reduce_max(log_ensemble, axis=-1)
    if beta:
        loss -= beta * ops.soft_cross_entropy(clean, source)
    if gamma:
        loss -= gamma * tf.reduce_sum(tf.nn.softmax(source) * log_surr, axis=-1)
    return loss


def conferred_best(targets: tf.Tensor, surr: tf.Tensor, ref: tf.Tensor) -> tf.Tensor:
    """Return 1 at the target that is conferred best now, 0 elsewhere (n, C).

    Nobody's output is dropped for that: else images would be pulled to another target each time.
    """
    scores = log_conferrability(
        ensemble_probabilities(surr, tf.ones([1, 1, 1])),
        ensemble_probabilities(ref, tf.ones([1, 1, 1])),
    )
    return tf.one_hot(tf.argmax(scores - 1e9 * (1.0 - targets), axis=-1), targets.shape[-1])


def conferred(
    source: tf.Tensor,
    surr: tf.Tensor,
    ref: tf.Tensor,
    clean: tf.Tensor,
    targets: tf.Tensor | None,
) -> tf.Tensor:
    """Whether all surrogates share the new label of the source, and no reference does (n,)."""
    label = tf.argmax(source, axis=-1)
    left = label != tf.argmax(clean, axis=-1)
    if targets is not None:
        left &= tf.gather(targets, label, batch_dims=1) > 0
    follows = tf.reduce_all(tf.argmax(surr, axis=-1) == label, axis=0)
    differs = tf.reduce_all(tf.argmax(ref, axis=-1) != label, axis=0)
    return left & follows & differs
