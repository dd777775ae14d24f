"""`cemfp detect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cemfp.cli import images as image_options
from cemfp.cli import options
from cemfp.cli.opening import open_classifier
from cemfp.cli.work import echo_json, progress_bar
from cemfp.models.convention import Convention
from cemfp.models.roles import Origin, Role

if TYPE_CHECKING:
    from cemfp.data import DataSpec
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.removal.detector import Detection

MOST_BENIGN = 1000


@click.command()
@click.argument("file", type=options.PATH)
@click.option(
    "--surrogate",
    type=options.ClassifierPath(),
    required=True,
    metavar="C",
    help="The thief's own copy of the source.",
)
@image_options.data
@click.option(
    "--epsilon",
    type=options.Number(0, 1, min_open=True),
    help="Radius of the attacks that the detector learns.  [default: the fingerprint's]",
)
@click.option(
    "--images",
    type=click.IntRange(12),
    default=2000,
    show_default=True,
    help="Training images of the thief; half are held out. All, if there are fewer.",
)
@options.seed
@options.inputs
@options.json_output
@options.quiet
def detect(
    file: Path,
    surrogate: Path,
    data: DataSpec,
    epsilon: float | None,
    images: int,
    seed: int,
    convention: Convention | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say whether a thief's detector tells the queries in FILE from benign images.

    It learns to tell training images from adversarial examples of the thief's surrogate (FGM, PGD,
    CW), and is then shown the fingerprint among test images.

    \b
    Example: cemfp detect my.cemfp --surrogate zoo/thief --data digits
    """
    from cemfp.data import load
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.removal import detector as evasion
    from cemfp.suspects import check_fits

    loaded = Fingerprint.load(file)
    dataset = load(image_options.fitted(data, loaded.inputs.shape[1:]))
    radius = _radius(loaded, epsilon)
    thief = open_classifier(surrogate, convention, role=Role.ATTACKER, origin=Origin.SURROGATE)
    evasion.check_thief(thief, loaded.source_sha256)
    check_fits(thief, loaded.inputs.shape[1:], loaded.classes)
    own, benign = (
        split.sample(min(count, len(split)), seed=seed)
        for split, count in ((dataset.train, images), (dataset.test, MOST_BENIGN))
    )
    with progress_bar("detector", quiet=quiet) as progress:
        detector = evasion.train_detector(thief, own, epsilon=radius, seed=seed, progress=progress)
    found, own_task = detector.detect(loaded.inputs, benign.images), detector.own_task
    if as_json:
        facts = {"epsilon": radius, "images": len(own), "seed": seed, **found._asdict()}
        return echo_json({"file": file, **facts, "own_task": own_task._asdict()})
    click.echo(f"{file}: {_sentence(found, own_task)}")


def _radius(fingerprint: Fingerprint, epsilon: float | None) -> float:
    radius = epsilon or fingerprint.epsilon
    if not radius:
        raise click.UsageError(
            f"a fingerprint by {fingerprint.method} has no radius: give --epsilon."
        )
    return radius


def _sentence(found: Detection, own_task: Detection) -> str:
    low, high = found.interval
    return (
        f"the detector tells its {found.adversarial} inputs from {found.benign} test images with "
        f"ROC AUC {found.auc:.2f} [{low:.2f}, {high:.2f}], where 0.50 is blind; adversarial "
        f"examples of the thief's own, held out, with {own_task.auc:.2f}."
    )
