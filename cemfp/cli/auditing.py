"""`cemfp audit`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cemfp.cli import images, options
from cemfp.cli.work import echo_json
from cemfp.models.convention import UNIT, Convention
from cemfp.suspects import names

if TYPE_CHECKING:
    from cemfp.audit import Check, Judge, Papers
    from cemfp.data import DataSpec
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.suspects import Suspect


@click.command(cls=options.SeveralValues)
@click.argument("file", type=options.PATH)
@images.data
@click.option("--source", metavar="MODEL", help="The owner's model; anything `verify` takes.")
@click.option(
    "--independent",
    "independents",
    multiple=True,
    metavar="MODEL...",
    help="The judge's own model for the same task, repeatable; anything `verify` takes.",
)
@click.option(
    "--secret", type=options.PATH, help="Of the fingerprint's rule, as the owner hands it over."
)
@click.option(
    "--record", type=options.PATH, help="The owner's file of all candidates that were tried."
)
@click.option(
    "--part",
    "parts",
    type=options.PATH,
    multiple=True,
    help="The other part of a fingerprint that was split: FILE.reserve, with FILE.public as FILE.",
)
@click.option(
    "--opening",
    type=options.PATH,
    help="What `cemfp open FILE` wrote: shows that all of FILE was committed to.",
)
@click.option("--public-key", type=options.PATH, help="The owner's, of `cemfp keygen`.")
@click.option(
    "--tsa-root", type=options.PATH, help="Certificates, PEM, of authorities that stamp the time."
)
@click.option(
    "--suspect-date", metavar="DATE", help="When the suspect was first seen; UTC without a zone."
)
@options.inputs
@options.json_output
@click.option("--trust", is_flag=True, help="As for `cemfp verify`.")
@click.pass_context
def audit(
    ctx: click.Context,
    file: Path,
    data: DataSpec,
    source: str | None,
    independents: tuple[str, ...],
    secret: Path | None,
    record: Path | None,
    parts: tuple[Path, ...],
    opening: Path | None,
    public_key: Path | None,
    tsa_root: Path | None,
    suspect_date: str | None,
    convention: Convention | None,
    as_json: bool,
    trust: bool,
) -> None:
    """Say whether the fingerprint in FILE can have been made up, or chosen to suit a suspect.

    For a judge, on models and data of his own. Each line is a check: passed, failed, or open, which
    says what is missing.

    Exit status: 0 all passed, 1 a check failed, 2 bad use or failure, 3 none failed, some are open.

    \b
    Example:
      cemfp audit my.cemfp --data cifar10 --source zoo/source --independent mine/* \\
          --secret rule.secret --record my.tried.cemfp --opening my.opening
    """
    from cemfp import audit as auditing
    from cemfp.fingerprint.artifact import Fingerprint

    if convention is None:
        raise click.UsageError("expected --scale NUMBER: an audit finds none out. Received: auto.")
    loaded = Fingerprint.load(file)
    papers = _papers(opening, public_key, tsa_root, suspect_date)
    with contextlib.redirect_stdout(sys.stderr):  # a model of somebody's may print
        judge = _judge(loaded, data, source, independents, secret, record, convention, trust)
        others = [Fingerprint.load(path) for path in parts]
        judge = dataclasses.replace(judge, papers=papers, parts=others)
        checks = auditing.audit(loaded, judge)
    outcome = auditing.worst(checks)
    if as_json:
        found = [check.to_dict() for check in checks]
        echo_json({"fingerprint": file, "outcome": str(outcome), "checks": found})
    else:
        _say(checks)
    ctx.exit({auditing.Status.PASSED: 0, auditing.Status.FAILED: 1}.get(outcome, 3))


def _judge(
    loaded: Fingerprint,
    data: DataSpec,
    source: str | None,
    independents: tuple[str, ...],
    secret: Path | None,
    record: Path | None,
    convention: Convention,
    trust: bool,
) -> Judge:
    """Open all that was named."""
    from cemfp.audit import Judge
    from cemfp.data import load
    from cemfp.data.names import in_order
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.fingerprint.rule import read_secret

    shape = loaded.inputs.shape[1:]
    dataset = in_order(load(images.fitted(data, shape)), loaded.class_names)

    def opened(name: str) -> Suspect:
        """Open a model as `cemfp verify` does."""
        return _open(name, loaded, convention, trust)

    return Judge(
        dataset,
        source=None if source is None else opened(source),
        independents={names.shown(name): opened(name) for name in independents},
        secret=None if secret is None else read_secret(secret),
        record=None if record is None else Fingerprint.load(record),
    )


def _papers(
    opening: Path | None, public_key: Path | None, tsa_root: Path | None, date: str | None
) -> Papers | None:
    """Read what shows when the fingerprint was fixed."""
    from cemfp.audit import Papers, parse_date
    from cemfp.evidence import signing, timestamp
    from cemfp.evidence.opening import Opening

    suspect = None if date is None else parse_date(date)
    if opening is None:
        if public_key or tsa_root or date:
            raise click.UsageError(
                "expected --opening with --public-key, --tsa-root and --suspect-date."
            )
        return None
    return Papers(
        Opening.from_bytes(_content(opening)),
        roots=None if tsa_root is None else timestamp.read_roots(_content(tsa_root)),
        public_key=None if public_key is None else signing.read_public_key(_content(public_key)),
        suspect=suspect,
    )


def _content(path: Path) -> bytes:
    """Return the bytes of a file, no more than any of them may have and one."""
    from cemfp.evidence.problem import LARGEST_JSON

    with path.open("rb") as file:
        return file.read(LARGEST_JSON + 1)


def _open(name: str, loaded: Fingerprint, convention: Convention, trust: bool) -> Suspect:
    from cemfp.suspects import matched, open_suspect

    own_scale = (Path(name) / "config.json").is_file() or name.startswith("zoo:")
    suspect = open_suspect(
        name,
        input_shape=loaded.inputs.shape[1:],
        classes=loaded.classes,
        class_names=loaded.class_names,
        convention=UNIT if own_scale else convention,
        trust=trust,
    )
    return matched(suspect, loaded.class_names)


def _say(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        click.echo(f"{check.name:{width}}  {check.status:6}  {check.text}")
