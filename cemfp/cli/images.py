"""The option --data and those that say how a user's own images are read."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli.options import PATH
from cemfp.models.directory import CONFIG, KERAS_FILE

if TYPE_CHECKING:
    from cemfp.data import Dataset, DataSpec

# What reading a stranger's description may raise: opening the model itself says what is wrong.
_NOT_SAID = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, RecursionError),
    zipfile.BadZipFile,
)
PREFIXES = ("cached:", "tfds:", "python:")
HELP = (
    "Images: a known name (digits, cifar10, ...: `cemfp data --list`), a folder with a folder for "
    "each class or with a CSV file of file names and labels, an .npz file, tfds:NAME or "
    "python:module:function."
)


class DataName(click.ParamType):
    """A name in `DATASETS`, or where images of the user's own are; looked at, not loaded."""

    name = "data"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return it."""
        from cemfp.data import DATASETS

        if value in DATASETS or value.startswith(PREFIXES) or Path(value).expanduser().exists():
            return str(value)
        self.fail(
            f"expected one of {', '.join(n for n in DATASETS if '-' not in n)}, a folder or file "
            f"of images, tfds:NAME or python:module:function. Received: {value}, not there.",
            param,
            ctx,
        )


class Size(click.ParamType):
    """Height and width as HxW."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Return (height, width)."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", value)
        if found is None:
            self.fail(
                f"expected a height and a width, as in 224x224. Received: {value}.", param, ctx
            )
        return int(found[1]), int(found[2])


def data(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data and how own images are read, and give the function one `data`, a `DataSpec`."""
    return _with_options(function, _option(HELP, required=True))


def optional_data(text: str) -> Callable[..., Any]:
    """Return the same where --data may be left out: `data` then is None."""
    return lambda function: _with_options(function, _option(text, required=False))


def data_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same with an argument DATA in place of the option."""
    return _with_options(function, click.argument("data", type=DataName(), metavar="DATA"))


def _option(text: str, *, required: bool) -> Callable[..., Any]:
    return click.option("--data", type=DataName(), required=required, metavar="DATA", help=text)


def _with_options(function: Callable[..., Any], named: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def with_spec(
        *args: Any,
        data: str | None,
        classes: Path | None,
        image_size: Any,
        max_damaged: int,
        **rest: Any,
    ) -> Any:
        """Put them together."""
        return function(*args, data=_spec(data, classes, image_size, max_damaged), **rest)

    options = (
        named,
        click.option(
            "--classes",
            type=PATH,
            metavar="FILE",
            help="Own images: class names, one in a line, in the model's order.  "
            "[default: the order of the names as strings]",
        ),
        click.option(
            "--image-size",
            type=Size(),
            metavar="HxW",
            help="Own images: resize them.  [default: the model's input, else all have one size]",
        ),
        click.option(
            "--max-damaged",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Own images: files that may be no readable images; they are left out.",
        ),
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), with_spec)


def _spec(data: str | None, classes: Path | None, size: Any, max_damaged: int) -> DataSpec | None:
    from cemfp.data import DATASETS, DataSpec, read_classes

    if (data is None or data in DATASETS) and (classes or size or max_damaged):
        raise click.UsageError(
            "--classes, --image-size and --max-damaged are for images of your own: leave them "
            f"out, or name a folder with --data. Received: --data {data}."
        )
    if data is None:
        return None
    return DataSpec(data, size, read_classes(classes) if classes else (), max_damaged=max_damaged)


def load_for(spec: DataSpec, path: Path) -> Dataset:
    """Load a data set for a model: own images in its input size, labels in its order of classes."""
    from cemfp.data import load
    from cemfp.data.names import in_order

    return in_order(load(fitted(spec, shape_of(path))), class_names_of(path))


def class_names_of(path: Path) -> tuple[str, ...]:
    """Return the class names that a classifier directory says it has; none if it says none."""
    try:
        return tuple(json.loads((path / CONFIG).read_bytes()).get("class_names", ()))
    except (*_NOT_SAID, AttributeError):
        return ()  # opening the model says what is wrong


def fitted(spec: DataSpec, shape: tuple[int, ...] | None) -> DataSpec:
    """Return `spec` for a model of the input (h, w, c): its size and channels are the default.

    A set in `DATASETS` stays as it is.
    """
    from cemfp.data import DATASETS

    if spec.where in DATASETS or shape is None:
        return spec
    channels = spec.channels or (shape[2] if shape[2] in (1, 3) else 0)
    return dataclasses.replace(spec, size=spec.size or (shape[0], shape[1]), channels=channels)


def shape_of(path: Path) -> tuple[int, int, int] | None:
    """Return the input (h, w, c) that a classifier directory or `.keras` file says it has.

    Neither is loaded; None if it is not said plainly.
    """
    try:
        if (path / CONFIG).is_file():
            shape = json.loads((path / CONFIG).read_bytes())["input_shape"]
        else:
            file = path / KERAS_FILE if path.is_dir() else path
            with zipfile.ZipFile(file) as archive:
                layers = json.loads(archive.read("config.json"))["config"]["layers"]
            shape = layers[0]["config"]["batch_input_shape"][1:]
        height, width, channels = (int(side) for side in shape)
    except _NOT_SAID:
        return None
    return height, width, channels


def given(spec: DataSpec | None) -> Any:
    """Return what was typed, JSON-able: a name, or all settings of own images."""
    return None if spec is None else spec.where if spec.plain else dataclasses.asdict(spec)
