"""What the commands do around the library: show progress, write results whole."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import click

from cemfp.cli.errors import Failure
from cemfp.storage.files import sync_tree

ATTACKED = {"summary.json", "model.keras", "model.tflite"}

Progress = Callable[[int, int, str], None]
SILENT_SECONDS = 30.0  # a log without a line for longer looks like a program that hangs


def echo_json(value: Any) -> None:
    """Print `value` as indented JSON."""
    click.echo(json.dumps(value, indent=2, default=str))


@contextlib.contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Progress]:
    """Yield a function of (steps done, steps in all, text) that shows a bar with the time left.

    Where standard error is no terminal it is a line each tenth of the way or 30 seconds.
    """
    from tqdm import tqdm

    if not quiet and not sys.stderr.isatty():
        yield _lines(label)
        return
    with tqdm(desc=label, disable=quiet, file=sys.stderr, leave=False, unit="step") as bar:

        def show(done: int, total: int, text: str) -> None:
            bar.total = total
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield show


def _lines(label: str) -> Progress:
    """Return a function that writes its progress as lines, for logs."""
    from tqdm import tqdm

    started = monotonic()
    said = (0, started)  # tenths of the way, and when that was written

    def show(done: int, total: int, text: str) -> None:
        """Write a line if one is due."""
        nonlocal said
        now, tenths = monotonic(), 10 * done // max(total, 1)
        if tenths == said[0] and now - said[1] < SILENT_SECONDS:
            return
        said = (tenths, now)
        left = (now - started) * (total - done) / max(done, 1)
        click.echo(
            f"{label}: {done} of {total} steps, {tqdm.format_interval(left)} left, {text}", err=True
        )

    return show


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory that becomes `path` when the block ends well; else nothing is left.

    What a command made there before, or an empty directory, is replaced.

    Raises:
        Failure: Something else is there.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        sync_tree(temporary)
        old = _beside(path)
        if path.exists():
            os.rename(path, old)
        os.rename(temporary, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(path: Path) -> None:
    """Let --force replace what the commands make, never a directory of something else."""
    if path.exists() and not (path / "config.json").is_file() and not _only_attacked(path):
        raise Failure(f"{path} is no classifier directory: not replaced, even with --force.")


def check_file(path: Path) -> None:
    """Let --force replace a file, never a directory or a device."""
    if path.is_dir():
        raise Failure(f"{path} is a directory: name a file.")
    if path.exists() and not path.is_file():
        raise Failure(f"{path} is no regular file: not replaced, even with --force.")


def _only_attacked(path: Path) -> bool:
    """Whether it is empty, or all in it is what an attack leaves that is no classifier."""
    return path.is_dir() and {file.name for file in path.iterdir()} <= ATTACKED


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
