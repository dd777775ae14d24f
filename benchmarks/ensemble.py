"""Input gradients of ResNet20, batch 100: plain Keras models against the ensemble.

GFLOP/s count two operations per multiplication and addition of convolutions and dense layers, once
for the way forward and once for the way back to the image; all else is free work. The product of
two matrices shows what the processor can do in each number format.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks.harness import Repeat, Section, Variant
from cemfp.ensemble.ensemble import Ensemble
from cemfp.ensemble.folding import fold
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS
from cemfp.numerics import precision as precisions

SHAPE, CLASSES, BATCH = (32, 32, 3), 10, 100
Logits = Callable[[tf.Tensor], tf.Tensor]


def sections(quick: bool) -> list[Section]:
    """Return the comparisons; `quick` has fewer rounds and members."""
    many, most = (2, 4) if quick else (8, 16)
    rounds = 3 if quick else 7
    return [_gradients(1, rounds), _gradients(many, rounds), _tracing(2, most)]


def classifiers(count: int) -> list[Classifier]:
    """Return ResNet20s with random weights; speed does not depend on what they learnt."""
    config = ClassifierConfig("resnet20", SHAPE, CLASSES)
    return [Classifier(NETS["resnet20"](SHAPE, CLASSES), config) for _ in range(count)]


def gradient_flops(classifier: Classifier) -> float:
    """Return the operations of one image's gradient through one net."""
    folded = fold(classifier.model)
    assert folded is not None
    shapes = {
        position: shape
        for step in folded.program
        for position, shape in zip(step.inputs, step.input_shapes, strict=True)
    }
    macs = 0
    for step, weights in zip(folded.program, folded.weights, strict=True):
        if step.kind == "convolution":
            macs += weights[0].size * int(np.prod(shapes[step.output][:2]))
        elif step.kind == "dense":
            macs += weights[0].size
    return 2.0 * 2.0 * macs


def _gradients(count: int, rounds: int) -> Section:
    def variant(name: str, precision: str, recompute: bool = False) -> Variant:
        return Variant(name, functools.partial(_prepare_gradient, count, precision, recompute))

    lower = precisions.computes("bfloat16")
    variants = [
        variant("Keras models, float32", "keras"),
        variant("Ensemble, float32", "float32"),
        Variant("matrix product, float32", functools.partial(_prepare_product, "float32")),
    ]
    if lower:
        variants += [
            variant("Ensemble, bfloat16", "bfloat16"),
            variant("Ensemble, bfloat16, recompute", "bfloat16", True),
            Variant("matrix product, bfloat16", functools.partial(_prepare_product, "bfloat16")),
        ]
    title = f"Input gradients of {count} x ResNet20, batch {BATCH}"
    return Section(
        title + ("" if lower else ", no bfloat16 here"), "GFLOP", tuple(variants), rounds
    )


def _tracing(few: int, many: int) -> Section:
    return Section(
        "Tracing the gradient of an ensemble",
        "traces",
        tuple(
            Variant(f"{count} members", functools.partial(_prepare_tracing, count))
            for count in (few, many)
        ),
        3,
    )


def compiled_gradient(logits: Logits) -> tf.types.experimental.GenericFunction:
    """Return the compiled gradient of a loss that couples the members, as CEM's does."""

    @tf.function
    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.reduce_mean(tf.nn.softmax(logits(x)), axis=0)[:, 0])
        return tape.gradient(loss, x)

    return gradient


def _prepare_gradient(count: int, precision: str, recompute: bool) -> Repeat:
    members = classifiers(count)
    if precision == "keras":
        gradient = compiled_gradient(lambda x: tf.stack([member(x) for member in members]))
    else:
        gradient = compiled_gradient(
            Ensemble(members, precision=precision, recompute=recompute).logits
        )
    images = tf.random.stateless_uniform((BATCH, *SHAPE), (0, 0))
    calls = max(1, 8 // count)
    work = calls * count * BATCH * gradient_flops(members[0]) / 1e9

    def repeat() -> float:
        for _ in range(calls):
            gradient(images).numpy()
        return work

    return repeat


def _prepare_product(precision: str) -> Repeat:
    side, calls = 2048, 8
    matrix = tf.cast(tf.random.stateless_normal((side, side), (0, 0)), precision)

    def repeat() -> float:
        for _ in range(calls):
            tf.linalg.matmul(matrix, matrix)
        return calls * 2 * side**3 / 1e9

    return repeat


def _prepare_tracing(count: int) -> Repeat:
    members = classifiers(count)
    ensemble = Ensemble(members, precision="float32")
    spec = tf.TensorSpec((BATCH, *SHAPE))

    def repeat() -> float:
        compiled_gradient(ensemble.logits).get_concrete_function(spec)
        return 1.0

    return repeat
