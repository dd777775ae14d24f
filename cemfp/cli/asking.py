"""How a suspect is asked: the options for it, and the log that goes with them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import options
from cemfp.cli.errors import Failure, Terminated
from cemfp.suspects import names
from cemfp.suspects.network.connection import TIMEOUT, Connection
from cemfp.suspects.pace import DEADLINE, Pace

if TYPE_CHECKING:
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.suspects import QueryLog, Suspect
    from cemfp.verification.rules import Rule

SUFFIX = ".queries.jsonl"
COUNT = click.IntRange(1)
BATCH = 512  # images in one question, where nothing speaks against it
SECONDS = options.Number(0, 1e7, min_open=True)


@dataclasses.dataclass(frozen=True)
class Asking:
    """What was typed on how to ask.

    Attributes:
        budget: Most queries.
        batch: Images in one question.
        rate: Questions a second.
        deadline: Seconds for all of it.
        log: File of queries and answers.
        headers: Of HTTP requests.
        timeout: Seconds for one request.
        output: Which of several outputs to read.
    """

    budget: int | None = None
    batch: int | None = None
    rate: float | None = None
    deadline: float = DEADLINE
    log: Path | None = None
    headers: tuple[str, ...] = ()
    timeout: float = TIMEOUT
    output: str | None = None

    @property
    def remembers(self) -> bool:
        """Whether anything was typed that needs the queries counted."""
        typed = (self.budget, self.batch, self.rate, self.log)
        return any(x is not None for x in typed) or self.deadline != DEADLINE

    def connection(self) -> Connection:
        """How to reach a server; the deadline begins now."""
        pace = Pace(rate=self.rate, deadline=self.deadline, say=_say)
        return Connection(self.headers, self.timeout, pace, self.output)


_OPTIONS = {
    "budget": click.option(
        "--budget",
        type=COUNT,
        help="Most queries, those of earlier runs in the log and repeated ones included.  "
        "[default: no bound]",
    ),
    "batch": click.option(
        "--batch",
        type=COUNT,
        help="Images in one question.  [default: 1 over the network, else 512]",
    ),
    "rate": click.option(
        "--rate",
        type=options.Number(0, 1e6, min_open=True),
        help="Most questions a second, which may be a fraction.",
    ),
    "deadline": click.option(
        "--deadline",
        type=SECONDS,
        default=DEADLINE,
        show_default=True,
        help="Seconds after which nothing is asked any more.",
    ),
    "log": click.option(
        "--log",
        type=options.PATH,
        help="File that keeps every query and answer: the next run goes on from it, and asks "
        f"nothing twice.  [default: over the network FILE.(hash){SUFFIX}, else none]",
    ),
    "headers": click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="Header of HTTP requests, repeatable. Credentials come from the environment: "
        "'Authorization: Bearer ${TOKEN}'; a netrc file works, too.",
    ),
    "timeout": click.option(
        "--timeout",
        type=SECONDS,
        default=TIMEOUT,
        show_default=True,
        help="Seconds for one HTTP request.",
    ),
    "output": click.option(
        "--output", metavar="NAME", help="Which of several outputs to read: a name or a number."
    ),
}


def _with(names: Sequence[str], function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def with_asking(*args: Any, **values: Any) -> Any:
        """Put them together."""
        typed = Asking(**{name: values.pop(name) for name in names})
        return function(*args, asking=typed, **values)

    return functools.reduce(lambda inner, name: _OPTIONS[name](inner), reversed(names), with_asking)


def asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add all the options, and give the function one `asking`."""
    return _with(tuple(_OPTIONS), function)


