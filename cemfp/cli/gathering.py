"""What `cemfp verify --evidence` keeps of a verdict."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import commitments, options
from cemfp.cli.asking import SUFFIX, Asking
from cemfp.cli.errors import Failure
from cemfp.cli.work import check_file
from cemfp.models import kept
from cemfp.suspects import names

if TYPE_CHECKING:
    from cemfp.evidence.commitment import Commitment, Salts
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.suspects import QueryLog, Suspect
    from cemfp.verification import Verdict


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Where evidence goes to, and what else there is of it.

    Attributes:
        path: Of the bundle.
        commitment: Of its commitment; None for where `cemfp commit` puts it, if it is there.
        tsa_root: Certificates of the authority that stamped it.
    """

    path: Path
    commitment: Path | None = None
    tsa_root: Path | None = None

    def prepared(self, file: Path, asking: Asking, suspect: str) -> Asking:
        """Return how to ask so that every answer is kept; refuse what cannot end well.

        Args:
            file: Of the fingerprint.
            asking: As typed.
            suspect: As typed.

        Raises:
            Failure: The bundle exists, or the commitment does not.
        """
        check_file(self.path)
        if self.path.exists():
            raise Failure(f"{self.path} exists already; name another bundle with --evidence")
        self._committed(file)
        if asking.log is not None or names.is_remote(suspect):
            return asking
        return dataclasses.replace(asking, log=commitments.beside(self.path, SUFFIX))

    def keep(
        self,
        file: Path,
        loaded: Fingerprint,
        suspect: str,
        opened: Suspect,
        verdict: Verdict,
        log: QueryLog,
        asking: Asking,
        used: dict[str, Any],
    ) -> None:
        """Write the bundle.

        Args:
            file: Of the fingerprint.
            loaded: The fingerprint.
            suspect: As typed.
            opened: As it was asked.
            verdict: What followed.
            log: Of all queries.
            asking: How it was asked.
            used: What `verify` was given.
        """
        from cemfp.evidence.gather import gather
        from cemfp.evidence.opening import open_leaves
        from cemfp.storage.files import write_atomic

        assert log.path is not None
        found, opening = self._committed(file), None
        if found is not None:
            commitment, salts, part = found
            opening = open_leaves(commitment, salts, loaded, part=part)
        limits = ("budget", "batch", "rate", "deadline", "timeout", "output")
        made = gather(
            loaded,
            opened,
            verdict,
            log.path.read_bytes(),
            shown=names.shown(suspect),
            sha256=_hash(_files(suspect)),
            options=used,
            limits={name: getattr(asking, name) for name in limits},
            opening=opening,
            roots=None if self.tsa_root is None else self.tsa_root.read_bytes(),
        )
        content = made.to_bytes()
        write_atomic(self.path, content)
        digest = hashlib.sha256(content).hexdigest()
        click.echo(f"evidence {self.path}: SHA-256 {digest}", err=True)

    def _committed(self, file: Path) -> tuple[Commitment, Salts, str] | None:
        """Return what the fingerprint was committed to with; None if it was not."""
        if self.commitment is None and not commitments.place_of(file).exists():
            return None
        return commitments.find(file, self.commitment)


_OPTIONS = (
    click.option(
        "--evidence",
        type=options.PATH,
        metavar="PATH.zip",
        help="Keep all that the verdict rests on in one file, for `cemfp recheck` and "
        "`cemfp report`; over no network the log is beside it.",
    ),
    click.option(
        "--commitment",
        type=commitments.EXISTING,
        help="For --evidence, with the salts beside it.  [default: FILE.commitment, if it exists]",
    ),
    click.option(
        "--tsa-root",
        type=commitments.EXISTING,
        help="For --evidence: certificates of the authority that stamped the commitment, PEM.",
    ),
)


def keeping(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, and give the function one `evidence`, which is None without --evidence."""

    @functools.wraps(function)
    def with_evidence(*args: Any, **values: Any) -> Any:
        """Put them together."""
        path, *rest = (values.pop(name) for name in ("evidence", "commitment", "tsa_root"))
        if path is None and any(rest):
            raise click.UsageError("--commitment and --tsa-root are for --evidence.")
        kept = None if path is None else Evidence(path, *rest)
        return function(*args, evidence=kept, **values)

    return functools.reduce(lambda made, option: option(made), reversed(_OPTIONS), with_evidence)


def _files(suspect: str) -> Path:
    """Return where a suspect's files are, if it is one in files."""
    if not suspect.startswith(kept.PREFIX):
        return Path(suspect)
    return kept.find(suspect.removeprefix(kept.PREFIX))


def _hash(path: Path) -> str:
    """SHA-256 of a file, or of a list of a directory's files with their hashes; "" of neither."""
    from cemfp.storage.files import hash_file

    if path.is_file():
        return hash_file(path)
    if not path.is_dir():
        return ""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{hash_file(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
