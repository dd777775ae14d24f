"""From a method and models to a fingerprint: start images, perturb, round, filter, balance."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from cemfp.data import Dataset, Split
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.candidates import Candidates, describe
from cemfp.fingerprint.characteristic import random_starts
from cemfp.fingerprint.models import (
    ChoosesPrecision,
    Method,
    Models,
    Progress,
    Starts,
    TakesTargets,
)
from cemfp.fingerprint.selection import Shortfall, select
from cemfp.fingerprint.sensitive import SensitiveSamples, choose
from cemfp.models.source import Source
from cemfp.numerics import metrics, ops

NO_BALL = 1.0  # a radius that allows every image


class FingerprintFailure(RuntimeError):
    """The method gave no usable input; the message says what to change."""


def starting_images(
    source_labels: np.ndarray, split: Split, count: int, *, starts: Starts = "correct", seed: int
) -> Split:
    """Return up to `count` random images that the source classifies correctly, or wrongly.

    Args:
        source_labels: The source's label of each image of `split` (n,).
        split: Images to draw from, which no model was trained on.
        count: How many.
        starts: `correct` or `misclassified`.
        seed: Decides which.
    """
    wanted = np.flatnonzero((source_labels == split.labels) == (starts == "correct"))
    return split.take(np.random.default_rng(seed).permutation(wanted)[:count])


def make_candidates(
    method: Method,
    models: Models,
    split: Split,
    *,
    quantize: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
    targets: np.ndarray | None = None,
) -> Candidates:
    """Perturb every image of `split` and let the defender's own models judge the result.

    Args:
        method: How to perturb.
        models: The defender's models; their roles were checked when they were put together.
        split: Starting images.
        quantize: Round to the 8-bit grid inside the ball, before anything is judged: a suspect
            behind an API sees rounded images only. Inputs of the domain `signed` stay as they are.
        seed: Decides the method's random choices.
        progress: Called as (steps done, steps in all, text).
        targets: Labels that each image's input may get (n, k), for a method that `TakesTargets`.
    """
    starts = split.floats()
    if targets is not None and isinstance(method, TakesTargets):
        inputs = method.toward(starts, models, targets, seed=seed, progress=progress)
    else:
        inputs = method(starts, models, seed=seed, progress=progress)
    if quantize and method.domain == "image":
        radius = NO_BALL if method.epsilon is None else method.epsilon
        inputs = ops.quantize(tf.constant(inputs), tf.constant(starts), radius).numpy()
    keys = models.source.predict_labels(inputs)
    confer = None
    if models.surrogates and models.references:
        surrogates = np.stack([model.predict_labels(inputs) for model in models.surrogates])
        references = np.stack([model.predict_labels(inputs) for model in models.references])
        confer = metrics.confer(surrogates, references, keys)
    precision = method.precision(models) if isinstance(method, ChoosesPrecision) else None
    return Candidates(starts, split.labels, inputs, keys, confer, precision)


def make_fingerprint(
    method: Method,
    models: Models,
    dataset: Dataset | None,
    *,
    size: int = 100,
    candidates: int = 0,
    threshold: float = 0.95,
    quantize: bool = True,
    balance: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Fingerprint, Shortfall]:
    """Make a fingerprint, and say which classes fell short.

    Args:
        method: How to perturb.
        models: The defender's models.
        dataset: Its test images are the starting images; `None` for methods that start from noise.
        size: Inputs wanted.
        candidates: Images to start from; 0 takes three times `size`, or `size` for noise, which
            hardly ever fails.
        threshold: Least conferrability on the defender's models (the paper's tau); applies to
            methods that work with an ensemble, the others never see one.
        quantize: Whether to round to 8 bits; see `make_candidates`.
        balance: Whether target classes take turns; see `selection.select`.
        seed: See `make_candidates`.
        progress: See `make_candidates`.

    Raises:
        FingerprintFailure: No candidate passed the filters.
        ValueError: `size` is not positive, or `candidates` negative.
    """
    if size < 1 or candidates < 0:
        raise ValueError(f"expected size >= 1 and candidates >= 0. Received: {size}, {candidates}")
    if not method.ensemble:
        models = Models(models.source)
    count = candidates or (size if method.starts == "noise" else 3 * size)
    split = choose_starts(method, models.source, dataset, count, seed=seed)
    made = make_candidates(method, models, split, quantize=quantize, seed=seed, progress=progress)
    return assemble(
        made,
        method,
        models.source,
        dataset,
        size=size,
        threshold=threshold,
        quantize=quantize,
        balance=balance,
        seed=seed,
    )


def choose_starts(
    method: Method, source: Source, dataset: Dataset | None, count: int, *, seed: int
) -> Split:
    """Return up to `count` random test images of the kind that `method` starts from, or noise.

    Raises:
        FingerprintFailure: There is none.
    """
    if method.starts == "noise":
        return Split(*random_starts(count, source.input_shape, source.classes, seed=seed))
    if dataset is None:
        raise FingerprintFailure(
            f"{method.name}: expected a data set to start from. Received: none; name one."
        )
    labels = source.predict_labels(dataset.test.images)
    split = starting_images(labels, dataset.test, count, starts=method.starts, seed=seed)
    if len(split):
        return split
    answers, advice = {
        "correct": ("right", "check its data set and input scale"),
        "misclassified": ("wrong", "it makes no mistake to recognise it by, take another method"),
    }[method.starts]
    raise FingerprintFailure(
        f"expected a source that is {answers} on some of {dataset.provenance.name}'s "
        f"{len(dataset.test)} test images. Received: one that is {answers} on none; {advice}."
    )


def assemble(
    made: Candidates,
    method: Method,
    source: Source,
    dataset: Dataset | None,
    *,
    size: int,
    threshold: float,
    quantize: bool,
    balance: bool,
    seed: int,
) -> tuple[Fingerprint, Shortfall]:
    """Filter and balance candidates into a fingerprint; arguments as for `make_fingerprint`.

    Raises:
        FingerprintFailure: No candidate passed the filters.
    """
    candidates = len(made.keys)
    made = _own_choice(made, method, source, size)
    truth = made.truth if method.adversarial else None
    chosen, shortfall = select(
        made.inputs,
        made.keys,
        made.confer,
        *(truth, truth),  # what `accepted` asks of the start was asked when it was chosen
        threshold=threshold,
        size=size,
        balance=balance,
        classes=source.classes,
    )
    if not len(chosen):
        raise FingerprintFailure(_explain(method, made, threshold))
    settings: dict[str, Any] = {"candidates": candidates, "size": size, "balance": balance}
    settings |= {"threshold": threshold if method.ensemble else None, "seed": seed}
    made, missing = made.where(chosen), shortfall.missing
    made_of = describe(made, method, source, dataset, settings, quantize=quantize, missing=missing)
    return made_of, shortfall


def _own_choice(made: Candidates, method: Method, source: Source, size: int) -> Candidates:
    """Return the candidates that the method itself takes for usable."""
    if method.starts == "noise":
        # Only what the source does put into the class that was drawn for it is a success.
        return made.where(made.keys == made.truth)
    if isinstance(method, SensitiveSamples):
        owned = Models(source).white_box(method.name)
        return made.where(choose(made.inputs, owned, min(size, len(made.keys))))
    return made


def _explain(method: Method, made: Candidates, threshold: float) -> str:
    if method.starts == "noise":
        return (
            f"{method.name}: expected noise that the source puts into the labels drawn for it. "
            "Received: none that it does; raise steps or step_size, or lower delta or k."
        )
    moved = int(np.sum(made.keys != made.truth))
    best = "" if made.confer is None else f", highest conferrability {made.confer.max():.2f}"
    return (
        f"{method.name}: expected inputs that pass the filters. Received: {len(made.keys)} "
        f"candidates, {moved} of them off their true class{best}, threshold {threshold}. "
        "Raise epsilon or the number of candidates, or lower the threshold."
    )
