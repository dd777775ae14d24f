"""From a model and its data to a calibrated fingerprint that is known to work: the whole way."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cemfp.data import load
from cemfp.engine.executors import Outcome
from cemfp.engine.jobs import Job
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import FINGERPRINT, read_rows
from cemfp.jobs.source import ACCURACY, load_source
from cemfp.owner import report
from cemfp.owner.jobs import CANDIDATES_FOR_EACH, Owner, Protection
from cemfp.owner.rates import measure
from cemfp.owner.schedule import Schedule, schedule
from cemfp.owner.self_test import Judged, conclusion, judge_all
from cemfp.storage.files import read_json, write_atomic
from cemfp.storage.store import Store

Say = Callable[[str], object]
Run = Callable[[Sequence[Job]], Outcome]

PLAN, SUMMARY, REPORT = "plan.json", "summary.json", "report.html"
# Lowest surrogate less highest reference: with so much between them a radius is large enough.
ENOUGH = 0.5


class ProtectionError(RuntimeError):
    """A job failed, or no fingerprint tells copies from others; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Protected:
    """What an owner has in the end.

    Attributes:
        fingerprint: With its threshold.
        judged: The suspects of the self-test.
        path: The fingerprint's file.
    """

    fingerprint: Fingerprint
    judged: list[Judged]
    path: Path


def make_plan(
    owner: Owner,
    budget: float,
    out: Path,
    store: Store,
    *,
    epsilon: float | None,
    pairs: tuple[int, int] | None,
    say: Say,
) -> Schedule:
    """Return the schedule of an earlier run with the same wishes, or measure and make one.

    Raises:
        BudgetError: The budget is too small.
    """
    wish = {
        "source": owner.source.key(),
        "data": owner.data,
        "nets": [dataclasses.asdict(net) for net in owner.nets],
        "recipe": dataclasses.asdict(owner.recipe),
        "size": owner.size,
        "seed": owner.seed,
        "budget": budget,
        "epsilon": epsilon,
        "pairs": pairs,
    }
    wish = json.loads(json.dumps(wish))
    known = read_json(out / PLAN) if (out / PLAN).is_file() else {}
    if known.get("wish") == wish:
        say(f"The plan of {out / PLAN} is carried on.")
        return Schedule.from_json(known["plan"])
    say("Timing some steps of each part.")
    source = load_source(store.get(owner.source.key()))
    candidates = CANDIDATES_FOR_EACH * owner.size
    rates = measure(source, load(owner.data), owner.nets, owner.recipe, candidates)
    plan = schedule(rates, budget, epsilon=epsilon, asked=owner.source.asked, pairs=pairs)
    out.mkdir(parents=True, exist_ok=True)
    record = {"wish": wish, "plan": dataclasses.asdict(plan), "rates": dataclasses.asdict(rates)}
    write_atomic(out / PLAN, json.dumps(record, indent=1).encode())
    return plan


def protect(
    protection: Protection, out: Path, store: Store, run: Run, *, say: Say, classes: Sequence[str]
) -> Protected:
    """Train, make the fingerprint, set its threshold, test it, and write files and report.

    Args:
        protection: What to do; what the store holds already is not done again.
        out: Directory of the results.
        store: Where models are kept.
        run: Obtains jobs.
        say: Takes each line for people.
        classes: Names of the classes.

    Raises:
        ProtectionError: A job failed, or no radius gave a usable fingerprint.
    """
    plan = protection.plan
    say(f"1/4 Training {len(protection.nets)} nets: copies of the model, and independent ones.")
    _obtain(run, protection.nets)
    say("2/4 Making the fingerprint, and its threshold from nets that did not make it.")
    radius, tried = _choose_radius(protection, store, run, say)
    say(
        f"3/4 Self-test: stealing the model in {len(plan.thefts)} ways, and training "
        f"{plan.unseen} independent nets that nobody used before."
    )
    _obtain(run, [*protection.thefts.values(), *protection.unseen])
    made = store.get(protection.calibrated(radius).key()) / FINGERPRINT
    fingerprint = Fingerprint.load(made)
    owned = store.get(protection.owner.source.key())
    accuracy = read_json(owned / ACCURACY)["test_accuracy"]
    judged = judge_all(fingerprint, protection, load_source(owned), accuracy, store)
    for line in [*table(judged), *conclusion(judged)]:
        say(line)
    path = _write(out, fingerprint, protection, judged, tried, accuracy, classes)
    say(f"4/4 Written: {path}, {out / REPORT}, {out / SUMMARY}.")
    return Protected(fingerprint, judged, path)


