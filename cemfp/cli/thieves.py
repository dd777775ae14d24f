"""From what was typed after `cemfp attack NAME` to a thief, and from a summary to a few lines."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import options
from cemfp.cli.images import fitted
from cemfp.cli.work import Progress
from cemfp.models.roles import Role

if TYPE_CHECKING:
    from cemfp.data import Dataset
    from cemfp.models.classifier import Classifier
    from cemfp.removal import Thief
    from cemfp.training.recipe import Recipe

# Fields whose name is that of an option which all commands share.
RENAMED = {"scale": "noise_scale"}


def take_settings(attack: Any, values: dict[str, Any]) -> tuple[Any, Recipe]:
    """Take the hyper-parameters, the recipe and the net's arguments out of what was typed."""
    from cemfp.training.recipe import Recipe

    def take(cls: Any) -> Any:
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: values.pop(RENAMED.get(name, name)) for name in names})

    chosen = take(attack)
    recipe = take(Recipe) if attack.recipe else Recipe()
    if not attack.like_victim:
        values["arguments"] = options.net_arguments(values["net"], values)
    return chosen, recipe


def make_thief(
    victim: Classifier, dataset: Dataset, recipe: Recipe, progress: Progress, values: dict[str, Any]
) -> Thief:
    """Return a thief with the images and the net that were typed.

    Args:
        victim: Model to steal.
        dataset: Its data set.
        recipe: How to train.
        progress: Called as (steps done, steps in all, text).
        values: `seed`, and where the attack has them `images`, `count`, `net` and `arguments`.
    """
    from cemfp.data import DataSpec, load
    from cemfp.removal import Thief

    chosen = values.get("images")
    other = load(fitted(DataSpec(chosen), victim.input_shape)) if chosen else dataset
    images = other.train
    if values.get("count"):
        images = images.sample(values["count"], seed=values["seed"])
    return Thief(
        victim=victim,
        dataset=dataset,
        recipe=recipe,
        seed=values["seed"],
        images=images,
        transfer_set=other.provenance.name,
        progress=progress,
        **{name: values[name] for name in ("net", "arguments", "role") if name in values},
    )


def with_pretrained(thief: Thief, values: dict[str, Any]) -> Thief:
    """Give the thief the net that was named, or one trained now, which takes as long again."""
    from cemfp.data import DataSpec, load
    from cemfp.models.classifier import Classifier
    from cemfp.training.from_scratch import Plan, train_classifier

    if values["pretrained"]:
        return dataclasses.replace(thief, pretrained=Classifier.load(values["pretrained"]))
    name = values["pretraining"]
    dataset = load(fitted(DataSpec(name), thief.victim.input_shape))
    if (found := dataset.input_shape) != tuple(thief.victim.input_shape):
        raise click.UsageError(
            f"expected --pretraining data of the victim's input shape "
            f"{tuple(thief.victim.input_shape)}. Received: {name} of {found}."
        )
    plan = Plan(thief.net, thief.arguments, seed=thief.seed, role=Role.ATTACKER)
    made = train_classifier(plan, dataset, thief.recipe, progress=thief.progress)
    return dataclasses.replace(thief, pretrained=made)


def say(out: Path, summary: dict[str, Any]) -> None:
    """Print what an attack left in `out`: accuracy, queries, and its facts in a line each."""
    from cemfp.models.directory import KERAS_FILE

    keras = out / KERAS_FILE
    click.echo(
        f"{keras if keras.exists() else out}: {summary['attack']}, "
        f"{summary['test_accuracy']:.2%} right on {summary['data']['name']}'s test images "
        f"(victim {summary['victim_accuracy']:.2%}), agrees with the victim on "
        f"{summary['agreement']:.2%}; {summary['queries']} queries, {summary['seconds']} s"
    )
    for name, value in summary["facts"].items():
        click.echo(f"  {name.replace('_', ' ')}: {_short(value)}")


def _short(value: Any) -> str:
    """Return a fact in one line, numbers to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return str(value)