def reaching(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add those that say how a server is reached, and give the function one `asking`."""
    return _with(("rate", "deadline", "headers", "timeout", "output"), function)


def check_reach(asking: Asking, suspects: Sequence[str]) -> None:
    """Refuse options of HTTP requests where no suspect gets any."""
    if any(map(names.is_remote, suspects)):
        return
    typed = {"--header": bool(asking.headers), "--timeout": asking.timeout != TIMEOUT}
    if said := [name for name, is_typed in typed.items() if is_typed]:
        raise click.UsageError(
            f"expected an address, or a .yaml description of one, with {' and '.join(said)}. "
            f"Received: {', '.join(map(names.shown, suspects))}, which gets no HTTP requests."
        )


@contextlib.contextmanager
def kept_log(
    asking: Asking, file: Path, fingerprint: Fingerprint, suspect: str
) -> Iterator[QueryLog]:
    """Yield the log of the queries; say what it holds when the block begins and ends.

    A new one in which nothing was asked is removed.

    Args:
        asking: Options.
        file: Of the fingerprint; the log is kept beside it.
        fingerprint: What is asked.
        suspect: As typed.
    """
    from cemfp.evidence.asking import hash_of_questions
    from cemfp.suspects import NoAnswer, QueryLog

    path, name = asking.log, names.identity(suspect)
    if asking.output is not None:
        name += f" output {asking.output}"
    if path is None and names.is_remote(suspect):
        short = hashlib.sha256(name.encode()).hexdigest()[:8]
        path = file.with_name(f"{file.name}.{short}{SUFFIX}")
    about = {"suspect": name, "fingerprint": hash_of_questions(fingerprint)}
    new = path is not None and not path.exists()
    with QueryLog(path, about) as log:
        known, before = len(log.answers), log.asked
        if path is not None:
            cut = "; its last line was damaged, and is cut off" if log.repaired else ""
            click.echo(f"log {path}: {known} inputs answered before{cut}", err=True)
        try:
            yield log
        except (KeyboardInterrupt, Terminated, NoAnswer):
            if path is not None:
                click.echo(
                    f"{log.asked - before} queries now; {path} keeps {len(log.answers)} answers, "
                    "the same command goes on from there",
                    err=True,
                )
            raise
        finally:
            if path is not None and new and not log.asked:
                path.unlink(missing_ok=True)  # whoever could not be asked leaves nothing


def check_budget(
    asking: Asking, log: QueryLog, fingerprint: Fingerprint, controls: int | None, rule: Rule
) -> None:
    """Refuse a budget that need not suffice, before anything is asked."""
    if asking.budget is None:
        return
    ordinary = 0 if fingerprint.controls is None else len(fingerprint.controls[:controls])
    needed, left = ordinary + rule.most, asking.budget - log.asked
    if needed - len(log.answers) > left:
        raise Failure(
            f"expected a budget for {ordinary} control images (--controls) and {rule.most} "
            f"inputs (--max-queries), {len(log.answers)} of which are answered. Received: "
            f"--budget {asking.budget}, of which {log.asked} were asked"
        )


def ask_first(fingerprint: Fingerprint, suspect: Suspect, controls: int | None, rule: Rule) -> None:
    """Ask what the verdict needs at least, before a budget is spent on other input conventions."""
    from cemfp.suspects import NoAnswer, SuspectError, answer_labels

    try:
        if fingerprint.controls is not None:
            answer_labels(suspect, fingerprint.controls[:controls], fingerprint.classes)
        rule(suspect, BATCH)
    except NoAnswer:
        raise
    except SuspectError:
        return  # the verification says what is wrong


def remembering(
    asking: Asking, log: QueryLog, pace: Pace, *, remote: bool
) -> Callable[[Suspect], Suspect] | None:
    """Return what puts the log, the pace and the budget around a suspect, if it needs them."""
    from cemfp.suspects import Remembered

    if not remote and not asking.remembers:
        return None
    batch = asking.batch or (1 if remote else None)
    return functools.partial(Remembered, log=log, pace=pace, batch=batch, budget=asking.budget)


def facts(log: QueryLog) -> dict[str, Any]:
    """What a log says of itself, if it is in a file; JSON-able."""
    return {} if log.path is None else {"log": log.path, "queries_asked": log.asked}


def _say(text: str) -> None:
    click.echo(text, err=True)
