"""Kinds of values that commands take, and the options that several of them share."""

from __future__ import annotations

import functools
import glob
import importlib
import inspect
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cemfp.models import kept
from cemfp.models.convention import Convention
from cemfp.models.directory import CONFIG, KERAS_FILE, ClassifierError

PATH = click.Path(path_type=Path)
AUTO = "auto"
LONGEST_NAME = 200  # a file system has 255, and a temporary name is longer


class ChoiceFrom(click.Choice):
    """A choice among the keys of a table that is imported only when it is needed.

    Attributes:
        table: `module:NAME` of a dictionary, `NETS` say, or of anything to iterate over.
        more: Further choices.
    """

    def __init__(self, table: str, *more: str) -> None:
        self.table, self.more, self.case_sensitive = table, more, True

    @functools.cached_property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The keys."""
        module, _, name = self.table.partition(":")
        return (*getattr(importlib.import_module(module), name), *self.more)


class Number(click.FloatRange):
    """A float in a range; unlike click's, NaN and infinity are in none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class ClassifierPath(click.ParamType):
    """A classifier directory, `zoo:NAME` or a `.keras` file; looked at, not loaded."""

    name = "classifier"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path."""
        if str(value).startswith(kept.PREFIX):
            try:
                return kept.find(value.removeprefix(kept.PREFIX))
            except ClassifierError as error:
                self.fail(f"{error}.", param, ctx)
        path = Path(value)
        if any((path / name).is_file() for name in (CONFIG, KERAS_FILE)):
            return path
        if not path.exists():
            self.fail(f"{value}: no such file or directory.", param, ctx)
        # Keras would read a renamed HDF5 file, too, and run the code hidden in it.
        if path.suffix != ".keras" or not zipfile.is_zipfile(path):
            self.fail(
                f"expected a classifier directory (with config.json), zoo:NAME or a .keras file. "
                f"Received: {value}.",
                param,
                ctx,
            )
        return path


class ClassifierPaths(ClassifierPath):
    """The same, or a pattern that stands for several: 'nets/surrogate-*', 'zoo:*-reference-*'."""

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[Path, ...]:  # type: ignore[override]
        """Return the paths, sorted."""
        if os.path.exists(value) or not glob.has_magic(value):
            return (super().convert(value, param, ctx),)
        if value.startswith(kept.PREFIX):
            found = list(map(str, kept.matching(value)))
        else:
            found = sorted(glob.glob(value))
        if not found:
            self.fail(f"{value}: nothing matches this pattern.", param, ctx)
        return tuple(super(ClassifierPaths, self).convert(path, param, ctx) for path in found)


class SeveralValues(click.Command):
    """A command whose repeatable options also take several values at once.

    `--surrogate a b c` is `--surrogate a --surrogate b --surrogate c`: this is what the shell makes
    of `--surrogate zoo/surrogate-*`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each of its values, then parse as ever."""
        repeatable = {
            name
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and param.multiple
            for name in param.opts
        }
        return super().parse_args(ctx, list(_repeat(args, repeatable)))


def _repeat(arguments: Sequence[str], repeatable: set[str]) -> Iterator[str]:
    option, fed = "", False
    for argument in arguments:
        if argument.startswith("-"):
            option, fed = (argument if argument in repeatable else ""), False
        elif option and fed:
            yield option
        else:
            fed = True
        yield argument


def _flatten(ctx: click.Context, param: click.Parameter, groups: Any) -> tuple[Path, ...]:
    """Put the matches of all patterns in one list, each path once."""
    return tuple(dict.fromkeys(path for group in groups for path in group))


def new_path(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a place that is taken or that cannot be written, before any work is done."""
    if path is None:
        return None
    if path == Path():
        raise click.BadParameter("expected a name. Received: nothing.", ctx, param)
    path = path.absolute()
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise click.BadParameter(f"expected a name of at most {LONGEST_NAME} bytes.", ctx, param)
    if path.exists() and not ctx.params.get("force"):
        raise click.BadParameter("exists already; name another or add --force.", ctx, param)
    _check_writable(path.parent, ctx, param)
    return path


def directory(ctx: click.Context, param: click.Parameter, path: Path) -> Path:
    """Refuse a place that can be no directory to write to; what is in it may stay."""
    path = path.expanduser().absolute()
    _check_writable(path, ctx, param)
    return path