def _choose_radius(
    protection: Protection, store: Store, run: Run, say: Say
) -> tuple[float, dict[str, Any]]:
    """Try the radii in turn, until calibration models are far enough apart.

    Returns:
        The radius, and what was found at each.
    """
    tried: dict[str, Any] = {}
    gaps: dict[float, float] = {}
    for radius in protection.plan.radii:
        job = protection.calibrated(radius)
        _obtain(run, [job])
        row = read_rows(store, job)
        tried[f"{radius:.5f}"] = row
        if "missing" in row:
            say(f"    epsilon {radius:.4f}: {row['missing']}")
            continue
        say(
            f"    epsilon {radius:.4f}: {row['inputs']} inputs; lowest surrogate less highest "
            f"reference {row['gap']:+.2f}"
        )
        # A fingerprint of few inputs decides little, however far apart the models are.
        gaps[radius] = row["gap"] * min(1.0, row["inputs"] / protection.owner.size)
        if gaps[radius] >= ENOUGH:
            break
    if not gaps:
        raise ProtectionError(
            "expected a radius at which copies and independent nets differ. Received: none among "
            f"{', '.join(f'{r:.4f}' for r in protection.plan.radii)}; give more time (--budget), "
            "more images, or a larger --epsilon"
        )
    best = max(gaps.values())
    return next(radius for radius, gap in gaps.items() if gap == best), tried


def table(judged: Sequence[Judged]) -> list[str]:
    """Return the lines of a plain-text table of the verdicts."""
    width = max(len(one.name) for one in judged) + 2
    lines = [f"    {'suspect':{width}}{'what it is':18}{'accuracy':>9}{'key':>6}  verdict"]
    for one in judged:
        share = one.verdict.cae_accuracy
        key = "-" if share is None else f"{share:.0%}"
        lines.append(
            f"    {one.name:{width}}{one.truth:18}{one.accuracy:9.1%}{key:>6}  "
            f"{one.verdict.decision}"
        )
    return lines


def _write(
    out: Path,
    fingerprint: Fingerprint,
    protection: Protection,
    judged: Sequence[Judged],
    tried: dict[str, Any],
    accuracy: float,
    classes: Sequence[str],
) -> Path:
    """Write the fingerprint, the summary and the report; return the fingerprint's path."""
    out.mkdir(parents=True, exist_ok=True)
    fingerprint.save(out / FINGERPRINT)
    record = fingerprint.calibration
    summary = {
        "source": {
            "model": protection.owner.source.spec,
            "sha256": fingerprint.source_sha256,
            "test_accuracy": accuracy,
            "black_box": protection.owner.source.asked,
        },
        "data": fingerprint.data,
        "method": {"name": fingerprint.method, **fingerprint.parameters},
        "inputs": len(fingerprint),
        "epsilon": fingerprint.epsilon,
        "radii_tried": tried,
        "calibration": None if record is None else dataclasses.asdict(record),
        "plan": dataclasses.asdict(protection.plan),
        "self_test": [one.to_dict() for one in judged],
        "conclusion": conclusion(list(judged)),
    }
    write_atomic(out / SUMMARY, json.dumps(summary, indent=1).encode())
    page = report.page(summary, fingerprint, judged, classes)
    write_atomic(out / REPORT, page.encode())
    return out / FINGERPRINT


def _obtain(run: Run, jobs: Sequence[Job]) -> None:
    outcome = run(jobs)
    if not outcome.ok:
        raise ProtectionError(outcome.summary())
