"""What the pages show of the checkout: committed tables and figures, and the package's own lists.

A line of a page by itself is replaced when the site is built, so that nothing is copied by hand:

    <!-- show file experiments/results/small/claims.md -->    its headings two levels further down
    <!-- show remaining small -->              a profile's tables and figures that no page names
    <!-- show benchmark cem -->                the tables of benchmarks/results/cem.json
    <!-- show images -->                      the table of benchmarks/results/images.json
    <!-- show steps -->                       the table of benchmarks/results/steps.json
    <!-- show list NETS -->                    rows of NETS, ATTACKS, METHODS, REMOVALS, DATASETS
    <!-- show profiles -->                     the sizes of a study
    <!-- show modules cemfp.data -->           the reference of each module of a package
    <!-- show commands attack -->              the help of a command group and of its commands

The figures of `experiments/results/PROFILE/figures` are pages' `figures/PROFILE/NAME.png`.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments" / "results"
HELP_WIDTH = 80

_LINE = re.compile(r"^<!-- show (\w+) ?(.*?) -->$", re.MULTILINE)

# The lists of the checkout are shown, not those of another installed version.
sys.path.insert(0, str(ROOT))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the committed figures to the site."""
    for path in sorted(RESULTS.glob("*/figures/*.png")):
        address = f"figures/{path.parts[-3]}/{path.name}"
        files.append(File.generated(config, address, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the lines that ask for something."""
    return _LINE.sub(lambda found: _show(*found.groups()), markdown)


def _show(kind: str, arguments: str) -> str:
    if kind not in SHOWN:
        raise PluginError(f"expected show {' or '.join(SHOWN)}. Received: show {kind}")
    try:
        return SHOWN[kind](*arguments.split())
    except (OSError, LookupError, TypeError) as error:
        raise PluginError(f"show {kind} {arguments}: {type(error).__name__}: {error}") from error


def _file(name: str) -> str:
    """A Markdown file; the headings of a page stay above its headings."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"^#", "###", text, flags=re.MULTILINE).strip()


def _remaining(profile: str) -> str:
    """What was added to the results since the pages were written."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    folder = RESULTS / profile
    shown = [
        _file(f"experiments/results/{profile}/{path.name}")
        for path in sorted(folder.glob("*.md"))
        if f"{profile}/{path.name}" not in pages
    ]
    shown += [
        f"![{path.stem.replace('_', ' ')}](../figures/{profile}/{path.name})"
        for path in sorted(folder.glob("figures/*.png"))
        if f"{profile}/{path.name}" not in pages
    ]
    return "\n\n".join(shown) or "None."


def _benchmark(name: str) -> str:
    from benchmarks.__main__ import table

    result = _measured(name)
    return "\n\n".join([*map(table, result["sections"]), _machine(result["machine"])])


def _measured(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / f"benchmarks/results/{name}.json").read_bytes())
    return found


def _machine(facts: dict[str, Any]) -> str:
    return (
        f"{facts['cpu']}, {facts['logical_cores']} logical cores "
        f"({', '.join(facts['instructions'])}), Python {facts['python']}, TensorFlow "
        f"{facts['tensorflow']}; load before the run: {facts['load_before']}."
    )


def _steps() -> str:
    from benchmarks.steps import table

    result = _measured("steps")
    return "\n\n".join([table(result["milliseconds"]), _machine(result["machine"])])


def _images() -> str:
    """Rates and memory of many images, by their number."""
    result = _measured("images")
    heads = "images", "pixels, MiB", "conversion, images/s", "MiB", "feeding, images/s", "MiB"
    rows = (
        tuple(
            f"{number:,}"
            for number in (
                *(row["images"], row["pixels_mib"]),
                *(row[part][what] for part in ("conversion", "feeding") for what in row[part]),
            )
        )
        for row in result["rows"]
    )
    return "\n\n".join(["\n".join(_rows(heads, rows)), _machine(result["machine"])])


def _list(name: str) -> str:
    return "\n".join(_rows(*LISTS[name]()))


def _rows(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield f"| {' | '.join(heads)} |"
    yield "| --- " * len(heads) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _summary(thing: Any) -> str:
    """First sentence of the docstring, of what a `partial` calls if need be."""
    thing = thing.func if isinstance(thing, functools.partial) else thing
    first = (thing.__doc__ or "").split("\n\n")[0]
    return " ".join(first.split())


def _nets() -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
    from cemfp.models.nets import NETS

    return ("net", "what it is"), ((f"`{n}`", _summary(net)) for n, net in NETS.items())


def _datasets() -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
    from cemfp.data import DATASETS

    return ("data", "what it is"), ((f"`{n}`", _summary(load)) for n, load in DATASETS.items())


def _attacks() -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
    from cemfp.attacks import ATTACKS

    return ("attack", "what it does"), ((f"`{n}`", _summary(a)) for n, a in ATTACKS.items())


def _methods() -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
    from cemfp.fingerprint.methods import METHODS, SUMMARIES

    def rows() -> Iterator[tuple[str, ...]]:
        for name, factory in METHODS.items():
            made = factory.func if isinstance(factory, functools.partial) else factory
            models = "surrogates and references" if made.ensemble else "the source alone"
            starts = "noise" if made.starts == "noise" else f"images, {made.starts}"
            yield f"`{name}`", SUMMARIES.get(name) or _summary(factory), models, starts

    return ("method", "what it does", "uses", "starts from"), rows()


def _removals() -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
    from cemfp.removal import REMOVALS

    rows = (
        (f"`{name}`", _summary(attack), attack.family, ", ".join(attack.needs))
        for name, attack in REMOVALS.items()
    )
    return ("attack", "what it does", "family", "needs"), rows


def _profiles() -> str:
    from cemfp.jobs.zoo import Profile
    from experiments.profiles import PROFILES

    def net(profile: Profile) -> str:
        arguments = ", ".join(f"{name} {value}" for name, value in profile.net.arguments)
        return f"{profile.net.name}{f' ({arguments})' if arguments else ''}"

    facts: dict[str, Callable[[Profile], object]] = {
        "data": lambda p: p.data,
        "net": net,
        "labelled images of each owner": lambda p: p.owner_images or "all",
        "epochs of the source": lambda p: p.source_recipe.epochs,
        "epochs of a reference, a surrogate": lambda p: (
            f"{p.recipe.epochs}, {p.surrogate_recipe.epochs}"
        ),
        "side of the training crops": lambda p: p.recipe.crop or "the image's",
        "surrogates + references, defender": lambda p: f"{p.defender} + {p.defender}",
        "surrogates + references, calibration": lambda p: f"{p.calibration} + {p.calibration}",
        "surrogates + references, evaluation": lambda p: f"{p.evaluation} + {p.evaluation}",
        "inputs of a fingerprint": lambda p: p.size,
        "images that CEM starts from": lambda p: p.candidates,
        "steps of CEM": lambda p: p.steps,
        "ε of the central experiment": lambda p: p.epsilon,
        "ε of the sweeps": lambda p: ", ".join(map(str, p.epsilons)),
    }
    rows = ((what, *(str(of(p)) for p in PROFILES.values())) for what, of in facts.items())
    return "\n".join(_rows(("", *PROFILES), rows))


def _modules(package: str) -> str:
    """The package's docstring, and its modules whole."""
    folder = ROOT / package.replace(".", "/")
    names = [path.stem for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")]
    own = f"::: {package}\n    options:\n      members: false"
    return "\n\n".join([own, *(f"::: {package}.{name}" for name in names)])


def _commands(*path: str) -> str:
    """The help of `cemfp PATH` and of its commands, but for groups among them: they have pages."""
    from cemfp.cli import main

    command: click.Command = main
    context = _context(command, "cemfp", None)
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(context, name) or _unknown(name)
        context = _context(command, name, context)
    below = [_below(command, context, name) for name in command.list_commands(context)]
    return "\n\n".join([_help(context), *(_help(one) for one in below if one is not None)])


def _below(group: click.Group, parent: click.Context, name: str) -> click.Context | None:
    command = group.get_command(parent, name) or _unknown(name)
    return None if isinstance(command, click.Group) else _context(command, name, parent)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return command.context_class(command, info_name=name, parent=parent, terminal_width=HELP_WIDTH)


def _help(context: click.Context) -> str:
    """A heading and what `--help` prints: Markdown would eat the asterisks of the examples."""
    path = context.command_path
    text = context.command.get_help(context).replace("\b\n", "")
    return f"## {path} {{ #{path.replace(' ', '-')} }}\n\n```text\n{text}\n```"


def _unknown(name: str) -> Any:
    raise LookupError(f"no command {name}")


LISTS: dict[str, Callable[[], tuple[tuple[str, ...], Iterator[tuple[str, ...]]]]] = {
    "NETS": _nets,
    "ATTACKS": _attacks,
    "METHODS": _methods,
    "REMOVALS": _removals,
    "DATASETS": _datasets,
}
SHOWN: dict[str, Callable[..., str]] = {
    "file": _file,
    "remaining": _remaining,
    "benchmark": _benchmark,
    "images": _images,
    "steps": _steps,
    "list": _list,
    "profiles": _profiles,
    "modules": _modules,
    "commands": _commands,
}
