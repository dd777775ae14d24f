"""Generating LTRC-examples with gradient mean on CNN-1: a plain Keras loop against the package.

The baseline is a fair way to write eq. 3 of the paper down: a net whose kernels are assigned
their clean values plus noise, draw by draw, a compiled gradient of the whole batch, and the
high-pass as full matrices. One repeat is one step: every image through every draw once. A whole
fingerprint has 500 steps, which are not all run: 100 images * 500 steps * 10 draws = 500,000, so
that 500,000 / rate is its time in seconds.
"""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf

from benchmarks.harness import Progress, Repeat, Section, Variant, turns
from cemfp.ensemble.noisy import mean_of_draws, under_noise
from cemfp.fingerprint.characteristic import Characteristic, random_starts
from cemfp.fingerprint.models import Models
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS
from cemfp.numerics import ops

SHAPE, CLASSES, WIDTH, IMAGES = (32, 32, 3), 10, 24, 100
# Stopped by the end of the process, and no image is ever finished: random weights may answer soon.
METHOD = Characteristic("ltrc", draws=10, domain="signed", steps=1_000_000, eta=0.0)
WORK = float(IMAGES * METHOD.draws)  # of one step


def sections(quick: bool) -> list[Section]:
    """Return the comparison; `quick` has fewer rounds."""
    return [
        Section(
            f"LTRC with gradient mean, CNN-1 of width {WIDTH}, {IMAGES} images, "
            f"{METHOD.draws} draws",
            "images * steps * draws",
            (
                Variant("Keras, one draw at a time, float32", _prepare_keras),
                Variant("cemfp, float32", _prepare_float32),
                Variant("cemfp, auto", _prepare_method),
            ),
            1 if quick else 7,
        )
    ]


def _source() -> Classifier:
    model = NETS["cnn1"](SHAPE, CLASSES, width=WIDTH)
    return Classifier(model, ClassifierConfig("cnn1", SHAPE, CLASSES, {"width": WIDTH}))


def _prepare_method() -> Repeat:
    def run(progress: Progress) -> None:
        images, _ = random_starts(IMAGES, SHAPE, CLASSES, seed=0)
        METHOD(images, Models(_source()), seed=0, progress=progress)

    return turns(run, WORK)


def _prepare_float32() -> Repeat:
    """The method's pieces put together by hand: the method itself takes the faster precision."""
    noisy = under_noise(_source(), METHOD.delta, precision="float32")
    loss_gradient = mean_of_draws(noisy, METHOD.draws)
    images, labels = random_starts(IMAGES, SHAPE, CLASSES, seed=0)
    x = tf.Variable(images)

    @tf.function
    def step(seed: tf.Tensor) -> None:
        _, mean = loss_gradient(x.value(), labels, seed)
        x.assign(METHOD.project(x - METHOD.step_size * tf.sign(mean)))

    seeds = itertools.count()

    def repeat() -> float:
        step(tf.constant([0, next(seeds)]))
        return WORK

    return repeat


def _prepare_keras() -> Repeat:
    model = _source().model
    kernels = [weight for weight in model.weights if "kernel" in weight.name]
    clean = [tf.identity(kernel) for kernel in kernels]
    images, labels = random_starts(IMAGES, SHAPE, CLASSES, seed=0)
    x = tf.Variable(images)
    kept = ~ops.low_frequencies(*SHAPE[:2], METHOD.k)[:, :, np.newaxis]
    mask = tf.constant(kept, tf.float32)

    @tf.function
    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = model(x, training=False)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tape.gradient(loss, x)

    @tf.function
    def move(x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        moved = tf.clip_by_value(x - METHOD.step_size * tf.sign(mean), 0.0, 1.0)
        return ops.idct(ops.dct(moved) * mask)

    def repeat() -> float:
        total = tf.zeros_like(x)
        for _ in range(METHOD.draws):
            for kernel, value in zip(kernels, clean, strict=True):
                noise = tf.random.uniform(value.shape, -METHOD.delta, METHOD.delta)
                kernel.assign(value + noise)
            total += gradient(x.value())
        x.assign(move(x.value(), total / METHOD.draws))
        return WORK

    return repeat
