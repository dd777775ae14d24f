"""The demonstration: steal a classifier of digits, and catch every thief, in five steps."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cemfp.figures import drawing as figures
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.cem import CEM
from cemfp.jobs.calibrate import CalibrateFingerprint
from cemfp.jobs.fingerprint import (
    FINGERPRINT,
    MakeCandidates,
    MakeFingerprint,
    load_classifiers,
    read_rows,
)
from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Profile, Zoo, make_zoo
from cemfp.owner import demo_report
from cemfp.owner.planning import Say
from cemfp.owner.profile import DEMO
from cemfp.owner.running import ProtectionError, Run, obtain_all, run_jobs
from cemfp.owner.self_test import MARGIN, Judged, judge_net, table
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store


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
        ProtectionError: A job failed, or the calibration models gave no threshold.
    """
    store, zoo = Store(root), make_zoo(profile)
    run, score = (
        functools.partial(run_jobs, store=store, progress=progress),
        score_job(profile, zoo),
    )
    say(
        f"1/5 Training {len(zoo.everyone)} small nets on {profile.data}: the source, stolen copies "
        "that learn from its answers, and independent nets with labels of their own."
    )
    obtain_all(run, zoo.everyone)
    say(
        f"2/5 Making a fingerprint from {profile.candidates} images: they are changed until the "
        "defender's own copies of the source share a wrong label that independent models do not."
    )
    obtain_all(run, [score.fingerprint])
    say("3/5 Setting the threshold on models that neither made the fingerprint nor are suspects.")
    fingerprint, result = calibrated(score, store, run), read_rows(store, score)
    suspects = zoo.evaluation.everyone
    say(
        f"4/5 Asking {len(suspects)} unseen suspects the {len(fingerprint)} inputs of the "
        "fingerprint."
    )
    (source,) = load_classifiers(store, [zoo.source])
    least = source.config.training["test_accuracy"] - MARGIN
    judged = [judge_net(fingerprint, net, least, store) for net in suspects]
    for line in table(judged):
        say(line)
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


def calibrated(score: ScoreFingerprint, store: Store, run: Run) -> Fingerprint:
    """Return the fingerprint with its threshold, and let `run` obtain the scores as well.

    Raises:
        ProtectionError: There is none.
    """
    job = CalibrateFingerprint(score.fingerprint, score.calibration)
    obtain_all(run, [job, score])
    row = read_rows(store, job)
    if "missing" in row:
        raise ProtectionError(row["missing"])
    return Fingerprint.load(store.get(job.key()) / FINGERPRINT)


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
    pictures = {name: (out / name).read_bytes() for name in ("fingerprint.png", "roc.png")}
    page = demo_report.page(profile, result, judged, pictures=pictures)
    write_atomic(out / "report.html", page.encode())
