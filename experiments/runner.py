"""From experiments to jobs, rows and figures."""

from __future__ import annotations

import fnmatch
import importlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cemfp.engine.facts import study_facts
from cemfp.engine.jobs import Job, plan
from cemfp.engine.progress import last_line
from cemfp.jobs.fingerprint import FINGERPRINT, MakeFingerprint, read_rows
from cemfp.jobs.zoo import Profile, make_zoo
from cemfp.models.classifier import CONFIG
from cemfp.storage.files import read_json, write_atomic
from cemfp.storage.store import Store
from experiments import cifar10_irremovability, claims, table
from experiments.common import NOT_RUN, Experiment, Rows

# The central experiment comes first: its models are what the others share.
EXPERIMENTS = (
    "cifar10_roc",
    "cifar10_conferrability",
    "cem_forms",
    "cifar10_thresholds",
    "cifar10_irremovability",
    "cifar10_evasion",
    "cifar10_transforms",
    "cifar10_training",
    "cem_weights",
    "cifar10_nets",
    "cifar10_characteristic",
    "characteristic_stopping",
    "cem_meets_ltrc",
    "verdicts",
    "targeting",
    "false_claims",
)
# They need what not everybody has, or much time, and run only by name.
ON_REQUEST = (
    "zoo",
    "imagenet_characteristic",
    "imagenet32",
    "ceiling",
    "image_variants",
    "recipes",
    "ensemble_members",
    "fast_adversarial",
)
RESULTS = Path(__file__).parent / "results"
MODELS, STUDY = "models", "study"
KEY = "job"  # of the job that a row came from
IN_README = "strong"  # the profile whose central table the README shows


def find(names: Iterable[str]) -> list[Experiment]:
    """Return the experiments called `names`; all of them for none."""
    chosen = list(names) or list(EXPERIMENTS)
    known = (*EXPERIMENTS, *ON_REQUEST)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ValueError(
            f"expected experiments among {', '.join(known)}. Received: {', '.join(unknown)}"
        )
    return [importlib.import_module(f"experiments.{name}") for name in chosen]


def all_jobs(
    experiments: Sequence[Experiment], profile: Profile, rows: Iterable[str] = ()
) -> list[Job]:
    """Return the jobs of all experiments, in order; `rows` are patterns of the names to choose.

    Raises:
        ValueError: No row has a name of such a pattern.
    """
    named = [pair for module in experiments for pair in module.jobs(profile).items()]
    patterns = tuple(rows)
    for pattern in patterns:
        if not fnmatch.filter((name for name, _ in named), pattern):
            some = ", ".join(dict.fromkeys(name for name, _ in named))
            raise ValueError(f"expected a pattern of these rows: {some}. Received: {pattern}")
    chosen = patterns or ("*",)
    return [job for name, job in named if any(fnmatch.fnmatch(name, one) for one in chosen)]


def rows_path(profile: Profile, name: str) -> Path:
    """Where an experiment's rows are kept."""
    return RESULTS / profile.name / f"{name}.json"


def collect(experiments: Sequence[Experiment], profile: Profile, store: Store) -> None:
    """Copy rows, and the fingerprints of the central experiment, from the store to `results/`.

    A method that gave no fingerprint has a row that says so, and so has a job that failed. A row
    of a job that this store lacks stays if it came from the same job: another machine made it. All
    rows of an experiment stay if the store has none of them.
    """
    write_models(profile, store)
    write_study(profile, store)
    for module in experiments:
        path, jobs = rows_path(profile, module.NAME), module.jobs(profile)
        before = _read(path, {})
        if has_results(before) and not any(store.has(job.key()) for job in jobs.values()):
            continue
        rows: Rows = {name: _row(store, job, before.get(name, {})) for name, job in jobs.items()}
        _write(path, rows)
        for name, job in jobs.items():
            if name.partition(" ")[0] == "cem" and store.has(job.key()):
                _copy_fingerprint(store, job, fingerprint_path(path.parent, module.NAME, name))


