"""The options of a fingerprint that is made by a committed rule."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cemfp.cli import options
from cemfp.cli.work import check_file

if TYPE_CHECKING:
    from cemfp.cli.work import Progress
    from cemfp.data import Dataset
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.fingerprint.rule import Rule

TARGETS = 3
# What a rule decides, so that nobody else may.
_DECIDED = ("seed", "balance")


@dataclasses.dataclass(frozen=True)
class Ruled:
    """What was typed of a rule.

    Attributes:
        secret: File of the secret; None without a rule.
        statement: What the secret is bound to.
        targets: Labels of an image's ranking that count.
        record: Where all candidates that were tried go.
    """

    secret: Path | None = None
    statement: str | None = None
    targets: int = TARGETS
    record: Path | None = None

    def rule(self) -> Rule | None:
        """Return the rule; None if none was typed.

        Raises:
            click.UsageError: Half of it was typed, or what it decides.
        """
        from cemfp.fingerprint.rule import Rule, read_secret

        if self.secret is None or self.statement is None:
            if (self.secret, self.statement, self.targets, self.record) != (
                None,
                None,
                TARGETS,
                None,
            ):
                raise click.UsageError(
                    "expected --rule FILE and --statement TEXT together, and --targets and "
                    "--record with them only."
                )
            return None
        source = click.get_current_context().get_parameter_source
        typed = [name for name in _DECIDED if source(name) is ParameterSource.COMMANDLINE]
        if typed:
            raise click.UsageError(f"the rule decides that: leave --{typed[0]} out.")
        return Rule(read_secret(self.secret), self.statement, self.targets)

    def place(self, out: Path, *, force: bool) -> Path:
        """Return where the record goes, if the fingerprint goes to `out`.

        Raises:
            click.UsageError: Something is there already.
        """
        path = self.record or out.with_name(f"{out.stem}.tried{out.suffix}")
        if self.secret is not None:
            check_file(path)
            if path.exists() and not force:
                raise click.UsageError(f"{path} exists already; name another --record.")
        return path


def ruled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, and give the function one `ruled`."""

    @functools.wraps(function)
    def with_rule(*args: Any, rule: Path | None, record: Path | None, **values: Any) -> Any:
        """Put them together."""
        typed = {name: values.pop(name) for name in ("statement", "targets")}
        return function(*args, ruled=Ruled(rule, record=record, **typed), **values)

    added = (
        click.option(
            "--rule",
            type=options.PATH,
            metavar="SECRET",
            help="File of a secret (head -c 32 /dev/urandom > SECRET) that decides starting "
            "images, target labels and seed, for cem and the methods from noise. Commit to its "
            "hash; a judge gets it later.",
        ),
        click.option(
            "--statement", metavar="TEXT", help="With --rule: whose model, which version, when."
        ),
        click.option(
            "--targets",
            type=click.IntRange(1),
            default=TARGETS,
            show_default=True,
            help="With --rule: how many labels, the first that the secret ranks for an image, may "
            "be its key.",
        ),
        click.option(
            "--record",
            type=options.PATH,
            callback=options.new_path,
            help="With --rule: new file for all candidates that were tried.  [default: "
            "NAME.tried.cemfp beside --out]",
        ),
    )
    return functools.reduce(lambda made, option: option(made), reversed(added), with_rule)


def generate(
    method: Any,
    models: Any,
    dataset: Dataset | None,
    rule: Rule | None,
    settings: dict[str, Any],
    progress: Progress,
) -> tuple[Fingerprint, Fingerprint | None, str]:
    """Return the fingerprint, the record of what a rule tried, and what fell short."""
    from cemfp.fingerprint.by_rule import make_by_rule
    from cemfp.fingerprint.generate import make_fingerprint

    if rule is None:
        made, short = make_fingerprint(method, models, dataset, **settings, progress=progress)
        return made, None, str(short) if short else ""
    settings = {name: settings[name] for name in settings.keys() - {"seed", "balance"}}
    found = make_by_rule(method, models, dataset, rule, **settings, progress=progress)
    short_of = settings["size"] - len(found.fingerprint)
    note = f"{len(found.fingerprint)} of {settings['size']} inputs found" if short_of else ""
    return *found, note
