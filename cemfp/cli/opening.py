"""How the commands open a user's models: fed as they want, and only if they do their task."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cemfp.cli.errors import Failure
from cemfp.models.convention import COMMON, UNIT, Convention
from cemfp.models.directory import CONFIG, KERAS_FILE
from cemfp.numerics.agreement import LIKELY, does_task, first_as_good, is_better

if TYPE_CHECKING:
    from cemfp.data import Dataset
    from cemfp.data.dataset import Split
    from cemfp.models.classifier import Classifier

ASKED = 1_000  # test images that tell whether a model does its task


def open_classifier(
    path: Path,
    convention: Convention | None,
    *,
    role: str,
    origin: str,
    dataset: Dataset | None = None,
    strict: bool = True,
) -> Classifier:
    """Load a classifier directory, or a user's own Keras file; see that it does its task.

    Args:
        path: Directory, with `config.json` or what an attack left of a Keras file, or `.keras`.
        convention: How a Keras file wants its images; None finds out, with `dataset`. A directory
            of ours has its own inside.
        role, origin: What the Keras file counts as, since it does not say; a directory does.
        dataset: Labelled images of its task; a model that is right on hardly more than chance, or
            on far more in another convention, is refused.
        strict: Whether it is; else a note says so.

    Raises:
        Failure: It does not do its task as it is asked, or no convention makes it.
    """
    from cemfp.models.classifier import Classifier

    if (path / CONFIG).is_file():
        made = Classifier.load(path)
        if dataset is not None:
            _check_task(path, made, dataset, {}, strict)
        return made
    file = path / KERAS_FILE if path.is_dir() else path

    def open_as(chosen: Convention) -> Classifier:
        fields = dataclasses.asdict(chosen)
        return Classifier.from_keras(file, **fields).with_role(role, origin)

    made = open_as(convention or UNIT)
    if dataset is None:
        if convention is None:
            raise Failure("--scale auto needs labelled images to find out with; name the scale.")
        return made
    fitting = (c for c in COMMON.values() if c.fits(made.input_shape[-1]))
    others = {c: functools.partial(open_as, c) for c in fitting if c != made.convention}
    if convention is None:
        return _best(path, made, dataset, others)
    _check_task(path, made, dataset, others, strict)
    return made


Openers = Mapping["Convention", "Callable[[], Classifier]"]


def _best(path: Path, made: Classifier, dataset: Dataset, others: Openers) -> Classifier:
    """Return the model in the first convention in which it is as often right as in any."""
    test = _some(made, dataset)
    tried = [made, *(open_as() for open_as in others.values())]
    answers = [model.predict_labels(test.images) for model in tried]
    correct = [labels == test.labels for labels in answers]
    best, rights = first_as_good(correct), [float(each.mean()) for each in correct]
    if not does_task(answers[best], test.labels):
        raise Failure(
            f"{path}: right on hardly more than chance in every common convention, at best on "
            f"{rights[best]:.1%}; name --scale and --offset, or see whether it is a model for this "
            "data."
        )
    click.echo(
        f"{path}: asked with {tried[best].convention}, right on {rights[best]:.1%}", err=True
    )
    return tried[best]


def _check_task(
    path: Path, made: Classifier, dataset: Dataset, others: Openers, strict: bool
) -> None:
    """Refuse a model with a problem, or say what it is."""
    problem = _problem(path, made, dataset, others)
    if problem and strict:
        raise Failure(problem)
    if problem:
        click.echo(f"Note: {problem}", err=True)


def _problem(path: Path, made: Classifier, dataset: Dataset, others: Openers) -> str:
    """Say why a model does not do its task, or in which convention it would do it better."""
    test = _some(made, dataset)
    answers = made.predict_labels(test.images)
    right, works = answers == test.labels, does_task(answers, test.labels)
    if works and right.mean() >= LIKELY:
        return ""
    found = {
        c: open_as().predict_labels(test.images) == test.labels for c, open_as in others.items()
    }
    better = max(found, key=lambda c: found[c].sum(), default=None)
    if better is not None and is_better(found[better], right):
        return (
            f"{path}: right on {right.mean():.1%} of {dataset.provenance.name}'s test images as it "
            f"is asked, and on {found[better].mean():.1%} with {better}: add that."
        )
    if works:
        return ""
    advice = "see whether it is a model for this data"
    if others:
        advice += ", or wants its images in another way (--scale, --offset, --bgr)"
    return (
        f"expected a model that does the task of {dataset.provenance.name}. Received: {path}, "
        f"right on {right.mean():.1%} of its test images, hardly more than chance; {advice}."
    )


def _some(model: Classifier, dataset: Dataset) -> Split:
    """Return the test images that a model is asked.

    Raises:
        Failure: It has another number of classes, or another input.
    """
    name, classes = dataset.provenance.name, len(dataset.classes)
    if model.classes != classes:
        raise Failure(
            f"expected a model of {name}'s {classes} classes. Received: one with "
            f"{model.classes} classes."
        )
    if model.class_names != dataset.classes and set(model.class_names) == set(dataset.classes):
        raise Failure(
            f"expected a model with its classes in the order {', '.join(dataset.classes[:5])}, "
            f"... Received: {model.name} with {', '.join(model.class_names[:5])}, ...; "
            "train it on labels in the same order."
        )
    if tuple(model.input_shape) != tuple(dataset.input_shape):
        raise Failure(
            f"{name} has images of shape {tuple(dataset.input_shape)}. Received: a model for "
            f"{tuple(model.input_shape)}."
        )
    return dataset.test.sample(min(ASKED, len(dataset.test)), seed=0)
