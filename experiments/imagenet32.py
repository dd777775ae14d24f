"""CEM on a part of ImageNet32, with nets of five architectures [Lukas21, App. A.2, Table 3 and 4].

The defender's ensemble mixes architectures; thieves and unseen references have all of them, too.
Runs only when it is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cemfp.engine.jobs import Job
from cemfp.figures import drawing as figures
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.zoo import Profile
from cemfp.models.roles import Origin
from cemfp.numerics import metrics
from experiments import markdown
from experiments.common import PAPER, Rows
from experiments.jobs.imagenet32 import imagenet32_jobs
from experiments.jobs.imagenet32_setting import imagenet32_setting
from experiments.plots.beside_paper import Bar, bars

NAME = "imagenet32"
SHOWS = ("table3_imagenet32", "table4_imagenet32")
PUBLISHED = {
    Origin.SURROGATE: PAPER["table3_imagenet32_surrogates"],
    Origin.REFERENCE: PAPER["table4_imagenet32_references"],
}
TITLES = {
    Origin.SURROGATE: "Source and surrogates, {} [Lukas21, Table 3]",
    Origin.REFERENCE: "Unseen references, {} [Lukas21, Table 4]",
}
Answers = dict[str, list[dict[str, Any]]]  # sort of model -> a row for each


def jobs(profile: Profile) -> dict[str, Job]:
    """The fingerprint, the source's answers, and those of every thief and unseen reference."""
    return imagenet32_jobs(imagenet32_setting(profile))


def answers(rows: Rows) -> dict[Origin, Answers]:
    """Return the rows of single models by origin and sort, the source first.

    Models that were asked before there was a fingerprint are left out.
    """
    found: dict[Origin, Answers] = {Origin.SURROGATE: {}, Origin.REFERENCE: {}}
    for key, row in rows.items():
        name, _, repeat = key.partition(" | ")
        origin = Origin.REFERENCE if name == "references" else Origin.SURROGATE
        models = row.get("models", [{**row, "group": name}] if repeat else [])
        for model in models:
            if "cem" in model.get("cae_accuracy", {}):
                found[origin].setdefault(model["group"], []).append(model)
    return found


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the tables, draw the figure and some of the fingerprint's inputs."""
    facts = rows.get("cem", {})
    if "fingerprint" not in facts:
        return
    found = answers(rows)
    for number, origin in ((3, Origin.SURROGATE), (4, Origin.REFERENCE)):
        if found[origin]:
            path = directory.parent / f"table{number}_imagenet32.md"
            _table(found[origin], origin, path, facts, profile)
    chosen = {origin: _bars(found[origin], PUBLISHED[origin]) for origin in found if found[origin]}
    if chosen:
        caption = _describe(facts, profile, full=False)
        xlabel = f"CAEAcc at ε {facts['fingerprint']['epsilon']:g}; beside each name: test accuracy"
        bars(chosen, directory / NAME, xlabel=xlabel, caption=caption)
    path = directory.parent / f"{NAME}.cemfp"
    if path.is_file():
        classes = [name.replace("_", " ") for name in facts["classes"]]
        figures.gallery(
            Fingerprint.load(path), directory / "imagenet32_fingerprint", classes=classes
        )


def _bars(found: Answers, published: Mapping[str, Any]) -> list[Bar]:
    return [
        Bar(
            f"{name}, {metrics.summary([row['test_accuracy'] for row in models])['mean']:.1%}",
            [row["cae_accuracy"]["cem"] for row in models],
            published["cae_acc"][name] / 100 if name in published["cae_acc"] else None,
        )
        for name, models in found.items()
        if name != "source"  # its answers are the key
    ]


def _table(
    found: Answers, origin: Origin, path: Path, facts: Mapping[str, Any], profile: Profile
) -> None:
    header = ["model", "net", "test accuracy, %", "paper, %", "CAEAcc", "paper's CAEAcc"]
    if origin == Origin.SURROGATE:
        header += ["agreement", "queries"]
    lines = [_line(name, models, PUBLISHED[origin]) for name, models in found.items()]
    title = TITLES[origin].format(facts["fingerprint"]["data"]["name"])
    markdown.write_table(
        path,
        title,
        header,
        [line[: len(header)] for line in lines],
        f"Mean ± standard deviation over models (n), each from its own seed. "
        f"{_describe(facts, profile, full=True)}",
    )


def _line(name: str, models: list[dict[str, Any]], published: Mapping[str, Any]) -> list[str]:
    def over(values: list[float], scale: float = 1.0, digits: int = 2) -> str:
        return markdown.spread(metrics.summary(values), scale, digits)

    first = models[0]
    accuracy, share = (published[kind].get(name) for kind in ("test_accuracy", "cae_acc"))
    stolen = "agreement" in first
    return [
        name,
        first["net"] + "".join(f" {key} {value}" for key, value in first["arguments"].items()),
        over([row["test_accuracy"] for row in models], 100, 1),
        "–" if accuracy is None else str(accuracy),
        over([row["cae_accuracy"]["cem"] for row in models]),
        "–" if share is None else f"{share / 100:.2f}",
        over([row["agreement"] for row in models]) if stolen else "–",
        str(first["queries"]) if stolen else "–",
    ]


def _describe(facts: Mapping[str, Any], profile: Profile, *, full: bool) -> str:
    """Return what was measured on what; `full` names every class."""
    made = facts["fingerprint"]
    data = made["data"]
    size = f"{data['train_size']:,} training and {data['test_size']:,} test images"
    defender = " and ".join(
        f"{sum(counts.values())} {group} ({', '.join(f'{n} {net}' for net, n in counts.items())})"
        for group, counts in facts["defender"].items()
    )
    text = (
        f"{figures.describe(data)}: {size} of {len(facts['classes'])} classes, profile "
        f"{profile.name}. CEM at ε {made['epsilon']:g}, {made['inputs']} inputs; the defender's "
        f"{defender} are none of the models shown."
    )
    if not full:
        return text
    return (
        f"{text} Classes with fewer keys than their share: {len(made['shortfall'])}. The paper: "
        f"100 classes, ε {PUBLISHED[Origin.SURROGATE]['eps']}, published nets. "
        f"Classes: {', '.join(name.replace('_', ' ') for name in facts['classes'])}."
    )