def _row(store: Store, job: Job, before: dict[str, Any]) -> dict[str, Any]:
    """Return what `job` computed and its key; else what is known of it, or why there is nothing."""
    key = job.key()
    if store.has(key):
        return {KEY: key, **read_rows(store, job)}
    return before if before.get(KEY) == key else {"missing": _why(store, job)}


def fingerprint_path(directory: Path, experiment: str, row: str) -> Path:
    """Where the fingerprint of the row `cem`, or `cem EPSILON`, of an experiment is kept."""
    return directory / f"{'_'.join([experiment, *row.split()[1:]])}.cemfp"


def _copy_fingerprint(store: Store, job: Job, path: Path) -> None:
    """Copy the fingerprint that a row is about; those of a sweep are too many to be kept."""
    made = getattr(job, "fingerprint", None)
    if isinstance(made, MakeFingerprint) and made.balance:
        file = store.get(made.key()) / FINGERPRINT
        if file.is_file():
            write_atomic(path, file.read_bytes())


def write_models(profile: Profile, store: Store) -> None:
    """Write one row per trained model: what it is, how it was made, its test accuracy.

    A model that this store lacks keeps its row; where no row would be left, the file stays.
    """
    path = rows_path(profile, MODELS)
    before = {row["key"]: row for row in _read(path, [])}
    rows = []
    for key in (job.key() for job in make_zoo(profile).everyone):
        if store.has(key):
            config = read_json(store.get(key) / CONFIG)
            kept = {name: config[name] for name in ("net", "arguments", "role", "origin")}
            took = {"took_seconds": store.manifest(key)["took_seconds"]}
            rows.append({"key": key, **kept, **config["training"], **took})
        elif key in before:
            rows.append(before[key])
    if rows or not path.is_file():
        _write(path, rows)


def write_study(profile: Profile, store: Store) -> None:
    """Write what was run by which versions on which machine, and how long it took.

    A store that lacks jobs which were counted before would tell less: what is written stays.
    """
    others = find(ON_REQUEST)
    begun = [m for m in others if any(store.has(j.key()) for j in m.jobs(profile).values())]
    facts = study_facts(all_jobs(find([]) + begun, profile), store)
    path = rows_path(profile, STUDY)
    counted = _read(path, {}).get("jobs", {})
    if all(
        count["done"] <= facts["jobs"].get(kind, count)["done"] for kind, count in counted.items()
    ):
        _write(path, {"profile": profile.name, **facts})


def _read(path: Path, default: Any) -> Any:
    return read_json(path) if path.is_file() else default


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())


def draw(experiments: Sequence[Experiment], profile: Profile) -> list[str]:
    """Draw every figure and table whose rows are there, the README's, too; say of which names."""
    drawn = []
    for module in experiments:
        path = rows_path(profile, module.NAME)
        if path.is_file() and has_results(read_json(path)):
            module.draw(read_json(path), profile, path.parent / "figures")
            drawn.append(module.NAME)
    paths = {name: rows_path(profile, name) for name in EXPERIMENTS}
    rows = {name: read_json(path) for name, path in paths.items() if path.is_file()}
    if profile.epsilon in cifar10_irremovability.score_rows(
        rows.get(cifar10_irremovability.NAME, {})
    ):
        claims.write(rows, profile, RESULTS / profile.name / "claims.md")
    roc = rows_path(profile, "cifar10_roc")
    if profile.name == IN_README and roc.is_file():
        models = read_json(rows_path(profile, MODELS))
        table.update_readme(read_json(roc), models, profile)
    return drawn


def has_results(rows: Rows) -> bool:
    """Whether there is anything to draw."""
    return any("missing" not in row for row in rows.values())


def _why(store: Store, job: Job) -> str:
    """Return the error that the log of the job that failed ends with."""
    for needed in reversed(plan([job])):
        log = store.root / "logs" / f"{needed.key()}.log"
        if log.is_file() and not store.has(needed.key()):
            # One that was stopped ends with its progress, or with what a library said.
            failed = "Traceback (most recent call last)" in log.read_text(errors="replace")
            return last_line(log) if failed else NOT_RUN
    return NOT_RUN
