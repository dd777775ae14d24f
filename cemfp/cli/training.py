"""`cemfp train` and `cemfp evaluate`."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import images, options
from cemfp.cli.errors import Failure
from cemfp.cli.generated import GeneratedCommand, options_of
from cemfp.cli.opening import open_classifier
from cemfp.cli.work import (
    check_replaceable,
    echo_json,
    new_directory,
    progress_bar,
)
from cemfp.models.convention import UNIT, Convention
from cemfp.models.directory import CONFIG
from cemfp.models.roles import Origin, Role

if TYPE_CHECKING:
    from cemfp.data import Dataset, DataSpec
    from cemfp.models.start import Named
    from cemfp.training.from_scratch import Plan
    from cemfp.training.recipe import Recipe


SAME = "same"  # --net: the architecture of another classifier


def recipe_options(defaults: Recipe | None = None) -> list[click.Option]:
    """Return an option per field of `Recipe`, with the values of `defaults`."""
    from cemfp.numerics.precision import POLICIES
    from cemfp.training.recipe import Recipe

    return options_of(defaults or Recipe(), precision=click.Choice(POLICIES))


def say_what_precision_costs(recipe: Recipe) -> None:
    """Say on standard error how inexact a lower precision is that was asked for by its name."""
    from cemfp.numerics.precision import relative_error

    if recipe.precision in ("auto", "float32"):
        return
    name = recipe.precision.removeprefix("mixed_")
    # Where the machine cannot compute it, the training itself refuses it.
    if math.isfinite(error := relative_error(name)):
        click.echo(
            f"Note: gradients in {name} differ from float32's by {error:.2g} of their norm, "
            "measured on this machine with two convolutions.",
            err=True,
        )


@click.command(cls=GeneratedCommand, generate=recipe_options)
@images.data
@lambda function: options.architecture(function, SAME)
@click.option(
    "--like",
    type=options.ClassifierPath(),
    metavar="C",
    help="With --net same: the classifier whose architecture is trained anew, from fresh weights.  "
    "[default: that of --labels-from]",
)
@click.option(
    "--labels-from",
    type=options.ClassifierPath(),
    metavar="C",
    help="Classifier that labels the images, in place of the ground truth.",
)
@click.option(
    "--labels",
    type=click.Choice(["soft", "top1"]),
    help="What --labels-from gives: probabilities or the label.  [default: soft]",
)
@click.option(
    "--start",
    type=options.PATH,
    metavar="WEIGHTS",
    help="Public weights to start from, most of the net's: .h5, .keras or a classifier directory.  "
    "[default: fresh weights]",
)
@click.option(
    "--images",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Training images, drawn by the seed; 0 takes all.",
)
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="What the model may be used for.  [default: source; attacker with --labels-from]",
)
@options.seed
@options.inputs
@options.output("New classifier directory.")
@options.quiet
@options.dry_run
def train(
    out: Path, force: bool, quiet: bool, dry_run: bool, convention: Convention | None, **values: Any
) -> None:
    """Train a classifier and save it as a directory.

    \b
    Example:
      cemfp train --data digits --images 150 --width 8 --depth 8 --epochs 60 --batch-size 64
        --learning-rate 0.1 --no-flip --pad 0 --out zoo/source
      cemfp train --data digits --labels-from zoo/source --width 8 --depth 8 --epochs 20
        --learning-rate 0.1 --no-flip --pad 0 --seed 4000 --out zoo/thief
      cemfp train --data digits --labels-from mine.keras --net same --out zoo/surrogate
    """
    from cemfp.data import load
    from cemfp.training.from_scratch import train_classifier

    check_replaceable(out)
    data, labels_from, like, start = (
        values.pop(name) for name in ("data", "labels_from", "like", "start")
    )
    if like is not None and values["net"] != SAME:
        raise click.UsageError(f"--like needs --net {SAME}.")
    if values["net"] == SAME and (like := like or labels_from) is None:
        raise click.UsageError(f"--net {SAME} needs --like or --labels-from.")
    plan, recipe = _settings(labels_from is not None, values)
    if dry_run:
        given = {"data": images.given(data), "labels_from": labels_from, "start": start, "out": out}
        return echo_json(given | dataclasses.asdict(plan) | {"recipe": dataclasses.asdict(recipe)})
    say_what_precision_costs(recipe)
    dataset = load(data) if labels_from is None else images.load_for(data, labels_from)
    teacher = None
    if labels_from is not None:
        teacher = open_classifier(
            labels_from, convention, role=Role.SOURCE, origin=Origin.SOURCE, dataset=dataset
        )
    if like is not None:
        plan = _like(plan, like, convention, dataset)
    known = None if start is None else _known_to(plan, start, dataset)
    with progress_bar("train", quiet=quiet) as progress:
        classifier = train_classifier(
            plan, dataset, recipe, teacher, start=known, progress=progress
        )
    with new_directory(out) as directory:
        classifier.save(directory)
    accuracy = classifier.config.training["test_accuracy"]
    click.echo(f"{out}: {plan.role}, {plan.origin}, {accuracy:.2%} right on {data}'s test images")


def _known_to(plan: Plan, start: Path, dataset: Dataset) -> Named:
    """Return the weights to start from, which have to be most of the net's."""
    from cemfp.models.renewal import build_net
    from cemfp.models.start import read_start, share_of

    named = read_start(start)
    given = plan.net, plan.arguments, plan.architecture, dataset.input_shape
    share = share_of(named, build_net(*given, len(dataset.classes)), start)
    click.echo(f"{share:.1%} of the weights come from {start}.", err=True)
    return named


