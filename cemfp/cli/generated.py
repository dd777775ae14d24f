"""Options made from a dataclass: its fields, their types, and its docstring for the help."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

import click

from cemfp.cli.options import Number, SeveralValues

# Fields whose range is not "0 or more".
RANGES: Mapping[str, click.ParamType] = {
    "epsilon": Number(0, 1),
    "dropout": Number(0, 1, max_open=True),
    "momentum": Number(0, 1, max_open=True),
    "warmup": Number(0, 1),
    "full_size": Number(0, 1),
    "learning_rate": Number(0, min_open=True),
    "epochs": click.IntRange(1),
    "batch_size": click.IntRange(1),
    "steps": click.IntRange(1),
}


class GeneratedCommand(SeveralValues):
    """A command that has the options of a dataclass besides its own.

    They are made at first use, since the dataclass's module may be slow to import.
    """

    def __init__(
        self, *args: Any, generate: Callable[[], list[click.Option]], **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._generate = generate

    @functools.cached_property
    def generated(self) -> list[click.Option]:
        """The dataclass's options."""
        return self._generate()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own options, those of the dataclass, and --help."""
        return [*self.params, *self.generated, *super().get_params(ctx)[len(self.params) :]]


def options_of(cls: type, *, skip: Collection[str] = (), **types: click.ParamType) -> list[Any]:
    """Return one option per field of the dataclass `cls`.

    Args:
        cls: Its fields are bool, int, float or Literal, or named in `types`; all have defaults.
        skip: Fields without an option.
        types: Kinds of values by field, where the annotation does not say enough.
    """
    hints, texts = typing.get_type_hints(cls), attribute_texts(cls)
    fields = [field for field in dataclasses.fields(cls) if field.name not in skip]
    return [
        _option(field, types.get(field.name) or hints[field.name], texts.get(field.name, ""))
        for field in fields
    ]


def attribute_texts(cls: type) -> dict[str, str]:
    """Return what the section `Attributes:` of a docstring says of each name."""
    section = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2].split("\n\n")[0]
    entries = re.split(r"^    (?=\w)", section, flags=re.MULTILINE)[1:]
    texts = {}
    for entry in entries:
        names, _, text = entry.partition(": ")
        texts.update({name: " ".join(text.split()) for name in names.split(", ")})
    return texts


def _option(field: dataclasses.Field[Any], kind: Any, text: str) -> click.Option:
    name = field.name.replace("_", "-")
    flags = f"--{name}/--no-{name}" if kind is bool else f"--{name}"
    return click.Option(
        [flags], default=field.default, show_default=True, help=text, type=_type(field.name, kind)
    )


def _type(name: str, kind: Any) -> click.ParamType:
    if isinstance(kind, click.ParamType):
        return kind
    if name in RANGES:
        return RANGES[name]
    if typing.get_origin(kind) is typing.Literal:
        return click.Choice(typing.get_args(kind))
    return {bool: click.BOOL, int: click.IntRange(0), float: Number(0)}[kind]
