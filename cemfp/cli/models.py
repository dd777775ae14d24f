"""`cemfp models`: the trained nets that the repository keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from cemfp.cli import options
from cemfp.cli.errors import Failure
from cemfp.cli.work import check_replaceable, echo_json, new_directory


@click.group()
def models() -> None:
    """Trained nets that the repository keeps, to be used wherever a classifier is: `zoo:NAME`.

    \b
    Example: cemfp verify stolen.cemfp zoo:evaluation-surrogate-0
    """


@models.command(name="list")
@options.json_output
def list_models(as_json: bool) -> None:
    """List them: role, net, accuracy in float32 and as kept, in float16.

    \b
    Example: cemfp models list
    """
    from cemfp.models import kept

    found = kept.entries()
    if as_json:
        return echo_json(found)
    if not found:
        raise Failure(
            f"expected models in {kept.folder()}. Received: none; clone the repository, or name "
            f"a folder with {kept.FOLDER_VARIABLE}"
        )
    width = max(map(len, found))
    click.echo(f"{'name':<{width}}  {'role':<11}  {'origin':<9}  {'net':<11}  float32  float16")
    for name, entry in found.items():
        accuracies = [f"{entry[n]:7.2%}" for n in ("test_accuracy", "test_accuracy_float16")]
        facts = f"{entry['role']:<11}  {entry['origin']:<9}  {entry['net']:<11}"
        click.echo(f"{name:<{width}}  {facts}  {'  '.join(accuracies)}")


@models.command()
@click.argument("name")
@options.output("New classifier directory.")
def get(name: str, out: Path, force: bool) -> None:
    """Copy the model NAME, its files compared with the manifest.

    \b
    Example: cemfp models get source --out runs/source
    """
    from cemfp.models import kept

    del force  # read by the check of --out
    check_replaceable(out)
    directory = kept.find(name)
    with new_directory(out) as place:
        for file in directory.iterdir():
            shutil.copyfile(file, place / file.name)
    click.echo(f"{out}: {name}, remade by `{kept.entries()[name]['command']}`")
