"""`cemfp keygen`, `cemfp commit` and `cemfp open`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cemfp.cli import options
from cemfp.cli.errors import Failure
from cemfp.cli.work import check_file
from cemfp.suspects.network.connection import Connection

if TYPE_CHECKING:
    from cemfp.evidence.commitment import Commitment, Salts
    from cemfp.fingerprint.artifact import Fingerprint

PASSPHRASE = "CEMFP_PASSPHRASE"
COMMITMENT, SALTS, OPENING = ".commitment", ".salts", ".opening"
SECRET = 0o600
EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("file", type=options.PATH, callback=options.new_path)
@options.force
def keygen(file: Path, force: bool) -> None:
    """Make a key to sign commitments with: FILE, encrypted, and FILE.pub for everybody.

    The passphrase is asked for, or taken from the environment variable CEMFP_PASSPHRASE.

    \b
    Example: cemfp keygen owner.pem
    """
    from cemfp.evidence.signing import new_key, read_public_key
    from cemfp.storage.files import write_atomic

    del force  # read by the check of FILE
    check_file(file)
    secret, public = new_key(_passphrase(confirm=True))
    write_atomic(file, secret, mode=SECRET)
    write_atomic(beside(file, ".pub"), public)
    click.echo(f"{file}: a key, keep it and its passphrase; public key {read_public_key(public)}")


@click.command()
@click.argument("file", type=EXISTING)
@click.option(
    "--reserve",
    type=click.IntRange(1),
    help="Inputs to keep back, drawn at random, for a later test with inputs that nobody was ever "
    "asked: writes FILE.public and FILE.reserve, and commits to both.",
)
@click.option("--key", type=EXISTING, help="Key of `cemfp keygen` to sign with.")
@click.option("--tsa", metavar="URL", help="Authority that stamps the time (RFC 3161).")
@click.option(
    "--tsa-root", type=EXISTING, help="Its root certificates, PEM: its answer is checked at once."
)
@options.force
def commit(
    file: Path,
    reserve: int | None,
    key: Path | None,
    tsa: str | None,
    tsa_root: Path | None,
    force: bool,
) -> None:
    """Fix the fingerprint in FILE, calibration included, before a suspect is known.

    Writes FILE.commitment, which discloses nothing and may be published, and FILE.salts, which is
    needed to show later what was committed to: keep it secret, and do not lose it.

    \b
    Example:
      cemfp commit my.cemfp --key owner.pem --tsa https://tsa.example/tsr --tsa-root tsa.pem
    """
    from cemfp.evidence import commitment as made
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.storage.files import write_atomic

    if (tsa is None) != (tsa_root is None):
        raise click.UsageError("expected --tsa together with --tsa-root.")
    places = {end: beside(file, end) for end in (COMMITMENT, SALTS)}
    if reserve is not None:
        places |= {part: beside(file, f".{part}") for part in (made.PUBLIC, made.RESERVE)}
    _check_new(places.values(), force=force)
    parts = _parts(Fingerprint.load(file), reserve)
    commitment, salts = made.commit(parts)
    commitment = _vouched(commitment, key, tsa, tsa_root)
    for part in (made.PUBLIC, made.RESERVE) if reserve is not None else ():
        mode = SECRET if part == made.RESERVE else 0o666
        write_atomic(places[part], parts[part].to_bytes(), mode=mode)
        click.echo(f"{places[part]}: {len(parts[part])} inputs")
    write_atomic(places[SALTS], salts.to_bytes(), mode=SECRET)
    write_atomic(places[COMMITMENT], commitment.to_bytes())
    click.echo(f"{places[COMMITMENT]}: root {commitment.root}, {_said(commitment)}")
    click.echo(f"{places[SALTS]}: keep this secret; without it nothing can be shown")


@click.command("open")
@click.argument("file", type=EXISTING)
@click.option(
    "--input", "inputs", type=click.IntRange(0), multiple=True, help="Which, from 0; repeatable."
)
@click.option(
    "--commitment",
    "path",
    type=EXISTING,
    help="With the salts beside it.  [default: FILE.commitment, of a part that of the whole]",
)
@options.output("File to write: the opening.")
def open_inputs(
    file: Path, inputs: tuple[int, ...], path: Path | None, out: Path, force: bool
) -> None:
    """Show single inputs of the fingerprint in FILE, or all of it, to have been committed to.

    Whoever gets the opening checks it with `cemfp recheck`. It says nothing of other inputs.

    \b
    Example: cemfp open my.cemfp --input 3 --input 5 --out two.opening
    """
    from cemfp.evidence.opening import open_leaves
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.storage.files import write_atomic

    del force  # read by the check of --out
    check_file(out)
    commitment, salts, part = find(file, path)
    opening = open_leaves(
        commitment, salts, Fingerprint.load(file), part=part, inputs=inputs or None
    )
    write_atomic(out, opening.to_bytes())
    click.echo(f"{out}: {len(opening.leaves)} of {commitment.leaves} leaves")


def find(file: Path, path: Path | None = None) -> tuple[Commitment, Salts, str]:
    """Return the commitment to a fingerprint's file, its salts, and which part of it the file is.

    Args:
        file: Of the fingerprint.
        path: Of the commitment; None for where `cemfp commit` puts it.

    Raises:
        Failure: There is none.
        EvidenceError: It is damaged.
    """
    from cemfp.evidence import commitment as made

    part = made.RESERVE if file.suffix == f".{made.RESERVE}" else made.PUBLIC
    path = path or place_of(file)
    salts = path.with_suffix(SALTS)
    for needed in (path, salts):
        if not needed.is_file():
            raise Failure(f"{needed}: no such file; `cemfp commit` writes it")
    commitment = made.Commitment.from_bytes(path.read_bytes())
    return commitment, made.Salts.from_bytes(salts.read_bytes()), part


def place_of(file: Path) -> Path:
    """Return where `cemfp commit` puts the commitment to a fingerprint's file."""
    from cemfp.evidence.commitment import PUBLIC, RESERVE

    whole = file.with_suffix("") if file.suffix[1:] in (PUBLIC, RESERVE) else file
    return beside(whole, COMMITMENT)


