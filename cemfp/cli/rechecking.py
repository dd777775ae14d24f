"""`cemfp recheck`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cemfp.cli import options
from cemfp.cli.commitments import EXISTING
from cemfp.cli.work import echo_json

if TYPE_CHECKING:
    from cemfp.evidence.findings import Finding


@click.command()
@click.argument("path", type=EXISTING)
@click.option(
    "--tsa-root",
    type=EXISTING,
    help="Root certificates of timestamp authorities that you trust, PEM.  [default: those in the "
    "bundle, which prove nothing until you compare them]",
)
@click.option(
    "--public-key", type=EXISTING, help="The owner's, FILE.pub: the commitment has to be signed."
)
@options.json_output
@click.pass_context
def recheck(
    ctx: click.Context,
    path: Path,
    tsa_root: Path | None,
    public_key: Path | None,
    as_json: bool,
) -> None:
    """Check evidence again: a bundle of `cemfp verify --evidence`, an opening or a commitment.

    Needs neither the models nor the network. One line for each part says whether it holds; the
    verdict is made again from the logged answers, and every number compared.

    Exit status: 0 all that is there holds, 1 something differs, 2 PATH is no evidence.

    \b
    Example: cemfp recheck evidence.zip --tsa-root tsa.pem --public-key owner.pem.pub
    """
    from cemfp.evidence.findings import DIFFERS
    from cemfp.evidence.papers import check_path
    from cemfp.evidence.signing import read_public_key
    from cemfp.evidence.timestamp import read_roots

    found = check_path(
        path,
        roots=None if tsa_root is None else read_roots(tsa_root.read_bytes()),
        public_key=None if public_key is None else read_public_key(public_key.read_bytes()),
    )
    if as_json:
        echo_json([dataclasses.asdict(one) for one in found])
    else:
        _print(found)
    ctx.exit(int(any(one.status == DIFFERS for one in found)))


def _print(found: list[Finding]) -> None:
    width = max(len(one.part) for one in found)
    for one in found:
        click.echo(f"{one.part:{width}}  {one.status:11}  {one.text}")
