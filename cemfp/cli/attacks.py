"""`cemfp attack`."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import images, options
from cemfp.cli.generated import GeneratedCommand, options_of
from cemfp.cli.opening import open_classifier
from cemfp.cli.thieves import RENAMED, make_thief, say, take_settings, with_pretrained
from cemfp.cli.training import recipe_options, say_what_precision_costs
from cemfp.cli.work import (
    check_replaceable,
    echo_json,
    new_directory,
    progress_bar,
)
from cemfp.models.convention import Convention
from cemfp.models.roles import Origin, Role

if TYPE_CHECKING:
    from cemfp.data import DataSpec


class Attacks(click.Group):
    """One command per row of `REMOVALS`, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the attacks' names."""
        from cemfp.removal import REMOVALS

        return list(REMOVALS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the attack's command: shared options, its hyper-parameters and its recipe."""
        from cemfp.removal import REMOVALS

        attack = REMOVALS.get(cmd_name)
        if attack is None:
            return None
        command = click.command(
            cmd_name,
            cls=GeneratedCommand,
            generate=lambda: _generated(attack),
            help=f"{_summary(attack)}\n\n\b\nExample: {_example(attack)}",
        )
        return command(_shared(attack, functools.partial(_attack, attack)))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the attack, or say which names are close."""
        names = self.list_commands(ctx)
        if args[0] not in names:
            close = difflib.get_close_matches(args[0], names) or ["cemfp attack --list"]
            ctx.fail(f"expected an attack. Received: {args[0]!r}; try {' or '.join(close)}.")
        return super().resolve_command(ctx, args)


def _generated(attack: Any) -> list[click.Option]:
    recipe = attack.recipe
    return options_of(attack, renamed=RENAMED) + ([] if recipe is None else recipe_options(recipe))


def _summary(attack: Any) -> str:
    return (attack.__doc__ or "").splitlines()[0]


def _example(attack: Any) -> str:
    needs = " --images cinic10" if attack.name == "knockoff" else ""
    return f"cemfp attack {attack.name} --victim zoo/source --data cifar10{needs} --out stolen"


def _list(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Print the table of attacks and stop."""
    from cemfp.removal import REMOVALS

    if not wanted or ctx.resilient_parsing:
        return
    header = ("name", "family", "needs", "what it does")
    rows = [(name, a.family, ", ".join(a.needs), _summary(a)) for name, a in REMOVALS.items()]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
    ctx.exit()


@click.group(cls=Attacks)
@click.option(
    "--list",
    "wanted",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="Show the attacks, and what a thief needs for each.",
)
def attack() -> None:
    """Steal a model so that its fingerprint goes away, by one of several attacks.

    What is left is a directory with the stolen model and summary.json; `cemfp verify` judges it.

    \b
    Example: cemfp attack --list
    """


def _shared(attack: Any, function: Any) -> Any:
    """Add the options that this attack shares with others."""
    decorators = (
        click.option(
            "--victim",
            type=options.ClassifierPath(),
            required=True,
            metavar="C",
            help="Model to steal.",
        ),
        images.data,
        *(_transfer_set if "images" in attack.needs else ()),
        *((options.architecture,) if not attack.like_victim else ()),
        *(_pretrained if "pretrained" in attack.needs else ()),
        click.option(
            "--seed",
            type=click.IntRange(0, 2**31 - 1),
            # Not the default of `train`: thief and victim would start from the same weights.
            default=4000,
            show_default=True,
            help="Random seed, another than the victim's.",
        ),
        click.option(
            "--role",
            type=click.Choice([Role.ATTACKER.value, Role.CALIBRATION.value]),
            default=Role.ATTACKER.value,
            show_default=True,
            help="What the result may be used for: a copy that you make of your own model may "
            "calibrate its fingerprint.",
        ),
        options.inputs,
        options.output("New directory of the stolen model."),
        options.quiet,
        options.dry_run,
        options.json_output,
    )
    return functools.reduce(lambda made, option: option(made), reversed(decorators), function)


_transfer_set = (
    click.option(
        "--images",
        type=images.DataName(),
        metavar="DATA",
        help="Data set whose training images the thief has.  [default: that of --data]",
    ),
    click.option(
        "--count",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="How many of them, drawn by the seed; 0 takes all.",
    ),
)
_pretrained = (
    click.option(
        "--pretrained",
        type=options.ClassifierPath(),
        metavar="C",
        help="Net of the same sort, trained on other images.  [default: train one first]",
    ),
    click.option(
        "--pretraining",
        type=images.DataName(),
        metavar="DATA",
        default="imagenet32",
        show_default=True,
        help="Data set to train it on, without --pretrained.",
    ),
)


def _attack(
    attack: Any,
    *,
    victim: Path,
    data: DataSpec,
    convention: Convention | None,
    out: Path,
    force: bool,
    quiet: bool,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> None:
    from cemfp.removal import remove

    check_replaceable(out)
    chosen, recipe = take_settings(attack, values)
    if dry_run:
        given = {
            "attack": attack.name,
            "victim": victim,
            "data": images.given(data),
            **values,
            "out": out,
        }
        settings = {"parameters": dataclasses.asdict(chosen), "recipe": dataclasses.asdict(recipe)}
        return echo_json(given | (settings if attack.recipe else settings | {"recipe": None}))
    say_what_precision_costs(recipe)
    dataset = images.load_for(data, victim)
    model = open_classifier(
        victim, convention, role=Role.SOURCE, origin=Origin.SOURCE, dataset=dataset
    )
    with progress_bar(attack.name, quiet=quiet) as progress:
        thief = make_thief(model, dataset, recipe, progress, values)
        if "pretrained" in attack.needs:
            thief = with_pretrained(thief, values)
        removal = remove(chosen, thief)
    with new_directory(out) as directory:
        removal.save(directory)
    if as_json:
        return echo_json(removal.summary)
    say(out, removal.summary)