def _check_writable(path: Path, ctx: click.Context, param: click.Parameter) -> None:
    """Look at `path`, or at what is there of the way to it."""
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise click.BadParameter(f"{there} is not a directory one can write to.", ctx, param)


def classifiers(name: str, text: str, **settings: Any) -> Callable[..., Any]:
    """Return the repeatable option `name` for classifiers."""
    kind = ClassifierPaths()
    return click.option(
        name, type=kind, multiple=True, callback=_flatten, metavar="C...", help=text, **settings
    )


def output(kind: str, *, required: bool = True) -> Callable[..., Any]:
    """Return the options --out and --force."""
    out = click.option("--out", type=PATH, callback=new_path, required=required, help=kind)
    return lambda function: out(force(function))


seed = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Random seed."
)
# Eager, because `new_path` asks for it whatever the order on the command line.
force = click.option("--force", is_flag=True, is_eager=True, help="Replace what exists.")
quiet = click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
dry_run = click.option(
    "--dry-run", "-n", is_flag=True, help="Print the configuration as JSON and stop."
)
json_output = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def architecture(function: Callable[..., Any], *more: str) -> Callable[..., Any]:
    """Add --net, --width and --depth; `more` are names that --net has besides those of `NETS`."""
    net = click.option(
        "--net",
        type=ChoiceFrom("cemfp.models.nets:NETS", *more),
        default="resnet20",
        show_default=True,
        help="Architecture.",
    )
    width = click.option(
        "--width", type=click.IntRange(1), help="Channels of the first stage.  [default: the net's]"
    )
    depth = click.option(
        "--depth", type=click.IntRange(1), help="Weighted layers.  [default: the net's]"
    )
    return net(width(depth(function)))


def net_arguments(net: str, values: dict[str, Any]) -> dict[str, Any]:
    """Take --width and --depth out of `values`; return those that were typed.

    Raises:
        click.UsageError: `net` has no such option.
    """
    from cemfp.models.nets import NETS

    typed = {n: v for n in ("width", "depth") if (v := values.pop(n, None)) is not None}
    known = inspect.signature(NETS[net]).parameters if net in NETS else {}
    for name in typed:
        if name not in known:
            raise click.UsageError(
                f"expected options that {net} has. Received: --{name}; leave it out."
            )
    return typed


class Numbers(click.ParamType):
    """One number, or several with commas: one for each channel; `auto` where that is offered.

    Attributes:
        above: What each has to be greater than.
        below: What the absolute value has to be less than.
        auto: Whether `auto` is one of the values.
    """

    name = "number"

    def __init__(self, above: float, below: float, *, auto: bool = False) -> None:
        self.above, self.below, self.auto = above, below, auto

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a float, a tuple of them, or `auto`."""
        if isinstance(value, float | tuple) or (self.auto and value == AUTO):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(self.above < n and abs(n) < self.below for n in numbers):
            expected = f"a finite number above {self.above:g} and below {self.below:g}"
            expected += ", or several with commas"
            also = f", or {AUTO}" if self.auto else ""
            self.fail(f"expected {expected}{also}. Received: {value}.", param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


def inputs(function: Callable[..., Any], *, default: float | str = 1.0) -> Callable[..., Any]:
    """Add --scale, --offset and --bgr, and give the function one `convention`.

    With `--scale auto` it is None: the one that works is to be found.
    """

    @functools.wraps(function)
    def with_convention(*args: Any, scale: Any, offset: Any, bgr: bool, **values: Any) -> Any:
        """Put the three together."""
        if scale == AUTO and (offset != 0.0 or bgr):
            raise click.UsageError("--scale auto finds --offset and --bgr, too: leave them out.")
        convention = None if scale == AUTO else Convention(scale, offset, bgr)
        return function(*args, convention=convention, **values)

    options = (
        click.option(
            "--scale",
            type=Numbers(0, 1e6, auto=True),
            default=default,
            show_default=True,
            help="A model of your own gets x * SCALE + OFFSET for pixels x in [0, 1]: 255 for grey "
            "levels, 2 with offset -1 for [-1, 1], one number for each channel with commas, or "
            "`auto`: whichever common convention works.",
        ),
        click.option(
            "--offset",
            type=Numbers(-1e4, 1e4),
            default=0.0,
            show_default=True,
            help="See --scale.",
        ),
        click.option("--bgr", is_flag=True, help="It wants blue first."),
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), with_convention)
