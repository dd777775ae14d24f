"""Every failure as one line on standard error, with exit status 2."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator

import click
from click.exceptions import Exit, NoArgsIsHelpError

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


class Failure(click.ClickException):
    """The command cannot do what was asked; the message is the one line the user sees."""

    exit_code = 2


@contextlib.contextmanager
def one_line_errors(*, debug: bool) -> Iterator[None]:
    """Turn whatever the block raises into a `Failure`, and an interrupt into exit status 130.

    Args:
        debug: Print the traceback, too.
    """
    try:
        yield
    except (Exit, Failure, NoArgsIsHelpError):
        raise
    except click.UsageError as error:
        raise Failure(_usage(error)) from error
    except (KeyboardInterrupt, click.Abort) as error:
        # A terminal shows ^C at the start of the line.
        start = "\n" if sys.stderr.isatty() else ""
        click.echo(f"{start}Interrupted: what was not finished is not kept.", err=True)
        raise Exit(INTERRUPTED) from error
    except Exception as error:
        if debug:
            traceback.print_exc()
        raise Failure(describe(error)) from error


def describe(error: Exception) -> str:
    """Return one line on an exception: its own words if they are meant for people."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    # What this package raises says what was expected, what it got and what to do.
    if isinstance(error, ValueError) or type(error).__module__.startswith("cemfp."):
        return text or type(error).__name__
    return f"unexpected {type(error).__name__}: {text[:300]} (cemfp --debug shows where)"


def _usage(error: click.UsageError) -> str:
    message = " ".join(error.format_message().split())
    return f"{message} See: {error.ctx.command_path} --help" if error.ctx else message
