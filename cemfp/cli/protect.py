"""`cemfp protect`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from cemfp.cli import images, options
from cemfp.models import kept


class Time(click.ParamType):
    """A time such as 2h, 20m or 1h30m, in seconds."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the seconds."""
        from cemfp.owner.means import seconds

        try:
            return value if isinstance(value, float) else seconds(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def _names(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Return the names of --net, each known."""
    from cemfp.owner.means import named_net

    names = tuple(name.strip() for name in text.split(",")) if text else ()
    for name in names:
        if name != "same":
            try:
                named_net(name)
            except ValueError as error:
                raise click.BadParameter(f"{error}.", ctx, param) from error
    return names


@click.command()
@click.argument("model", metavar="MODEL")
@images.data
@click.option(
    "--out", type=options.PATH, callback=options.directory, required=True, help="Directory."
)
@click.option(
    "--budget",
    type=Time(),
    default="1h",
    show_default=True,
    help="Time on this machine: 20m, 2h, 1h30m. It decides how many nets are trained, and for how "
    "long.",
)
@click.option(
    "--net",
    "nets",
    callback=_names,
    metavar="NAME[,NAME]...",
    help="What copies and independent nets are: `same` as MODEL, or names of `cemfp train --net`, "
    "`resnet20:width=8` say, in turn.  [default: same; for a black box what is usual for such "
    "images]",
)
@click.option(
    "--start",
    type=options.PATH,
    metavar="WEIGHTS",
    help="Public weights that MODEL started from (.h5, .keras or a classifier directory): copies "
    "and independent nets start from them, too.  [default: fresh weights]",
)
@click.option(
    "--unlabelled",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Images without labels, such as a thief collects: every second copy learns what MODEL "
    "answers to them.",
)
@click.option(
    "--independent",
    "independents",
    type=options.ClassifierPath(),
    multiple=True,
    metavar="FILE",
    help="A net of your own, trained like MODEL with another seed, which copied nothing: it sets "
    "the threshold with the others. Several are better.",
)
@click.option("--surrogates", type=click.IntRange(2), help="Copies that are trained in all.")
@click.option("--references", type=click.IntRange(2), help="Independent nets, the same.")
@click.option(
    "--epsilon",
    type=options.Number(0, 1, min_open=True),
    help="Largest change of a pixel, on the [0, 1] scale.  [default: the smallest of some that "
    "separates nets kept for that]",
)
@click.option(
    "--inputs",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Inputs of the fingerprint.",
)
@options.seed
@functools.partial(options.inputs, default=options.AUTO)
@click.option(
    "--store",
    type=options.PATH,
    callback=lambda ctx, param, path: path and options.directory(ctx, param, path),
    envvar="CEMFP_STORE",
    help="Where models are kept.  [default: store in --out]",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where nets are trained: processes of this machine, or a Ray cluster.",
)
@click.option("--address", help="Ray cluster, `auto` for this machine's; without one Ray starts.")
@options.quiet
@click.option(
    "--dry-run",
    "-n",
    is_flag=True,
    help="Ask MODEL some images, time some steps, print the plan and stop. What was asked stays in "
    "the store.",
)
def protect(
    model: str, out: Path, store: Path | None, quiet: bool, dry_run: bool, **values: Any
) -> None:
    """Make a fingerprint of MODEL, from its data alone, and find out what it survives.

    MODEL is a .keras file or a classifier directory; or a black box, which is only asked:
    a .tflite file, or python:module:function, which takes images and returns labels or scores.

    Copies of the model and independent nets are trained, the fingerprint made and calibrated. Then
    the model is stolen in the ways of a thief, and every copy judged. A run that was stopped goes
    on with the same command.

    \b
    Example:
      cemfp protect my_model.keras --data photos/ --out protected/ --budget 2h
      cemfp verify protected/fingerprint.cemfp suspect.tflite
    """
    from cemfp.data import job_name
    from cemfp.owner.opening import name_unlabelled
    from cemfp.owner.planning import Wish, plan_protection
    from cemfp.owner.protect import protect as carry_out
    from cemfp.storage.store import Store

    cluster = {name: values.pop(name) for name in ("executor", "address")}
    if cluster["address"] and cluster["executor"] != "ray":
        raise click.UsageError("--address needs --executor ray.")
    values["independents"] = tuple(map(str, values["independents"]))
    spec = images.fitted(values.pop("data"), images.shape_of(Path(kept.resolve(model))))
    data, start, others = job_name(spec), values.pop("start"), values.pop("unlabelled")
    if others is not None:
        values["unlabelled"] = name_unlabelled(others, data, spec.max_damaged)
    wish = Wish(model=model, data=data, start=str(start or ""), **values)
    root = store or out / "store"
    if dry_run:
        plan_protection(wish, out, Store(root), say=click.echo, keep=False)
        return
    carry_out(wish, out, root, say=click.echo, progress=not quiet, **cluster)
