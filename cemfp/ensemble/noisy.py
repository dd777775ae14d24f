"""A classifier under noise on its weights: loss and gradient in the image, copy by copy.

The copies are drawn inside the compiled graph and run through the same steps as an ensemble's
members, one after the other: neither memory nor the size of the graph depends on their number.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from cemfp.ensemble import steps
from cemfp.ensemble.ensemble import PARALLEL
from cemfp.ensemble.folding import Folded, fold
from cemfp.models.classifier import Classifier
from cemfp.models.keras_models import kernels_of
from cemfp.numerics import precision as precisions

LossGradient = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Images (n, h, w, c), labels (n,) and a seed (2,) to losses (n,) in nats, and to the gradient of
each image's own loss (n, h, w, c)."""


def under_noise(classifier: Classifier, delta: float, *, precision: str = "auto") -> LossGradient:
    """Return cross-entropy and gradient of a copy whose weights are disturbed [Wang21, Sec. 2.2].

    Each call draws one copy: every number of a kernel (of a convolution or a dense layer) gets
    uniform noise from [-delta, delta]. Biases and batch norm stay: the scale of batch norm would
    turn the same noise into another one. All images of a call meet the same copy.

    Args:
        classifier: Read once, here; never changed.
        delta: Bound of the noise, in units of the weights; 0 means none.
        precision: See `Ensemble`; a net that cannot be folded runs in its own precision.

    Returns:
        A function to be called inside a `tf.function`.
    """
    folded = fold(classifier.model)
    if folded is None:
        return _keras_under_noise(classifier, delta)
    dtypes = steps.types(folded.program, precisions.compute_type(precision))
    draw = _copies(folded, dtypes, delta)

    def loss_gradient(
        x: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Run one copy through the folded steps."""
        weights = draw(seed)
        values = steps.run(folded.program, x, weights, dtypes)
        logits = values[-1]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        upstream = tf.nn.softmax(logits) - tf.one_hot(labels, logits.shape[-1])
        kept = dict(enumerate(values))
        return losses, steps.gradient(folded.program, upstream, weights, dtypes, kept)

    return loss_gradient


def twin(classifier: Classifier, share: float, seed: int) -> Classifier:
    """Return a copy whose kernels are under normal noise of `share` of their own spread."""
    model = tf.keras.models.clone_model(classifier.model)
    model.set_weights(classifier.model.get_weights())
    for place, kernel in enumerate(kernels_of(model)):
        spread = share * tf.math.reduce_std(kernel)
        kernel.assign_add(tf.random.stateless_normal(kernel.shape, (seed, place), stddev=spread))
    return Classifier(model, classifier.config)


def mean_of_draws(one: LossGradient, draws: int) -> LossGradient:
    """Return the mean over `draws` calls of `one` with fresh seeds: "GM" [Wang21, Sec. 2.2]."""

    def loss_gradient(
        x: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Average over the draws."""

        def body(
            k: tf.Tensor, losses: tf.Tensor, gradient: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            own = tf.random.experimental.stateless_fold_in(seed, k)
            own_losses, own_gradient = one(x, labels, own)
            return k + 1, losses + own_losses, gradient + own_gradient

        start = (tf.constant(0), tf.zeros_like(labels, tf.float32), tf.zeros_like(x))
        _, losses, gradient = tf.while_loop(
            lambda k, *_: k < draws, body, start, parallel_iterations=PARALLEL
        )
        return losses / draws, gradient / draws

    return loss_gradient


def _copies(
    folded: Folded, dtypes: list[tf.DType], delta: float
) -> Callable[[tf.Tensor], list[list[tf.Tensor]]]:
    """Return a function from a seed to each step's disturbed weights, as `steps.run` wants them."""
    # Tensors, not arrays: a compiled function refers to them, while it would copy arrays.
    clean = [[tf.constant(array) for array in own] for own in folded.weights]
    scales = [None if scale is None else tf.constant(scale) for scale in folded.scales]
    shapes = [own[0].shape for own, s in zip(clean, scales, strict=True) if s is not None]

    def prepared(weights: list[list[tf.Tensor]]) -> list[list[tf.Tensor]]:
        return [
            [tf.cast(array, dtypes[step.output]) for array in steps.prepare(step, own)]
            for step, own in zip(folded.program, weights, strict=True)
        ]

    def draw(seed: tf.Tensor) -> list[list[tf.Tensor]]:
        noise = iter(_noise(shapes, delta, seed))
        return prepared(
            [
                own if scale is None else [own[0] + next(noise) * scale, *own[1:]]
                for own, scale in zip(clean, scales, strict=True)
            ]
        )

    fixed = None if delta else prepared(clean)
    return draw if fixed is None else lambda seed: fixed


def _noise(shapes: list[tf.TensorShape], delta: float, seed: tf.Tensor) -> list[tf.Tensor]:
    """Return uniform numbers of [-delta, delta] in arrays of `shapes`, drawn in one go."""
    sizes = [shape.num_elements() for shape in shapes]
    flat = tf.random.stateless_uniform([sum(sizes)], seed, -delta, delta)
    parts = tf.split(flat, sizes)
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def _keras_under_noise(classifier: Classifier, delta: float) -> LossGradient:
    """The same for a net of layers that no step describes: a clone gets the noise."""
    model = tf.keras.models.clone_model(classifier.model)
    model.set_weights(classifier.model.get_weights())
    kernels = kernels_of(model)
    clean = [tf.constant(kernel.numpy()) for kernel in kernels]

    def loss_gradient(
        x: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Run one copy as a Keras model."""
        if delta:
            noise = _noise([kernel.shape for kernel in clean], delta, seed)
            for kernel, value, change in zip(kernels, clean, noise, strict=True):
                kernel.assign(value + change)
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = tf.cast(model(x, training=False), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return losses, tape.gradient(losses, x)

    return loss_gradient
