"""Every failure as one line on standard error, with exit status 2; an end from outside, too."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import ClassVar

import click
from click.exceptions import Exit, NoArgsIsHelpError

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
TERMINATED = 143  # 128 + SIGTERM


class Terminated(BaseException):
    """The process was asked to end; like an interrupt, no `except Exception` takes it.

    Attributes:
        came: Whether it was raised in the block that can be ended so. Compiled code in between may
            make another exception of it.
    """

    came: ClassVar[bool] = False


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what it cleans up is cleaned up.

    Outside the main thread, where Python takes no signals, nothing changes.
    """

    def end(number: int, frame: FrameType | None) -> None:
        # A second one must not break into the cleaning.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Terminated.came = True
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    Terminated.came = False
    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


class Failure(click.ClickException):
    """The command cannot do what was asked; the message is the one line the user sees."""

    exit_code = 2


@contextlib.contextmanager
def one_line_errors(*, debug: bool) -> Iterator[None]:
    """Turn what the block raises into a `Failure`, Ctrl-C and SIGTERM into status 130 and 143.

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
        raise _ended("Interrupted", INTERRUPTED) from error
    except Terminated as error:
        raise _ended("Terminated", TERMINATED) from error
    except Exception as error:
        _raise_if_ended(error)
        if debug:
            traceback.print_exc()
        raise Failure(describe(error)) from error


def _raise_if_ended(error: BaseException) -> None:
    # A signal may arrive inside compiled code, which makes a SystemError of its exception.
    if Terminated.came:
        raise _ended("Terminated", TERMINATED) from error
    before = error.__cause__ or error.__context__
    if isinstance(before, KeyboardInterrupt):
        raise _ended("Interrupted", INTERRUPTED) from error


def _ended(how: str, status: int) -> Exit:
    # A terminal shows ^C at the start of the line.
    start = "\n" if sys.stderr.isatty() else ""
    click.echo(f"{start}{how}: what was not finished is not kept.", err=True)
    return Exit(status)


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
