"""How the commands open a suspect as the options say, and have it judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import asking as ask
from cemfp.cli.asking import Asking
from cemfp.models.convention import UNIT, Convention
from cemfp.suspects import names
from cemfp.suspects.resizing import Resize, Resized

if TYPE_CHECKING:
    from cemfp.cli.gathering import Evidence
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.suspects import QueryLog, Suspect
    from cemfp.verification import Verdict


@dataclasses.dataclass(frozen=True)
class Means:
    """What was typed on how a suspect takes its images, and what it means by its answers.

    Attributes:
        convention: What it is fed; None to find out.
        order: The fingerprint's class of each of its classes; None if they are the same.
        transforms: What changes the inputs on their way.
        resize: How they are resized.
        trust: Whether to open a file without a complete sandbox.
    """

    convention: Convention | None
    order: tuple[int, ...] | None
    transforms: tuple[str, ...]
    resize: Resize | None
    trust: bool


@dataclasses.dataclass(frozen=True)
class Judged:
    """A suspect's verdict, or why there is none.

    Attributes:
        suspect: Its name, fit to be shown.
        verdict: None if it could not be judged.
        error: Why not, in one line.
        facts: What else is to be recorded, JSON-able.
    """

    suspect: str
    verdict: Verdict | None = None
    error: str = ""
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """One JSON-able row."""
        rest = {"error": self.error} if self.verdict is None else self.verdict.to_dict()
        return {"suspect": self.suspect, **self.facts, **rest}


def judge(
    suspect: str,
    file: Path,
    loaded: Fingerprint,
    means: Means,
    asking: Asking,
    *,
    controls: int | None,
    evidence: Evidence | None = None,
    **settings: Any,
) -> Judged:
    """Open a suspect, ask it, and judge it.

    Args:
        suspect: As typed.
        file: Of the fingerprint.
        loaded: The fingerprint.
        means: How it takes its images.
        asking: How it is asked.
        controls: Control images; see `verification.verify`.
        evidence: Where to keep all that the verdict rests on.
        settings: Those of `verification.make_rule`.

    Raises:
        SuspectError: It cannot be opened or asked.
    """
    from cemfp import verification

    rule = verification.make_rule(loaded, **settings)
    shown = names.shown(suspect)
    if evidence is not None:
        asking = evidence.prepared(file, asking, suspect)
    with ask.kept_log(asking, file, loaded, suspect) as log, names.named(suspect):
        ask.check_budget(asking, log, loaded, controls, rule)
        opened = _open(suspect, loaded, means, asking, log)
        if means.convention is None:
            opened, found = verification.find_convention(loaded, opened)
            click.echo(f"{shown}: asked with {found}", err=True)
        if asking.budget is not None:
            ask.ask_first(loaded, opened, controls, rule)
        verdict = verification.verify(loaded, opened, controls=controls, **settings)
        if evidence is not None:
            used = {"controls": controls, **settings}
            evidence.keep(file, loaded, suspect, opened, verdict, log, asking, used)
        facts = {"through": means.transforms, "fingerprint": file, "resized": _resized(opened)}
        return Judged(shown, verdict, facts={**facts, **ask.facts(log)})


def check_transforms(transforms: tuple[str, ...]) -> None:
    """Refuse a slip of the pen before anything is opened."""
    if transforms:
        from cemfp.suspects.transforms import parse

        for transform in transforms:
            parse(transform)


def _open(
    suspect: str,
    loaded: Fingerprint,
    means: Means,
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
        convention=means.convention or UNIT,
        resize=means.resize,
        trust=means.trust,
    )
    for line in _said(opened):
        click.echo(f"{names.shown(suspect)}: {line}", err=True)
    named = matched(opened, loaded.class_names)
    if means.order is not None:
        opened = Relabelled(opened, means.order)
    elif named is not opened:
        click.echo(
            f"{names.shown(suspect)}: its classes are put in the fingerprint's order", err=True
        )
        opened = named
    if means.transforms:
        from cemfp.suspects.transforms import through

        # The last to be put in front changes the image first.
        for transform in reversed(means.transforms):
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


def class_order(labels: str) -> tuple[int, ...]:
    """Return the classes of --labels."""
    try:
        return tuple(int(part) for part in labels.split(","))
    except ValueError as error:
        raise click.BadParameter(
            f"expected classes with commas, 2,0,1. Received: {labels!r}", param_hint="--labels"
        ) from error