def beside(file: Path, end: str) -> Path:
    """Return the path with an ending more."""
    return file.with_name(file.name + end)


def _parts(loaded: Fingerprint, reserve: int | None) -> dict[str, Fingerprint]:
    from cemfp.evidence.commitment import PUBLIC, RESERVE
    from cemfp.evidence.reserve import split

    if reserve is None:
        return {PUBLIC: loaded}
    return dict(zip((PUBLIC, RESERVE), split(loaded, reserve, secrets.randbits(128)), strict=True))


def _vouched(
    commitment: Commitment, key: Path | None, tsa: str | None, tsa_root: Path | None
) -> Commitment:
    """Return the commitment signed and stamped, as far as that was asked for."""
    import dataclasses

    from cemfp.evidence import signing, timestamp

    if key is not None:
        opened = signing.read_key(key.read_bytes(), _passphrase())
        commitment = dataclasses.replace(
            commitment, signature=signing.sign(opened, commitment.body)
        )
    if tsa is not None and tsa_root is not None:
        roots = timestamp.read_roots(tsa_root.read_bytes())
        stamped = timestamp.stamp(commitment.signed, tsa, roots, Connection())
        commitment = dataclasses.replace(commitment, timestamp=stamped)
    return commitment


def _said(commitment: Commitment) -> str:
    signed = "signed" if commitment.signature else "not signed"
    authority = commitment.timestamp and commitment.timestamp.authority
    return f"{signed}, {f'stamped by {authority}' if authority else 'not stamped'}"


def _check_new(paths: Iterable[Path], *, force: bool) -> None:
    for path in paths:
        check_file(path)
        if path.exists() and not force:
            raise Failure(f"{path} exists already: what was committed to stays; or add --force")


def _passphrase(*, confirm: bool = False) -> str:
    typed = os.environ.get(PASSPHRASE)
    if typed is not None:
        return typed
    return click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
