"""`cemfp verify`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import asking as ask
from cemfp.cli import images, options
from cemfp.cli.asking import Asking
from cemfp.cli.work import echo_json
from cemfp.models.convention import UNIT, Convention
from cemfp.suspects import names
from cemfp.suspects.resizing import METHODS, Method, Resize, Resized

if TYPE_CHECKING:
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.suspects import QueryLog, Suspect

FEWEST = 20  # control images that can tell a weak suspect from one that does not understand
BETWEEN = options.Number(0, 1, min_open=True, max_open=True)


@click.command()
@click.argument("file", type=options.PATH)
@click.argument("suspect")
@options.json_output
@click.option(
    "--threshold",
    type=BETWEEN,
    help="Share of key answers that makes a copy.  [default: the calibration's]",
)
@click.option(
    "--confidence", type=BETWEEN, default=0.95, show_default=True, help="Of the interval."
)
@click.option(
    "--controls",
    type=click.IntRange(0),
    help="Ordinary images to ask first, which show whether SUSPECT understands; 0 saves the "
    "queries, but a copy that is asked in the wrong scale then looks innocent.  [default: all]",
)
@click.option(
    "--labels",
    metavar="MAP",
    help="The fingerprint's class of each class of SUSPECT, in its order: 2,0,1.",
)
@options.inputs
@click.option(
    "--through",
    "transforms",
    multiple=True,
    metavar="NAME=STRENGTH",
    help="Change the inputs on their way to the suspect: jpeg=75 (quality), bit-depth=4 (bits), "
    "blur=1 (pixels), noise=0.02 (of the range), flip. Repeat to chain, in this order.",
)
@click.option(
    "--size",
    type=images.Size(),
    metavar="HxW",
    help="Resize the inputs for SUSPECT.  [default with --resize: the size that it says]",
)
@click.option(
    "--resize",
    "method",
    type=click.Choice(METHODS),
    help="How they are resized.  [default with --size: bilinear]",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Open a file that may run code even where this machine has no complete sandbox.",
)
@ask.asking
@click.pass_context
def verify(
    ctx: click.Context,
    file: Path,
    suspect: str,
    as_json: bool,
    threshold: float | None,
    confidence: float,
    controls: int | None,
    labels: str | None,
    convention: Convention | None,
    transforms: tuple[str, ...],
    size: tuple[int, int] | None,
    method: Method | None,
    trust: bool,
    asking: Asking,
) -> None:
    """Say whether SUSPECT is a copy of the model whose fingerprint is in FILE.

    SUSPECT is a classifier directory; a file (.keras, .h5, .tflite, .onnx, .pt of TorchScript) or a
    SavedModel, opened in a sandbox, since it may run code; python:module:function, which takes
    images and returns scores, labels or names; the address of a server
    (http://host:8501/v1/models/NAME of TensorFlow Serving or KServe, http://host:8080/v2/models/NAME
    of Open Inference); or a .yaml file that describes an API, see `cemfp suspect probe`.

    Before the fingerprint it is asked ordinary images. A suspect that is not right on them was not
    asked what it understands: the verdict is inconclusive, and says what to add.

    Exit status: 0 match, 1 no match, 2 bad use or failure, 3 inconclusive.

    \b
    Example:
      cemfp verify my.cemfp zoo/thief
      cemfp verify my.cemfp app.tflite --scale 255
      cemfp verify my.cemfp https://host/v2/models/NAME --budget 200
    """
    from cemfp import verification
    from cemfp.fingerprint.artifact import Fingerprint

    _check_transforms(transforms)  # a slip of the pen shows before anything is opened
    order = None if labels is None else _order(labels)
    loaded = Fingerprint.load(file)
    if controls is not None and 0 < controls < FEWEST:
        raise click.BadParameter(f"expected 0 or at least {FEWEST}: fewer show nothing.")
    with (
        # A suspect of the user's own may print, which does not belong into the verdict.
        contextlib.redirect_stdout(sys.stderr),
        ask.kept_log(asking, file, loaded, suspect) as log,
    ):
        ask.check_budget(asking, log, loaded, controls)
        resize = Resize(size, method or "bilinear") if size or method else None
        means = {"convention": convention or UNIT, "resize": resize, "trust": trust}
        opened = _open(suspect, loaded, means, order, transforms, asking, log)
        if convention is None:
            opened, found = verification.find_convention(loaded, opened)
            click.echo(f"{names.shown(suspect)}: asked with {found}", err=True)
        if asking.budget is not None:
            ask.ask_first(loaded, opened, controls)
        verdict = verification.verify(
            loaded, opened, threshold=threshold, confidence=confidence, controls=controls
        )
    if as_json:
        asked = {"suspect": names.shown(suspect), "through": transforms, "fingerprint": file}
        asked["resized"] = _resized(opened)
        echo_json({**asked, **ask.facts(log), **verdict.to_dict()})
    else:
        click.echo(f"{names.shown(suspect)}: {verdict.decision}. {verdict.reason}")
    ctx.exit(_status(verdict.decision))


def _check_transforms(transforms: tuple[str, ...]) -> None:
    if transforms:
        from cemfp.suspects.transforms import parse

        for transform in transforms:
            parse(transform)


def _open(
    suspect: str,
    loaded: Fingerprint,
    means: dict[str, Any],
    order: tuple[int, ...] | None,
    transforms: tuple[str, ...],
    asking: Asking,
    log: QueryLog,
) -> Suspect:
    """Open the suspect, with all that stands in front of it."""
    from cemfp.suspects import Relabelled, matched, open_suspect

    connection, remote = asking.connection(), names.is_remote(suspect)
    opened = open_suspect(
        suspect,
        input_shape=loaded.inputs.shape[1:],
        classes=loaded.classes,
        around=ask.remembering(asking, log, connection.pace, remote=remote),
        connection=connection,
        class_names=loaded.class_names,
        **means,
    )
    for line in _said(opened):
        click.echo(f"{names.shown(suspect)}: {line}", err=True)
    named = matched(opened, loaded.class_names)
    if order is not None:
        opened = Relabelled(opened, order)
    elif named is not opened:
        click.echo(f"{suspect}: its classes are put in the fingerprint's order", err=True)
        opened = named
    if transforms:
        from cemfp.suspects.transforms import through

        # The last to be put in front changes the image first.
        for transform in reversed(transforms):
            opened = through(opened, transform)
    return opened


def _said(opened: Suspect) -> Iterator[str]:
    """Say what was done to open the suspect, and what is done to the inputs."""
    from cemfp.suspects import layers

    for part in layers(opened):
        if holds := getattr(part, "holds", None):
            yield f"opened in a sandbox, kept from {', '.join(holds)}"
        if missing := getattr(part, "missing", None):
            yield f"trusted, not kept from {', '.join(missing)}"
    if (resized := _resized(opened)) is not None:
        yield f"inputs are resized to {resized}"


def _resized(opened: Suspect) -> str | None:
    from cemfp.suspects import layers

    return next((str(part) for part in layers(opened) if isinstance(part, Resized)), None)


def _order(labels: str) -> tuple[int, ...]:
    """Return the classes of --labels."""
    try:
        return tuple(int(part) for part in labels.split(","))
    except ValueError as error:
        raise click.BadParameter(
            f"expected classes with commas, 2,0,1. Received: {labels!r}", param_hint="--labels"
        ) from error


def _status(decision: str) -> int:
    """Return the exit status of a decision."""
    from cemfp.verification import Decision

    return {Decision.MATCH: 0, Decision.NO_MATCH: 1, Decision.INCONCLUSIVE: 3}[Decision(decision)]
