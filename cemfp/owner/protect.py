"""From a model and its data to a calibrated fingerprint that is known to work: the whole way."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cemfp.data import load
from cemfp.engine.progress import duration
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import FINGERPRINT, read_rows
from cemfp.jobs.source import ACCURACY, load_source
from cemfp.numerics.metrics import clopper_pearson
from cemfp.owner import report
from cemfp.owner.jobs import Protection
from cemfp.owner.planning import Say, Wish, plan_protection
from cemfp.owner.running import ProtectionError, Run, obtain_all, run_jobs
from cemfp.owner.self_test import Judged, conclusion, judge_all, table
from cemfp.storage.files import read_json, write_atomic
from cemfp.storage.store import Store
from cemfp.verification import Decision, decide

SUMMARY, REPORT = "summary.json", "report.html"
# Lowest surrogate less highest reference: with so much between them a radius is large enough.
ENOUGH = 0.5
# With less than this a fingerprint decides little, which an owner should hear.
WEAK = 0.2


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

    @property
    def conclusion(self) -> list[str]:
        """What it survives, what not, and whom it accuses, in plain lines."""
        return conclusion(self.judged)


def protect(
    wish: Wish,
    out: Path,
    root: Path,
    *,
    say: Say,
    progress: bool = True,
    executor: str = "local",
    address: str | None = None,
) -> Protected:
    """Make a fingerprint of a model, set its threshold, and find out what it survives.

    What an earlier run has done is not done again.

    Args:
        wish: What to protect, and with what means.
        out: Directory of the results.
        root: The store, where models are kept.
        say: Takes each line for people.
        progress: Whether to show progress on standard error.
        executor: `local` or `ray`.
        address: Of the Ray cluster.

    Raises:
        NotItsTask: The model is right on hardly more than chance.
        BudgetError: The budget is too small.
        ProtectionError: A job failed, or no radius gave a usable fingerprint.
    """
    store = Store(root)
    run = functools.partial(
        run_jobs, store=store, progress=progress, executor=executor, address=address
    )
    protection = plan_protection(wish, out, store, say=say)
    return carry_out(protection, out, store, run, say=say, classes=load(wish.data).classes)


def carry_out(
    protection: Protection, out: Path, store: Store, run: Run, *, say: Say, classes: Sequence[str]
) -> Protected:
    """Train, make the fingerprint, set its threshold, test it, and write files and report.

    Args:
        protection: The jobs of a plan.
        out: Directory of the results.
        store: Where the model to protect is, and all else will be.
        run: Obtains jobs; see `running.run_jobs`.
        say: Takes each line for people.
        classes: Names of the classes.

    Raises:
        ProtectionError: A job failed, or no radius gave a usable fingerprint.
    """
    todo = protection.plan
    say(
        f"1/4 Training {len(protection.nets)} nets: copies of the model, and independent ones; "
        f"about {duration(len(protection.nets) * todo.training)}."
    )
    obtain_all(run, protection.nets)
    say("2/4 Making the fingerprint, and its threshold from nets that did not make it.")
    radius, tried = _choose_radius(protection, store, run, say)
    say(
        f"3/4 Self-test: stealing the model in {len(todo.thefts)} ways, and training "
        f"{todo.unseen} independent nets that nobody used before; about "
        f"{duration((todo.unseen + len(todo.thefts)) * todo.training)} at most."
    )
    obtain_all(run, [*protection.thefts.values(), *protection.unseen])
    made = store.get(protection.calibrated(radius).key()) / FINGERPRINT
    fingerprint = Fingerprint.load(made)
    owned = store.get(protection.owner.source.key())
    accuracy = read_json(owned / ACCURACY)["test_accuracy"]
    judged = judge_all(fingerprint, protection, load_source(owned), accuracy, store)
    found = conclusion(judged) + _warning(fingerprint)
    for line in [*table(judged), *found]:
        say(line)
    path = _write(out, fingerprint, protection, judged, found, tried, accuracy, classes)
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
        obtain_all(run, [job])
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


def _warning(fingerprint: Fingerprint) -> list[str]:
    """Say so if known copies and known independent nets hardly differ, or inputs are too few."""
    record, found = fingerprint.calibration, len(fingerprint)
    assert record is not None
    gap = min(record.surrogate_scores) - max(record.reference_scores)
    flaws = []
    if gap < WEAK:
        flaws.append(f"known copies are only {gap:+.2f} from known independent nets")
    if decide(clopper_pearson(found, found), record.threshold) is not Decision.MATCH:
        flaws.append(f"its {found} inputs are too few for any match, even of the model itself")
    if not flaws:
        return []
    return [
        f"A weak fingerprint: {', and '.join(flaws)}. More time (--budget) for more nets and "
        "longer trainings, or more images, make a better one."
    ]


def _write(
    out: Path,
    fingerprint: Fingerprint,
    protection: Protection,
    judged: Sequence[Judged],
    found: Sequence[str],
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
        "plan": {
            **dataclasses.asdict(protection.plan),
            "started": protection.owner.start is not None,
        },
        "self_test": [one.to_dict() for one in judged],
        "conclusion": list(found),
    }
    write_atomic(out / SUMMARY, json.dumps(summary, indent=1).encode())
    page = report.page(summary, fingerprint, judged, classes)
    write_atomic(out / REPORT, page.encode())
    return out / FINGERPRINT
