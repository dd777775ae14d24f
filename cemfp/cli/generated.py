"""Options made from a dataclass: its fields, their types, and its docstring for the help."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import typing
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
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
    "draws": click.IntRange(1),
    "step_size": Number(0, 1),
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


def options_of(
    made: Any,
    *,
    skip: Collection[str] = (),
    renamed: Mapping[str, str] = MappingProxyType({}),
    **types: click.ParamType,
) -> list[Any]:
    """Return one option per field of a dataclass.

    Args:
        made: The dataclass, or an instance, whose values are then the options' defaults. Its
            fields are bool, int, float or Literal, or named in `types`; all have defaults.
        skip: Fields without an option.
        renamed: Names of options that are not their field's, by field.
        types: Kinds of values by field, where the annotation does not say enough.
    """
    cls = made if isinstance(made, type) else type(made)
    hints, texts = typing.get_type_hints(cls), attribute_texts(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.name not in skip]
    return [
        # A dataclass keeps its simple defaults as attributes of its own.
        _option(
            renamed.get(name, name),
            getattr(made, name),
            _type(name, types.get(name) or hints[name]),
            texts.get(name, ""),
        )
        for name in names
    ]


def attribute_texts(cls: type) -> dict[str, str]:
    """Return what the section `Attributes:` of a docstring, or of a parent's, says of each name."""
    texts = {}
    for owner in reversed(cls.__mro__):
        section = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:\n")[2]
        entries = re.split(r"^    (?=\w)", section.split("\n\n")[0], flags=re.MULTILINE)[1:]
        for entry in entries:
            names, _, text = entry.partition(": ")
            texts.update({name: " ".join(text.split()) for name in names.split(", ")})
    return texts


def _option(name: str, default: Any, kind: click.ParamType, text: str) -> click.Option:
    flag = name.replace("_", "-")
    flags = f"--{flag}/--no-{flag}" if kind is click.BOOL else f"--{flag}"
    return click.Option([flags], default=default, show_default=True, help=text, type=kind)


def _type(name: str, kind: Any) -> click.ParamType:
    if isinstance(kind, click.ParamType):
        return kind
    if name in RANGES:
        return RANGES[name]
    if typing.get_origin(kind) is typing.Literal:
        return click.Choice(typing.get_args(kind))
    return {bool: click.BOOL, int: click.IntRange(0), float: Number(0)}[kind]
