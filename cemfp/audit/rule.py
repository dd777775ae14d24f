"""Do images, labels and seed follow from the secret, and was no candidate passed over?"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from cemfp.audit.checks import Check, missing, of
from cemfp.audit.keys import AGREE
from cemfp.data import Dataset
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.by_rule import answered, record_hash, usable
from cemfp.fingerprint.characteristic import random_labels
from cemfp.fingerprint.fields import is_count, is_number
from cemfp.fingerprint.rule import Rule, RuleRecord
from cemfp.fingerprint.selection import distinct

Ask = Callable[[np.ndarray], np.ndarray]
NO_RULE = (
    "the fingerprint follows no rule: that its images and labels were not chosen to suit a suspect "
    "rests on its date alone"
)


def check_rule(fingerprint: Fingerprint, dataset: Dataset, secret: bytes | None) -> Check:
    """Draw starting images, target labels and the seed again.

    Args:
        fingerprint: Under audit.
        dataset: The judge's copy of the data set.
        secret: What the owner hands to the judge.
    """
    stated = fingerprint.rule
    if stated is None:
        return missing("rule", NO_RULE)
    if secret is None:
        return missing("rule", "the secret is not there: ask the owner for it, --secret FILE")
    if hashlib.sha256(secret).hexdigest() != stated.secret_sha256:
        return of("rule", ["the secret is another than the fingerprint names"], "")
    rule = Rule(secret, stated.statement, stated.targets or 1)
    problems = [] if fingerprint.parameters.get("seed") == rule.seed() else ["another seed"]
    problems += _image_problems(fingerprint, stated, rule, dataset)
    allowed = targets_of(fingerprint, stated, rule)
    other = int(np.sum(~(allowed == fingerprint.keys[:, None]).any(axis=1)))
    if other:
        problems.append(f"{other} of {len(fingerprint)} keys are no labels that the rule draws")
    passed = (
        f"the secret gives all {len(fingerprint)} starting images and the seed again, and each key "
        f"is one of {allowed.shape[1]} labels drawn of {fingerprint.classes}; statement: "
        f"{stated.statement}"
    )
    return of("rule", problems, passed, targets=int(allowed.shape[1]), other_keys=other)


def check_candidates(
    fingerprint: Fingerprint,
    dataset: Dataset,
    secret: bytes | None,
    record: Fingerprint | None,
    ask: Ask | None,
    parts: Sequence[Fingerprint] = (),
) -> Check:
    """Choose among all candidates again: who passed one over without a reason has other inputs.

    Reasons are: the source gets the image wrong; it does not answer a label drawn; too few of the
    defender's models confer it, for which the record's word is taken; the input is there already.

    Args:
        fingerprint: Under audit.
        dataset: The judge's copy of the data set.
        secret: Of the rule.
        record: The file of all candidates that were tried.
        ask: Gives the source's labels of images (n, h, w, c); None believes those of the record.
        parts: What else was split off: a reserve, whose inputs are kept, too.
    """
    stated = fingerprint.rule
    if stated is None:
        return missing("candidates", NO_RULE)
    numbers: dict[str, int] = {"kept": len(fingerprint), "tried": stated.tried}
    share = f"{len(fingerprint)} inputs kept of {stated.tried} candidates"
    if secret is None or record is None or record.rule is None:
        text = "which were passed over takes the secret (--secret) and the record (--record)"
        return missing("candidates", f"{share}; {text}", **numbers)
    problems = _record_problems(fingerprint, stated, record, record.rule)
    if any(_source_of(part) != _source_of(fingerprint) for part in parts):
        problems.append("a part is of another fingerprint")
    if problems:
        return of("candidates", problems, "", **numbers)
    rule = Rule(secret, stated.statement, stated.targets or 1)
    problems = _image_problems(record, record.rule, rule, dataset)
    if problems:
        return of("candidates", problems, "", **numbers)
    reasons = _choose_again([fingerprint, *parts], record, record.rule, rule)
    numbers |= reasons
    if reasons["passed_over"] or reasons["not_in_order"]:
        problems.append(
            f"{reasons['passed_over']} candidates that pass the filters are left out, and "
            f"{reasons['not_in_order']} inputs are not among the first that do"
        )
    if ask is not None:
        problems += _source_problems(record, record.rule, rule, dataset, ask)
    passed = (
        f"{share}, the first of the rule's order that pass: {reasons['other_label']} of the others "
        f"got another label of the source, {reasons['not_conferred']} were not conferrable enough "
        "on the owner's models"
    )
    passed += "" if ask else "; not compared with the source (--source)"
    return of("candidates", problems, passed, **numbers)


def targets_of(fingerprint: Fingerprint, stated: RuleRecord, rule: Rule) -> np.ndarray:
    """Return the labels that may be each input's key (n, k), drawn again."""
    truth, classes = fingerprint.true_labels, fingerprint.classes
    if stated.targets and truth is None:
        return np.full((len(fingerprint), 1), -1)  # no label can be drawn
    if stated.targets and truth is not None:
        drawn = zip(stated.images, truth, strict=True)
        return np.stack([rule.labels(image, int(label), classes) for image, label in drawn])
    rng = np.random.default_rng(rule.seed())
    labels = random_labels(stated.tried, classes, rng)
    return labels[list(stated.places)][:, None]


