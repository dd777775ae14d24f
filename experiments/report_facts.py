"""What the report says of a study beside its figures and tables, gathered from committed rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.common import Rows


class Grid(NamedTuple):
    """A table to be shown: its heading, the names of its columns, its cells."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]


def dicts(found: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping inside `found`, itself included."""
    if isinstance(found, dict):
        yield found
        for value in found.values():
            yield from dicts(value)
    elif isinstance(found, list) and found and isinstance(found[0], dict | list):
        for value in found:
            yield from dicts(value)


def data_sets(everything: Any) -> list[Mapping[str, Any]]:
    """Return the provenance of every data set that the rows name, stand-ins last."""
    found = {
        (one["name"], one["sha256"]): one
        for one in dicts(everything)
        if one.keys() >= {"name", "sha256", "train_size", "stand_in"}
    }
    return sorted(found.values(), key=lambda one: (one["stand_in"], one["name"]))


def transfer_sets(rows: Mapping[str, Rows]) -> dict[str, int]:
    """Return the data sets that thieves queried the source with, and the most images of each."""
    found: dict[str, int] = {}
    for own in rows.values():
        for row in own.values():
            if row.get("transfer_set"):
                name, images = row["transfer_set"], row["transfer_images"]
                found[name] = max(images, found.get(name, 0))
    return found


def data_grid(sets: Sequence[Mapping[str, Any]], transfer: Mapping[str, int]) -> Grid:
    """Name, sizes, kind and hash of each data set; of some the rows know the images used only."""
    lines = [
        [
            one["name"],
            "stand-in" if one["stand_in"] else "real images",
            one["note"] or "–",
            f"{one['train_size']:,}",
            f"{one['test_size']:,}",
            one["sha256"],
        ]
        for one in sets
    ]
    known, unknown = {one["name"] for one in sets}, ["–", "not recorded"]
    lines += [
        [name, "not recorded", "used by thieves", f"{images:,}", *unknown]
        for name, images in transfer.items()
        if name not in known
    ]
    header = ["data set", "kind", "note", "training images", "test images", "SHA-256"]
    return Grid("Data", header, lines)


def models_grid(models: Sequence[Mapping[str, Any]], rows: Mapping[str, Rows]) -> Grid:
    """Number, seeds and test accuracy of the models of each role and origin."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for model in models:
        group = (model["role"], model["origin"], _net(model), model["labels"])
        groups.setdefault(group, []).append(model)
    groups |= _others(rows)
    lines = [[*key, str(len(found)), _seeds(found), _range(found)] for key, found in groups.items()]
    header = ["role", "what", "net", "labels", "models", "seeds", "test accuracy, %"]
    return Grid("Models", header, lines)


def _others(rows: Mapping[str, Rows]) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    """The results of removal attacks by net, and the models of rows that say their group."""
    groups: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for name, own in rows.items():
        for key, row in own.items():
            if "attack" in row and "victim_sha256" in row:
                thieves = ("attacker", "removal attacks", _net(row), "–")
                groups.setdefault(thieves, {})[f"{name} {key}"] = row
    known = {group[2] for group in groups}
    for one in dicts(rows):
        if one.keys() >= {"group", "role", "net", "weights_sha256"} and _net(one) not in known:
            group = (one["role"], one["group"], _net(one), "–")
            groups.setdefault(group, {})[one["weights_sha256"]] = one
    return {group: list(found.values()) for group, found in groups.items()}


def recipes_grid(models: Sequence[Mapping[str, Any]], rows: Mapping[str, Rows]) -> Grid:
    """Every recipe of the rows, and what was trained by it."""
    users: dict[tuple[tuple[str, str], ...], list[str]] = {}
    named = [(f"{model['origin']}s", model) for model in models]
    for name, own in rows.items():
        named += [(key.partition(" | ")[0] if "attack" in row else name, row)
                  for key, row in own.items()]  # fmt: skip
    for user, row in named:
        if isinstance(row.get("recipe"), dict):
            recipe = tuple((key, _plain(value)) for key, value in row["recipe"].items())
            if user not in users.setdefault(recipe, []):
                users[recipe].append(user)
    names = list(dict.fromkeys(key for recipe in users for key, _ in recipe))
    lines = [
        [", ".join(used), *(dict(recipe).get(name, "–") for name in names)]
        for recipe, used in users.items()
    ]
    return Grid("Recipes", ["trained by it", *(name.replace("_", " ") for name in names)], lines)


def time_grid(study: Mapping[str, Any]) -> Grid:
    """Jobs by kind: done, missing, and the hours that the done ones took."""
    lines = [
        [kind, str(job["done"]), str(job["missing"]), f"{job['seconds'] / 3600:.2f}"]
        for kind, job in study.get("jobs", {}).items()
    ]
    return Grid("Jobs", ["kind", "done", "missing", "hours"], lines)


def machine(study: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return hardware, time and versions; `not recorded` where the study did not say."""
    versions = {"Python": study.get("python"), **study.get("package_versions", {})}
    known = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    memory, hours = study.get("memory_gib"), study.get("core_hours")
    failed = study.get("failed")
    return [
        ("Versions", known or "not recorded"),
        ("Processor", str(study.get("processor") or "not recorded")),
        ("Cores", str(study.get("cores") or "not recorded")),
        ("Memory", "not recorded" if memory is None else f"{memory:.1f} GiB"),
        ("Time", "not recorded" if hours is None else f"{hours:.1f} core hours"),
        ("Failed jobs", "not recorded" if failed is None else _listed(failed)),
    ]


def not_run(name: str, rows: Rows | None) -> list[str]:
    """Say what an experiment lacks, by reason: repeats of one job are put together."""
    if rows is None:
        return [f"{name}: no rows"]
    reasons: dict[str, dict[str, list[str]]] = {}
    for key, row in rows.items():
        if "missing" in row:
            job, _, repeat = key.partition(" | ")
            reasons.setdefault(row["missing"], {}).setdefault(job, []).append(repeat)
    said = []
    for reason, jobs in reasons.items():
        parts = [
            job + (f" ({', '.join(filter(None, repeats))})" if any(repeats) else "")
            for job, repeats in jobs.items()
        ]
        count = sum(map(len, jobs.values()))
        said.append(f"{name}, {count} of {len(rows)}: {reason}: {'; '.join(parts)}")
    return said


def _net(row: Mapping[str, Any]) -> str:
    arguments = row.get("arguments") or {}
    return " ".join([row["net"], *(f"{key} {value}" for key, value in arguments.items())])


def _seeds(found: Sequence[Mapping[str, Any]]) -> str:
    seeds = sorted({row["seed"] for row in found})
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _range(found: Sequence[Mapping[str, Any]]) -> str:
    values = sorted(100 * row["test_accuracy"] for row in found)
    return f"{values[0]:.1f}" + (f" to {values[-1]:.1f}" if len(values) > 1 else "")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "none"
