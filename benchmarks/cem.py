"""Generating CEM fingerprints with ResNet20s: one image at a time against the whole batch.

The baseline is the obvious way to write it down: a loop over images, Keras models called eagerly,
gradients with respect to one image. The work is counted in image-steps, one Adam step for one
image; 100 candidates and 300 steps are 30,000 of them, so 500 / rate is their time in minutes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from benchmarks import ensemble
from benchmarks.harness import Progress, Repeat, Section, Variant, turns
from cemfp.fingerprint.cem import CEM
from cemfp.fingerprint.cem_loss import cem_loss, ensemble_probabilities
from cemfp.fingerprint.models import Models
from cemfp.models.classifier import Classifier
from cemfp.models.roles import Origin, Role
from cemfp.numerics import ops

CANDIDATES = 100
METHOD = CEM(epsilon=0.025, steps=1_000_000)  # stopped by the end of the process


def sections(quick: bool) -> list[Section]:
    """Return the comparison; `quick` has fewer rounds and models."""
    count = 2 if quick else 8
    return [
        Section(
            f"CEM with 1 + {count} + {count} ResNet20, {CANDIDATES} candidates",
            "image-steps",
            (
                Variant("one image at a time, eager", functools.partial(_prepare_naive, count)),
                Variant("cemfp", functools.partial(_prepare_cem, count)),
            ),
            3 if quick else 7,
        )
    ]


def _models(count: int) -> Models:
    nets = ensemble.classifiers(1 + 2 * count)
    return Models(
        nets[0].with_role(Role.SOURCE, Origin.SOURCE),
        [net.with_role(Role.DEFENDER, Origin.SURROGATE) for net in nets[1 : 1 + count]],
        [net.with_role(Role.DEFENDER, Origin.REFERENCE) for net in nets[1 + count :]],
    )


def _images(count: int) -> np.ndarray:
    shape = (count, *ensemble.SHAPE)
    return np.random.default_rng(0).uniform(size=shape).astype(np.float32)


def _prepare_cem(count: int) -> Repeat:
    return prepare(METHOD, count)


def prepare(method: CEM, count: int) -> Repeat:
    """Return a function that makes one step of `method` with `count` nets of each kind."""

    def run(progress: Progress) -> None:
        method(_images(CANDIDATES), _models(count), seed=0, progress=progress)

    return turns(run, CANDIDATES)


def _prepare_naive(count: int) -> Repeat:
    models = _models(count)
    start = tf.constant(_images(1))
    adversarial = tf.Variable(start)
    optimizer = tf.keras.optimizers.Adam(METHOD.learning_rate)
    clean = tf.nn.softmax(models.source(start))

    def mean_of(classifiers: Sequence[Classifier]) -> tf.Tensor:
        logits = tf.stack([classifier(adversarial) for classifier in classifiers])
        mask = tf.nn.dropout(tf.ones_like(logits), METHOD.dropout)
        return ensemble_probabilities(logits, mask)

    def repeat() -> float:
        with tf.GradientTape() as tape:
            loss = cem_loss(
                models.source(adversarial),
                clean,
                mean_of(models.surrogates),
                mean_of(models.references),
                alpha=METHOD.alpha,
                beta=METHOD.beta,
                gamma=METHOD.gamma,
                exclude_clean=METHOD.exclude_clean,
            )
        optimizer.apply_gradients([(tape.gradient(loss, adversarial), adversarial)])
        adversarial.assign(ops.project_linf(adversarial, start, METHOD.epsilon))
        return 1.0

    return repeat