def _image_problems(
    fingerprint: Fingerprint, stated: RuleRecord, rule: Rule, dataset: Dataset
) -> list[str]:
    """Return what is wrong with the starting images, which are drawn again."""
    if not stated.targets:
        return []  # noise, which the seed gives
    test, originals = dataset.test, fingerprint.originals
    order = rule.images(len(test))
    if max(stated.places) >= len(order) or originals is None or fingerprint.true_labels is None:
        return [f"candidates beyond the {len(order)} test images, or no starting images"]
    drawn = test.take(order[list(stated.places)])
    same = (drawn.floats() == originals).all(axis=(1, 2, 3))
    same &= np.array(stated.images) == order[list(stated.places)]
    same &= drawn.labels == fingerprint.true_labels
    other = int((~same).sum())
    return [f"{other} of {len(same)} starting images are not those of the rule"] if other else []


def _record_problems(
    fingerprint: Fingerprint, stated: RuleRecord, record: Fingerprint, tried: RuleRecord
) -> list[str]:
    """Return why a record is none of this fingerprint."""
    same = all(
        getattr(stated, name) == getattr(tried, name)
        for name in ("statement", "secret_sha256", "targets", "tried")
    )
    if record_hash(record) != stated.record_sha256 or not same:
        return ["the record is another than the fingerprint names"]
    size, threshold = (fingerprint.parameters.get(name) for name in ("size", "threshold"))
    if not is_count(size) or not (threshold is None or is_number(threshold)):
        return ["the fingerprint does not say how many inputs were wanted, or the threshold"]
    if len(record) != stated.tried or record.source_sha256 != fingerprint.source_sha256:
        return [f"the record has {len(record)} candidates of {stated.tried}, or another source"]
    return []


def _source_of(part: Fingerprint) -> tuple[object, ...]:
    """Return what the parts of one fingerprint have in common."""
    stated = part.rule and dataclasses.replace(part.rule, places=(), images=(), targets=0)
    return stated, part.rule and part.rule.targets, part.source_sha256, part.parameters


def _choose_again(
    parts: Sequence[Fingerprint], record: Fingerprint, tried: RuleRecord, rule: Rule
) -> dict[str, int]:
    """Return how many candidates were left out or put in against the rule, and why others were."""
    targets = targets_of(record, tried, rule)
    threshold, size = (parts[0].parameters.get(name) for name in ("threshold", "size"))
    passed = usable(record.keys, targets, record.conferrability, threshold)
    wanted = distinct(record.inputs, np.flatnonzero(passed))[:size]
    places = {tried.places[index]: index for index in wanted}
    kept = {
        place: (image.tobytes(), key)
        for part in parts
        if part.rule is not None
        for place, image, key in zip(part.rule.places, part.inputs, part.keys, strict=True)
    }
    in_order = [
        place
        for place, i in places.items()
        if kept.get(place) == (record.inputs[i].tobytes(), record.keys[i])
    ]
    hits = answered(record.keys, targets)
    return {
        "passed_over": len(places) - len(in_order),
        "not_in_order": len(kept) - len(in_order),
        "other_label": int(np.sum(~hits)),
        "not_conferred": int(np.sum(hits & ~passed)),
    }


def _source_problems(
    record: Fingerprint, tried: RuleRecord, rule: Rule, dataset: Dataset, ask: Ask
) -> list[str]:
    """Return where the source answers otherwise than the record needs it to."""
    allowed = (1 - AGREE) * len(record)
    other = int(np.sum(ask(record.inputs) != record.keys))
    found = [f"the source answers {other} candidates otherwise"] if other > allowed else []
    if not tried.targets:
        return found
    left_out = np.setdiff1d(np.arange(max(tried.places)), tried.places)
    split = dataset.test.take(rule.images(len(dataset.test))[left_out])
    right = int(np.sum(ask(split.floats()) == split.labels)) if len(left_out) else 0
    if right > allowed:
        found.append(f"{right} images that the source gets right were no candidates")
    return found
