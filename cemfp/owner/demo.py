"""The demonstration: steal a classifier of digits, and catch every thief, in five steps."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cemfp.engine.jobs import Job
from cemfp.engine.local import run_local
from cemfp.figures import drawing as figures
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.cem import CEM
from cemfp.jobs.fingerprint import (
    FINGERPRINT,
    MakeCandidates,
    MakeFingerprint,
    load_classifiers,
    read_rows,
)
from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Profile, Zoo, make_zoo
from cemfp.models.roles import Origin, Role
from cemfp.owner import demo_report
from cemfp.owner.profile import DEMO
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.suspects import Suspect
from cemfp.verification import Verdict, calibrate, verify

Say = Callable[[str], object]

WHAT_IT_IS = {Origin.SURROGATE: "stolen copy", Origin.REFERENCE: "independent"}


class DemoError(RuntimeError):
    """A job of the demonstration failed; the message names its log."""


class Judged(NamedTuple):
    """A suspect: the row that `ScoreFingerprint` wrote of it, and the verdict."""

    name: str
    row: dict[str, Any]
    verdict: Verdict

    @property
    def truth(self) -> str:
        """What it really is."""
        return WHAT_IT_IS[self.row["origin"]]

    def to_dict(self) -> dict[str, Any]:
        """Both as one JSON-able row."""
        return {"suspect": self.name, "is": self.truth, **self.row, **self.verdict.to_dict()}


def run_demo(
    out: Path,
    root: Path,
    *,
    say: Say,
    profile: Profile = DEMO,
    progress: bool = True,
    program: str = "cemfp",
) -> list[Judged]:
    """Train, fingerprint, calibrate, judge, and write pictures, rows and a report.

    Args:
        out: Directory of the results; files of an earlier run are replaced.
        root: The store, in which a second run finds everything.
        say: Takes each line for people.
        profile: How large it is.
        progress: Whether to show progress on standard error.
        program: How the user calls this program, for the command that he may try next.

    Returns:
        Every suspect with its verdict.

    Raises:
        DemoError: A job failed.
        CalibrationError: The calibration models gave no threshold.
    """
    store, zoo = Store(root), make_zoo(profile)
    score = score_job(profile, zoo)
    _train(zoo, profile, store, say, progress)
    say(
        f"2/5 Making a fingerprint from {profile.candidates} images: they are changed until the "
        "defender's own copies of the source share a wrong label that independent models do not."
    )
    _run([score.fingerprint], store, progress, processes=1)
    result, fingerprint = _calibrate(score, store, say, progress)
    suspects = load_classifiers(store, zoo.evaluation.everyone)
    judged = _judge(fingerprint, result, suspects, say)
    _write(out, profile, fingerprint, result, judged)
    say(f"5/5 Written to {out}: {', '.join(sorted(path.name for path in out.iterdir()))}.")
    thief = store.get(zoo.evaluation.surrogates[0].key())
    say(f"Ask one yourself: {program} verify {shlex.quote(str(out / FINGERPRINT))} {thief}")
    return judged


def score_job(profile: Profile, zoo: Zoo) -> ScoreFingerprint:
    """Return the job that all of the demonstration's numbers come from."""
    method = CEM(epsilon=profile.epsilon, steps=profile.steps, learning_rate=profile.learning_rate)
    candidates = MakeCandidates(
        method, profile.data, zoo.source, zoo.defender, count=profile.candidates
    )
    fingerprint = MakeFingerprint(candidates, size=profile.size)
    return ScoreFingerprint(fingerprint, zoo.calibration, zoo.evaluation)


def _train(zoo: Zoo, profile: Profile, store: Store, say: Say, progress: bool) -> None:
    say(
        f"1/5 Training {len(zoo.everyone)} small nets on {profile.data}: the source, stolen copies "
        "that learn from its answers, and independent nets with labels of their own."
    )
    _run(zoo.everyone, store, progress, processes=os.cpu_count() or 1)


def _calibrate(
    score: ScoreFingerprint, store: Store, say: Say, progress: bool
) -> tuple[dict[str, Any], Fingerprint]:
    """Ask all models, and set the threshold from those of the role `calibration`."""
    say("3/5 Setting the threshold on models that neither made the fingerprint nor are suspects.")
    _run([score], store, progress, processes=1)
    result = read_rows(store, score)
    fingerprint = calibrate(
        Fingerprint.load(store.get(score.fingerprint.key()) / FINGERPRINT),
        load_classifiers(store, score.calibration.surrogates),
        load_classifiers(store, score.calibration.references),
    )
    return result, fingerprint


def _judge(
    fingerprint: Fingerprint, result: dict[str, Any], suspects: Sequence[Suspect], say: Say
) -> list[Judged]:
    """Ask each suspect; their rows in `result` stand in the same order."""
    rows = [row for row in result["models"] if row["role"] == Role.EVALUATION]
    say(f"4/5 Asking {len(rows)} unseen suspects the {len(fingerprint)} inputs of the fingerprint.")
    judged = [
        Judged(f"suspect {number}", row, verify(fingerprint, suspect))
        for number, (row, suspect) in enumerate(zip(rows, suspects, strict=True), start=1)
    ]
    for line in table(judged):
        say(line)
    return judged


def table(judged: Sequence[Judged]) -> list[str]:
    """Return the lines of a plain-text table of the verdicts."""
    lines = [f"    {'suspect':11}{'what it is':13}{'accuracy':>9}{'key':>7}  95% interval  verdict"]
    for name, row, verdict in judged:
        low, high = verdict.interval
        lines.append(
            f"    {name:11}{WHAT_IT_IS[row['origin']]:13}{row['test_accuracy']:9.1%}"
            f"{verdict.cae_accuracy:7.0%}  {low:5.2f} - {high:4.2f}  {verdict.decision}"
        )
    return lines


def _write(
    out: Path,
    profile: Profile,
    fingerprint: Fingerprint,
    result: dict[str, Any],
    judged: Sequence[Judged],
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    fingerprint.save(out / FINGERPRINT)
    rows = result | {"verdicts": [one.to_dict() for one in judged]}
    write_atomic(out / "rows.json", json.dumps(rows, indent=1).encode())
    figures.gallery(fingerprint, out / "fingerprint.png")
    figures.roc([result], out / "roc.png")
    page = demo_report.page(
        profile,
        result,
        [one.to_dict() for one in judged],
        threshold=judged[0].verdict.threshold,
        pictures={name: (out / name).read_bytes() for name in ("fingerprint.png", "roc.png")},
    )
    write_atomic(out / "report.html", page.encode())


def _run(jobs: Sequence[Job], store: Store, progress: bool, *, processes: int) -> None:
    """Obtain `jobs`; the processor's cores are divided among the processes."""
    outcome = run_local(jobs, store, processes=processes, progress=progress)
    if not outcome.ok:
        raise DemoError(outcome.summary())
