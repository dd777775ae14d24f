"""`cemfp report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cemfp.cli import options
from cemfp.cli.commitments import EXISTING
from cemfp.cli.options import SeveralValues
from cemfp.cli.work import check_file


@click.command(cls=SeveralValues)
@click.argument("bundle", type=EXISTING)
@click.option("--case", default="", help="Title of the report.")
@click.option(
    "--party",
    "parties",
    multiple=True,
    metavar="'ROLE: NAME'",
    help="Who is who, 'Owner: Example Ltd'; repeatable.",
)
@click.option(
    "--summary",
    type=EXISTING,
    help="summary.json of `cemfp protect`: what its self-test says that the fingerprint survives.",
)
@options.classifiers(
    "--model",
    "Source and calibration references, which say what other explanations they test; only their "
    "config is believed. Repeatable; quoted patterns work.",
)
@click.option(
    "--out", type=options.PATH, help="Stem of report files.  [default: BUNDLE without .zip]"
)
@options.force
def report(
    bundle: Path,
    case: str,
    parties: tuple[str, ...],
    summary: Path | None,
    model: tuple[Path, ...],
    out: Path | None,
    force: bool,
) -> None:
    """Say what BUNDLE of `cemfp verify --evidence` shows: OUT.report.html and OUT.report.json.

    Both are put into BUNDLE, too, where `cemfp recheck` covers them; its SHA-256, which is printed,
    is then another.

    \b
    Example:
      cemfp report evidence.zip --party 'Owner: Example Ltd' --summary protected/summary.json
    """
    from cemfp.evidence import reporting
    from cemfp.evidence.gather import add_report
    from cemfp.evidence.provenance import of_classifier
    from cemfp.storage.files import hash_file, write_atomic

    stem = out or bundle.with_suffix("")
    files = [stem.with_name(f"{stem.name}.report{end}") for end in (".json", ".html")]
    for file in files:
        check_file(file)
        if file.exists() and not force:
            raise click.UsageError(f"{file} exists already; name another --out or add --force.")
    added: dict[str, Any] = {"case": case, "parties": tuple(map(_party, parties))}
    added["models"] = tuple(map(of_classifier, model))
    if summary is not None:
        added |= reporting.limits(summary)
    made = add_report(bundle, added)
    for file, content in zip(files, made, strict=True):
        write_atomic(file, content)
    shown = f"{files[1]}, {files[0]}; both are in {bundle}, too"
    click.echo(f"{shown}: SHA-256 {hash_file(bundle)} from now on")


def _party(text: str) -> tuple[str, str]:
    role, colon, name = (part.strip() for part in text.partition(":"))
    if not (role and colon and name):
        raise click.BadParameter(f"expected 'ROLE: NAME'. Received: {text!r}", param_hint="--party")
    return role, name
