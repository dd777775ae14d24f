"""The demonstration, from recorded answers on: threshold, verdicts, pictures, report."""

import functools
import html.parser
import json

import numpy as np
import pytest

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import FINGERPRINT
from cemfp.jobs.score import _facts, summarize
from cemfp.jobs.zoo import make_zoo
from cemfp.owner import demo
from cemfp.owner.running import ProtectionError, obtain_all, run_jobs
from cemfp.owner.self_test import INDEPENDENT, STOLEN, Judged, table
from cemfp.verification import calibrate, verify
from experiments.profiles import PROFILES

KEYS = np.arange(40) % 10
TRUTHS = {"surrogate": STOLEN, "reference": INDEPENDENT}


def row(role, origin, right, number):
    """A model that answers the key on the first `right` of 40 inputs, and the next class after."""
    answers = np.where(np.arange(40) < right, KEYS, (KEYS + 1) % 10)
    return {
        "role": role, "origin": origin, "net": "resnet20", "seed": number,
        "weights_sha256": f"{number:064d}", "test_accuracy": 0.9,
        "cae_accuracy": right / 40, "answers": answers.tolist(),
    }  # fmt: skip


class Recorded:
    """A suspect that answers what its row says."""

    def __init__(self, row):
        self.role, self.origin = row["role"], row["origin"]
        self.weights_sha256, self.answers = row["weights_sha256"], np.array(row["answers"])

    def __call__(self, images):
        assert len(images) == len(self.answers)
        return self.answers


@pytest.fixture
def study():
    """A fingerprint of 40 grey images and what `ScoreFingerprint` would write."""
    made = Fingerprint(
        inputs=(np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)) / 255).astype(np.float32),
        keys=KEYS, classes=10, method="cem", parameters={"steps": 9},
        source_sha256="a" * 64, epsilon=0.2,
        data={"name": "digits", "train_size": 1200, "test_size": 597, "sha256": "b" * 64,
              "stand_in": True, "note": "8 x 8 <digits>"},
    )  # fmt: skip
    rights = [("surrogate", 40), ("surrogate", 38), ("reference", 12), ("reference", 16)]
    rows = [
        row(role, origin, right, first + place)
        for role, first in (("calibration", 0), ("evaluation", 100))
        for place, (origin, right) in enumerate(rights, start=1)
    ]
    return made, {"fingerprint": _facts(made), "models": rows, **summarize(made.keys, rows)}


@pytest.fixture
def judged(study):
    made, result = study
    known = [Recorded(r) for r in result["models"] if r["role"] == "calibration"]
    calibrated = calibrate(made, known[:2], known[2:])
    suspects = [r for r in result["models"] if r["role"] == "evaluation"]
    return (
        calibrated,
        result,
        [
            Judged(
                f"net {r['seed']}", TRUTHS[r["origin"]], 0.9, True, verify(calibrated, Recorded(r))
            )
            for r in suspects
        ],
    )


def test_verdicts_follow_from_the_answers(judged):
    # Threshold halfway between 38/40 and 16/40: 0.675.
    calibrated, _, verdicts = judged
    assert calibrated.calibration.threshold == pytest.approx(0.675)
    assert [one.truth for one in verdicts] == ["stolen copy"] * 2 + ["independent"] * 2
    assert [one.verdict.decision for one in verdicts] == ["match"] * 2 + ["no match"] * 2
    assert [one.verdict.matches for one in verdicts] == [40, 38, 12, 16]
    head, *rows = table(verdicts)
    assert "accuracy" in head and len(rows) == 4
    assert "100%" in rows[0] and rows[0].endswith(" match") and rows[3].endswith("no match")


def test_everything_is_written_and_the_report_is_self_contained(judged, tmp_path):
    calibrated, result, verdicts = judged
    demo._write(tmp_path / "out", PROFILES["demo"], calibrated, result, verdicts)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {FINGERPRINT, "fingerprint.png", "roc.png", "report.html", "rows.json"}
    rows = json.loads((tmp_path / "out" / "rows.json").read_bytes())
    assert [one["decision"] for one in rows["verdicts"]] == ["match"] * 2 + ["no match"] * 2
    assert Fingerprint.load(tmp_path / "out" / FINGERPRINT).calibration == calibrated.calibration
    page = (tmp_path / "out" / "report.html").read_text()
    assert "stand-in" in page and "Why few labels" in page and "$" not in page
    assert "8 x 8 &lt;digits&gt;" in page and "a" * 64 in page and ">net 101<" in page
    sources = Sources()
    sources.feed(page)
    assert len(sources.found) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources.found)


class Sources(html.parser.HTMLParser):
    """Collects what a page loads."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]


def test_the_demo_judges_models_that_made_nothing():
    profile = PROFILES["demo"]
    zoo = make_zoo(profile)
    score = demo.score_job(profile, zoo)
    made_with = {job.key() for job in score.fingerprint.candidates.defender.everyone}
    known = {job.key() for job in score.calibration.everyone}
    judged = {job.key() for job in score.evaluation.everyone}
    assert len(judged) == 10 and not judged & (made_with | known) and not made_with & known


def test_a_failed_job_is_named(tmp_path):
    from cemfp.storage.store import Store
    from tests.engine.toy_jobs import LightFail

    run = functools.partial(run_jobs, store=Store(tmp_path), progress=False)
    with pytest.raises(ProtectionError, match="1 failed"):
        obtain_all(run, [LightFail()])
