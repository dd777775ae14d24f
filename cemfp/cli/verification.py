"""`cemfp verify`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from cemfp.cli import asking as ask
from cemfp.cli import images, options, verdicts
from cemfp.cli.asking import Asking
from cemfp.cli.gathering import Evidence, keeping
from cemfp.cli.judging import Judged, Means, check_transforms, class_order, judge
from cemfp.cli.work import echo_json
from cemfp.models.convention import Convention
from cemfp.suspects import names
from cemfp.suspects.resizing import METHODS, Method, Resize

FEWEST = 20  # control images that can tell a weak suspect from one that does not understand
BETWEEN = options.Number(0, 1, min_open=True, max_open=True)


@click.command()
@click.argument("file", type=options.PATH)
@click.argument("suspects", metavar="SUSPECT...", nargs=-1, required=True)
@options.json_output
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each suspect.")
@click.option(
    "--alpha",
    type=options.Number(0, 0.5, min_open=True, max_open=True),
    help="Ask input after input until the evidence suffices for this rate of false alarms, and of "
    "missed copies. Needs a calibration with several models. Of several suspects each is tested "
    "at its share of ALPHA.  [default: ask a fixed number]",
)
@click.option(
    "--max-queries",
    type=ask.COUNT,
    help="Ask at most so many inputs, in an order that the fingerprint fixes.  [default: all]",
)
@click.option(
    "--adjust",
    type=options.ChoiceFrom("cemfp.verification.adjust:ADJUSTMENTS"),
    default="holm",
    show_default=True,
    help="How p-values of several suspects are adjusted.",
)
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
@keeping
@ask.asking
@click.pass_context
def verify(
    ctx: click.Context,
    file: Path,
    suspects: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    alpha: float | None,
    adjust: str,
    controls: int | None,
    labels: str | None,
    convention: Convention | None,
    transforms: tuple[str, ...],
    size: tuple[int, int] | None,
    method: Method | None,
    trust: bool,
    asking: Asking,
    evidence: Evidence | None,
    **settings: Any,
) -> None:
    """Say whether SUSPECT is a copy of the model whose fingerprint is in FILE.

    SUSPECT is a classifier directory; a file (.keras, .h5, .tflite, .onnx, .pt of TorchScript) or a
    SavedModel, opened in a sandbox, since it may run code; python:module:function, which takes
    images and returns scores, labels or names; the address of a server
    (http://host:8501/v1/models/NAME of TensorFlow Serving or KServe, http://host:8080/v2/models/NAME
    of Open Inference); or a .yaml file that describes an API, see `cemfp suspect probe`.

    Before the fingerprint it is asked ordinary images. A suspect that is not right on them was not
    asked what it understands: the verdict is inconclusive, and says what to add.

    Several suspects are judged one by one; a table shows them with adjusted p-values. Options of
    opening and asking hold for each of them, --budget too.

    Exit status: 0 match, 1 no match, 2 bad use or failure, 3 inconclusive. Of several suspects: 2
    if one could not be judged, else 0 if one matches, else 3 if one is inconclusive, else 1.

    \b
    Example:
      cemfp verify my.cemfp zoo/thief
      cemfp verify my.cemfp app.tflite --scale 255
      cemfp verify my.cemfp https://host/v2/models/NAME --alpha 0.01
      cemfp verify my.cemfp zoo/* --csv
    """
    from cemfp.fingerprint.artifact import Fingerprint

    check_transforms(transforms)  # a slip of the pen shows before anything is opened
    order = None if labels is None else class_order(labels)
    _check_together(suspects, asking, evidence, as_json=as_json, as_csv=as_csv)
    ask.check_reach(asking, suspects)
    loaded = Fingerprint.load(file)
    if controls is not None and 0 < controls < FEWEST:
        raise click.BadParameter(f"expected 0 or at least {FEWEST}: fewer show nothing.")
    resize = Resize(size, method or "bilinear") if size or method else None
    means = Means(convention, order, transforms, resize, trust)
    # Each at its share: then the rate holds for the chance that any innocent one is accused.
    settings |= {"alpha": alpha and alpha / len(suspects), "controls": controls}
    settings["evidence"] = evidence
    # A suspect of the user's own may print, which does not belong into the verdict.
    with contextlib.redirect_stdout(sys.stderr):
        judged = _judge_all(suspects, file, loaded, means, asking, settings)
    _print(judged, adjust, as_json=as_json, as_csv=as_csv)
    ctx.exit(verdicts.status(judged))


def _check_together(
    suspects: tuple[str, ...],
    asking: Asking,
    evidence: Evidence | None,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Refuse options that contradict each other."""
    if as_json and as_csv:
        raise click.UsageError("expected --json or --csv. Received: both.")
    if len(suspects) > 1 and asking.log is not None:
        raise click.UsageError(
            f"--log is the log of one suspect. Received: {len(suspects)} suspects."
        )
    if len(suspects) > 1 and evidence is not None:
        raise click.UsageError(f"--evidence is on one suspect. Received: {len(suspects)} suspects.")
    if len(set(suspects)) < len(suspects):
        raise click.UsageError("expected suspects, each once. Received: one twice.")


def _judge_all(
    suspects: tuple[str, ...],
    file: Path,
    loaded: Any,
    means: Means,
    asking: Asking,
    settings: dict[str, Any],
) -> list[Judged]:
    """Judge one suspect, or several: then one that cannot be judged does not stop the others."""
    from cemfp.suspects import SuspectError

    judged = []
    for suspect in suspects:
        try:
            judged.append(judge(suspect, file, loaded, means, asking, **settings))
        except SuspectError as error:
            if len(suspects) == 1:
                raise
            shown = names.shown(suspect)
            judged.append(Judged(shown, error=str(error).removeprefix(f"{shown}: ")))
    return judged


def _print(judged: list[Judged], adjust: str, *, as_json: bool, as_csv: bool) -> None:
    first = judged[0]
    if as_json and len(judged) == 1:
        return echo_json(first.to_dict())
    found = verdicts.rows(judged, adjust)
    if as_json:
        return echo_json({"adjust": adjust, "verdicts": found})
    if as_csv:
        return click.echo(verdicts.as_csv(found), nl=False)
    if len(judged) > 1:
        for line in verdicts.table(judged, found):
            click.echo(line)
        return None
    assert first.verdict is not None
    click.echo(f"{first.suspect}: {first.verdict.decision}. {first.verdict.reason}")
    if first.verdict.about_models:
        click.echo(first.verdict.about_models)
