"""`cemfp pretrained`."""

from __future__ import annotations

from pathlib import Path

import click

from cemfp.cli import options
from cemfp.cli.work import check_replaceable, echo_json, new_directory
from cemfp.models.roles import Role


@click.command()
@click.argument(
    "name", type=options.ChoiceFrom("cemfp.models.pretrained:PRETRAINED"), metavar="NAME"
)
@click.option(
    "--weights",
    type=options.PATH,
    metavar="FILE",
    help="Weights (.h5) as Keras distributes them.  [default: Keras' own, downloaded once]",
)
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.SOURCE.value,
    show_default=True,
    help="What the model may be used for.",
)
@options.output("New classifier directory.")
@options.dry_run
def pretrained(
    name: str, weights: Path | None, role: str, out: Path, force: bool, dry_run: bool
) -> None:
    """Save a net with the ImageNet weights that Keras publishes as a classifier.

    NAME is vgg16 or vgg19. The weights come from ~/.keras/models, else from the network, or from
    FILE, of which only arrays are read.

    \b
    Example:
      cemfp pretrained vgg16 --out runs/vgg16
      cemfp pretrained vgg19 --weights vgg19_weights.h5 --role evaluation --out runs/vgg19
    """
    check_replaceable(out)
    if dry_run:
        return echo_json({"name": name, "weights": weights, "role": role, "out": out})
    from cemfp.models.pretrained import load_pretrained

    classifier = load_pretrained(name, weights=weights, role=role)
    with new_directory(out) as directory:
        classifier.save(directory)
    file = classifier.config.training["weights_file"]
    click.echo(f"{out}: {classifier.role}, {classifier.origin}, weights from {file}")
