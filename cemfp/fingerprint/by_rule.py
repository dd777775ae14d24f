"""Fingerprints whose starting images, target labels and seed a committed secret decides."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, NamedTuple

import numpy as np

from cemfp.data import Dataset, Split
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.candidates import Candidates, describe
from cemfp.fingerprint.characteristic import random_starts
from cemfp.fingerprint.generate import FingerprintFailure, make_candidates
from cemfp.fingerprint.models import Method, Models, Progress, TakesTargets
from cemfp.fingerprint.rule import Rule, RuleRecord
from cemfp.fingerprint.selection import accepted, distinct
from cemfp.models.source import Source


class Drawn(NamedTuple):
    """The candidates that a rule draws for a source, in the rule's order.

    Attributes:
        places: Places in the rule's order (n,): those of images that the source gets wrong are left
            out.
        images: Numbers of their images in the test split (n,); empty for noise.
        split: The images, or noise, with their true labels, or the labels drawn for noise.
        targets: Labels that count as a key (n, k).
    """

    places: np.ndarray
    images: np.ndarray
    split: Split
    targets: np.ndarray


class ByRule(NamedTuple):
    """What came of a rule.

    Attributes:
        fingerprint: The first candidates of the rule's order that passed the filters.
        record: All candidates that were tried, with the source's answers: what shows that none was
            passed over without a reason.
    """

    fingerprint: Fingerprint
    record: Fingerprint


def draw(rule: Rule, method: Method, source: Source, dataset: Dataset | None, count: int) -> Drawn:
    """Return the first `count` candidates of a rule.

    Raises:
        FingerprintFailure: The method cannot be told its labels, or the source is right on none of
            the images.
    """
    if method.starts == "noise":
        noise = random_starts(count, source.input_shape, source.classes, seed=rule.seed())
        return Drawn(np.arange(count), np.array([], np.int64), Split(*noise), noise[1][:, None])
    if dataset is None or not isinstance(method, TakesTargets):
        raise FingerprintFailure(
            f"a rule names labels: expected cem with a data set, or a method from noise (c, rc, "
            f"rc-gm, ltrc). Received: {method.name}"
        )
    order = rule.images(len(dataset.test))
    answers = source.predict_labels(dataset.test.images)
    places = np.flatnonzero((answers == dataset.test.labels)[order])[:count]
    if not len(places):
        raise FingerprintFailure(
            "expected a source that is right on some test images. Received: one that is right on "
            "none; check its data set and input scale."
        )
    split = dataset.test.take(order[places])
    drawn = zip(order[places], split.labels, strict=True)
    targets = [rule.labels(int(image), int(truth), source.classes) for image, truth in drawn]
    return Drawn(places, order[places], split, np.stack(targets))


def make_by_rule(
    method: Method,
    models: Models,
    dataset: Dataset | None,
    rule: Rule,
    *,
    size: int = 100,
    candidates: int = 0,
    threshold: float = 0.95,
    quantize: bool = True,
    progress: Progress | None = None,
) -> ByRule:
    """Make a fingerprint in which nothing was chosen but the rule's secret.

    The inputs are the first of the rule's order that pass the filters, so that none can be passed
    over in favour of another; classes do not take turns, as the rule draws all labels alike.

    Args:
        method: `CEM`, or a method from noise.
        models: The defender's models.
        dataset: Its test images are the starting images; `None` for noise.
        rule: What draws.
        size: Inputs wanted.
        candidates: How many candidates to try; 0 takes three times `size`, or `size` for noise.
        threshold: Least conferrability on the defender's models.
        quantize: Whether to round to 8 bits.
        progress: Called as (steps done, steps in all, text).

    Raises:
        FingerprintFailure: No candidate passed, or the method takes no labels.
        ValueError: `size` is not positive, or `candidates` negative.
    """
    if size < 1 or candidates < 0:
        raise ValueError(f"expected size >= 1 and candidates >= 0. Received: {size}, {candidates}")
    if not method.ensemble:
        models = Models(models.source)
    count = candidates or (size if method.starts == "noise" else 3 * size)
    drawn = draw(rule, method, models.source, dataset, count)
    made = make_candidates(
        method,
        models,
        drawn.split,
        quantize=quantize,
        seed=rule.seed(),
        progress=progress,
        targets=drawn.targets,
    )
    return choose_by_rule(
        made, drawn, method, models.source, dataset, rule, size=size, threshold=threshold,
        quantize=quantize,
    )  # fmt: skip


def choose_by_rule(
    made: Candidates,
    drawn: Drawn,
    method: Method,
    source: Source,
    dataset: Dataset | None,
    rule: Rule,
    *,
    size: int,
    threshold: float,
    quantize: bool,
) -> ByRule:
    """Choose among the candidates `made` of `drawn`; the other arguments as for `make_by_rule`.

    Raises:
        FingerprintFailure: None passed.
    """
    limit = threshold if method.ensemble else None
    passed = usable(made.keys, drawn.targets, made.confer, limit)
    chosen = distinct(made.inputs, np.flatnonzero(passed))[:size]
    if not len(chosen):
        hits = int(np.sum(answered(made.keys, drawn.targets)))
        raise FingerprintFailure(
            f"{method.name}: expected inputs that pass the filters. Received: {len(made.keys)} "
            f"candidates, {hits} of which the source puts into a label that the rule drew, "
            f"threshold {threshold}. Raise epsilon, steps, --targets or --candidates."
        )
    settings: dict[str, Any] = {"candidates": len(made.keys), "size": size, "balance": False}
    settings |= {"threshold": limit, "seed": rule.seed()}
    about = (method, source, dataset, settings)
    noise = not len(drawn.images)
    record = RuleRecord(
        rule.statement,
        rule.secret_sha256,
        0 if noise else rule.targets,
        len(made.keys),
        tuple(drawn.places.tolist()),
        tuple(drawn.images.tolist()),
    )
    tried = describe(made, *about, quantize=quantize, rule=record)
    # Nobody asks a suspect the record.
    tried = dataclasses.replace(tried, controls=None, control_labels=None, control_truth=None)
    kept = dataclasses.replace(record.of(chosen.tolist()), record_sha256=record_hash(tried))
    return ByRule(describe(made.where(chosen), *about, quantize=quantize, rule=kept), tried)


def answered(keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return whether each of the source's labels (n,) is one of the targets (n, k)."""
    return (targets == keys[:, None]).any(axis=1)


def usable(
    keys: np.ndarray, targets: np.ndarray, confer: np.ndarray | None, threshold: float | None
) -> np.ndarray:
    """Return which candidates pass (n,): the source answers a target, and it is conferrable."""
    scores = None if threshold is None else confer
    passed = accepted(keys, scores, None, None, threshold=threshold or 0.0)
    return passed & answered(keys, targets)


def record_hash(record: Fingerprint) -> str:
    """Return the SHA-256 of the record's file."""
    return hashlib.sha256(record.to_bytes()).hexdigest()
