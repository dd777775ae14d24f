"""`cemfp fingerprint` and `cemfp calibrate`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cemfp.cli import images, options
from cemfp.cli.generated import GeneratedCommand, options_of
from cemfp.cli.opening import open_classifier
from cemfp.cli.options import SeveralValues
from cemfp.cli.ruled import Ruled, generate, ruled
from cemfp.cli.work import check_file, echo_json, progress_bar
from cemfp.models.convention import Convention
from cemfp.models.roles import Origin, Role, require_distinct

if TYPE_CHECKING:
    from cemfp.data import Dataset, DataSpec
    from cemfp.fingerprint.artifact import Fingerprint
    from cemfp.models.classifier import Classifier


class Methods(click.Group):
    """One command per row of `METHODS`, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the methods' names."""
        from cemfp.fingerprint.methods import METHODS

        return list(METHODS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the method's command: the shared options and its hyper-parameters."""
        from cemfp.fingerprint.methods import METHODS, SUMMARIES

        if cmd_name not in METHODS:
            return None
        method, bound = _class_of(METHODS[cmd_name])
        summary = SUMMARIES.get(cmd_name) or (method.__doc__ or "").splitlines()[0]
        command = click.command(
            cmd_name,
            cls=GeneratedCommand,
            generate=lambda: options_of(method, skip=bound),
            help=f"{summary}\n\n\b\nExample: {_example(cmd_name, method)}",
        )
        return command(_shared(functools.partial(_make, cmd_name)))


def _class_of(factory: Callable[..., Any]) -> tuple[type, list[str]]:
    """Return the dataclass behind a row of `METHODS`, and the fields that the row has set."""
    if not isinstance(factory, functools.partial):
        return factory, []  # type: ignore[return-value]
    names = [field.name for field in dataclasses.fields(factory.func)]  # type: ignore[arg-type]
    return factory.func, names[: len(factory.args)] + list(factory.keywords)  # type: ignore[return-value]


def _example(name: str, method: Any) -> str:
    helpers = " --surrogate 'zoo/surrogate-*' --reference 'zoo/reference-*'"
    data = "--data-free" if method.starts == "noise" else "--data digits"
    return (
        f"cemfp fingerprint {name} --source zoo/source{helpers if method.ensemble else ''} "
        f"{data} --size 40 --out my.cemfp"
    )


def _shared(function: Any) -> Any:
    """Add the options that every method has."""
    helper = "Repeatable; for methods that use the defender's models, else ignored."
    decorators = (
        click.option(
            "--source",
            type=options.ClassifierPath(),
            required=True,
            metavar="C",
            help="Model to protect.",
        ),
        options.classifiers("--surrogate", f"Defender's nets, labelled by the source. {helper}"),
        options.classifiers("--reference", f"Defender's nets, trained on the truth. {helper}"),
        images.optional_data(
            f"{images.HELP} Its test images are the starting images; methods that start from "
            "noise need none."
        ),
        click.option("--data-free", is_flag=True, help="Say so that no data is to be used."),
        click.option(
            "--size", type=click.IntRange(1), default=100, show_default=True, help="Inputs wanted."
        ),
        click.option(
            "--candidates",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Images to start from; 0 takes three times the size, or the size for noise.",
        ),
        click.option(
            "--threshold",
            type=options.Number(0, 1),
            default=0.95,
            show_default=True,
            help="Least conferrability on the defender's models.",
        ),
        click.option(
            "--balance/--no-balance", default=True, show_default=True, help="Classes take turns."
        ),
        click.option(
            "--quantize/--no-quantize", default=True, show_default=True, help="Round to 8 bits."
        ),
        options.seed,
        ruled,
        options.inputs,
        options.output("New fingerprint file."),
        options.quiet,
        options.dry_run,
    )
    return functools.reduce(lambda made, option: option(made), reversed(decorators), function)


@click.group(cls=Methods)
def fingerprint() -> None:
    """Make a fingerprint of a model, by one of several methods.

    \b
    Example: cemfp fingerprint cem --help
    """


def _make(
    name: str,
    *,
    source: Path,
    surrogate: tuple[Path, ...],
    reference: tuple[Path, ...],
    data: DataSpec | None,
    data_free: bool,
    convention: Convention | None,
    out: Path,
    force: bool,
    quiet: bool,
    dry_run: bool,
    ruled: Ruled,
    **values: Any,
) -> None:
    check_file(out)
    rule = ruled.rule()
    record_path = ruled.place(out, force=force)
    method, settings = _method(name, values)
    _check_data(method, data, data_free)
    if method.ensemble and not (surrogate and reference):
        raise click.UsageError(f"{name} needs at least one --surrogate and one --reference.")
    by_rule = {} if rule is None else {"statement": rule.statement, "targets": rule.targets}
    if dry_run:
        models = {"source": source, "surrogate": surrogate, "reference": reference}
        parameters = dataclasses.asdict(method)
        return echo_json(
            {
                "method": name,
                "data": images.given(data),
                **models,
                **parameters,
                **settings,
                **by_rule,
                "out": out,
            }
        )
    dataset = None if data is None else images.load_for(data, source)
    models = _models(source, surrogate, reference, convention, dataset)
    with progress_bar(name, quiet=quiet) as progress:
        made, record, note = generate(method, models, dataset, rule, settings, progress)
    if record is not None:
        _write(record, record_path)
    _write(made, out)
    click.echo(f"{out}: {len(made)} inputs by {name}; set its threshold with cemfp calibrate")
    if note:
        click.echo(f"Note: {note}", err=True)


def _check_data(method: Any, data: DataSpec | None, data_free: bool) -> None:
    """Refuse data for a method that uses none, and none for a method that needs some."""
    if method.starts == "noise" and data is not None:
        raise click.UsageError(
            f"{method.name} makes its inputs from noise. Received: --data {data}; leave it out."
        )
    if method.starts != "noise" and (data is None or data_free):
        raise click.UsageError(
            f"{method.name} starts from images: expected --data NAME. Received: "
            f"{'--data-free' if data_free else 'none'}; c, rc, rc-gm and ltrc need no data."
        )


def _method(name: str, values: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the method with its hyper-parameters, and the values that are not its own."""
    from cemfp.fingerprint.methods import METHODS

    names = {field.name for field in dataclasses.fields(_class_of(METHODS[name])[0])}
    own = {key: value for key, value in values.items() if key in names}
    rest = {key: value for key, value in values.items() if key not in names}
    return METHODS[name](**own), rest


def _models(
    source: Path,
    surrogates: tuple[Path, ...],
    references: tuple[Path, ...],
    convention: Convention | None,
    dataset: Dataset | None,
) -> Any:
    from cemfp.fingerprint.models import Models

    owned = open_classifier(
        source, convention, role=Role.SOURCE, origin=Origin.SOURCE, dataset=dataset
    )
    groups = _groups(surrogates, references, convention, Role.DEFENDER, dataset)
    require_distinct([owned, *groups[0], *groups[1]], "models of a fingerprint")
    return Models(owned, *groups)


def _groups(
    surrogates: tuple[Path, ...],
    references: tuple[Path, ...],
    convention: Convention | None,
    role: Role,
    dataset: Dataset | None = None,
) -> tuple[list[Classifier], list[Classifier]]:
    """Open surrogates and references."""
    above, below = (
        [
            open_classifier(path, convention, role=role, origin=origin, dataset=dataset)
            for path in paths
        ]
        for origin, paths in ((Origin.SURROGATE, surrogates), (Origin.REFERENCE, references))
    )
    return above, below


def _write(made: Fingerprint, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(path)


@click.command(cls=SeveralValues)
@click.argument("file", type=options.PATH)
@options.classifiers("--surrogate", "Calibration nets, labelled by the source.", required=True)
@options.classifiers("--reference", "Calibration nets, trained on the truth.", required=True)
@options.inputs
@options.output("Another file for the result.  [default: FILE]", required=False)
def calibrate(
    file: Path,
    surrogate: tuple[Path, ...],
    reference: tuple[Path, ...],
    convention: Convention | None,
    out: Path | None,
    force: bool,
) -> None:
    """Set a fingerprint's threshold from models that are known, and store it in FILE.

    The models have the role `calibration`: neither did they help to make the fingerprint, nor are
    they ever suspects.

    \b
    Example:
      cemfp calibrate my.cemfp --surrogate 'zoo/cal-surr-*' --reference 'zoo/cal-ref-*'
    """
    from cemfp import verification
    from cemfp.fingerprint.artifact import Fingerprint

    target = out or file
    check_file(target)
    loaded = Fingerprint.load(file)
    groups = _groups(surrogate, reference, convention, Role.CALIBRATION)
    calibrated = verification.calibrate(loaded, *groups)
    _write(calibrated, target)
    made = calibrated.calibration
    assert made is not None
    click.echo(
        f"{target}: threshold {made.threshold:.3f}, {made.rule} (surrogates "
        f"{_spread(made.surrogate_scores)}, references {_spread(made.reference_scores)})"
    )


def _spread(scores: tuple[float, ...]) -> str:
    return f"{min(scores):.2f} to {max(scores):.2f}, n = {len(scores)}"