def _like(plan: Plan, path: Path, convention: Convention | None, dataset: Dataset) -> Plan:
    """Return the plan for a net of the architecture of the classifier at `path`."""
    from cemfp.models.renewal import net_like

    asked = dataset if convention is None else None  # a convention is found out with images
    model = open_classifier(path, convention, role=Role.SOURCE, origin=Origin.SOURCE, dataset=asked)
    net, arguments, architecture = net_like(model)
    return dataclasses.replace(plan, net=net, arguments=arguments, architecture=architecture)


def _settings(labelled: bool, values: dict[str, Any]) -> tuple[Any, Any]:
    """Return plan and recipe from what was typed.

    Raises:
        click.UsageError: Options that contradict each other.
    """
    from cemfp.training.from_scratch import Plan
    from cemfp.training.recipe import Recipe

    labels = values.pop("labels")
    role = values.pop("role") or (Role.ATTACKER if labelled else Role.SOURCE).value
    if labels and not labelled:
        raise click.UsageError("--labels needs --labels-from.")
    if labelled and role == Role.SOURCE:
        raise click.UsageError("a source learns from the ground truth: leave --labels-from out.")
    net = values.pop("net")
    plan = Plan(
        net=net,
        arguments=options.net_arguments(net, values),
        seed=values.pop("seed"),
        role=role,
        labels=(labels or "soft") if labelled else "truth",
        images=values.pop("images"),
    )
    return plan, Recipe(**values)


@click.command()
@click.argument("classifier", type=options.ClassifierPath(), metavar="CLASSIFIER")
@images.data
@options.inputs
@options.json_output
def evaluate(
    classifier: Path, data: DataSpec, convention: Convention | None, as_json: bool
) -> None:
    """Measure a classifier's accuracy on a data set's test images.

    CLASSIFIER is a classifier directory or a .keras file of your own.

    \b
    Example: cemfp evaluate zoo/source --data digits
    """
    if (classifier / CONFIG).is_file() and convention not in (None, UNIT):
        raise Failure(f"{classifier} says how it wants its images: leave the scale options out")
    dataset = images.load_for(data, classifier)
    whose = {"role": Role.SOURCE, "origin": Origin.SOURCE}
    model = open_classifier(classifier, convention, **whose, dataset=dataset, strict=False)
    accuracy = model.accuracy(dataset.test.images, dataset.test.labels)
    if as_json:
        provenance = dataclasses.asdict(dataset.provenance)
        return echo_json({"classifier": classifier, "accuracy": accuracy, "data": provenance})
    stand_in = " (a stand-in data set)" if dataset.provenance.stand_in else ""
    count = len(dataset.test)
    click.echo(f"{classifier}: {accuracy:.2%} right on {count} test images of {data}{stand_in}")
