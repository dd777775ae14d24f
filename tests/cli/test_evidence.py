"""From a fingerprint to a report that others can check: commit, verify, report, recheck."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from cemfp.cli import main
from cemfp.storage.files import hash_file
from tests.evidence.authority import Authority
from tests.evidence.conftest import make
from tests.suspects.servers import TensorFlowServing, serve

THEIRS = """
import numpy as np

def copy(images):
    return np.eye(3)[(np.rint(images[:, 0, 0, 0]).astype(int) + 2) % 3]
"""
SUSPECT = ("python:their_evident_model:copy", "--scale", 255, "--labels", "1,2,0")


@pytest.fixture
def cemfp(tmp_path, monkeypatch):
    """Run `cemfp` where `ten.cemfp` is a fingerprint of ten inputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CEMFP_PASSPHRASE", "secret")
    (tmp_path / "their_evident_model.py").write_text(THEIRS)
    _separated().save("ten.cemfp")
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def _separated():
    """One whose calibration models answer alike on every part of the inputs."""
    plain = make()
    record = dataclasses.replace(
        plain.calibration, surrogate_scores=(1.0, 1.0), reference_scores=(0.0,)
    )
    return dataclasses.replace(
        plain,
        calibration=record,
        surrogate_hits=np.ones((2, 10), np.uint8),
        reference_hits=np.zeros((1, 10), np.uint8),
    )


@pytest.fixture
def committed(cemfp, tmp_path):
    """The same with a commitment, signed and stamped."""
    authority = Authority()
    (tmp_path / "tsa.pem").write_bytes(authority.root)
    assert cemfp("keygen", "owner.pem").exit_code == 0
    with authority.serve() as server:
        done = cemfp(
            *("commit", "ten.cemfp", "--key", "owner.pem", "--reserve", 2),
            *("--tsa", server.url, "--tsa-root", "tsa.pem"),
        )
    assert done.exit_code == 0, done.output
    return cemfp


def test_the_whole_way(committed, tmp_path):
    verified = committed(
        *("verify", "ten.cemfp.public", *SUSPECT, "--through", "bit-depth=8"),
        *("--evidence", "e.zip", "--tsa-root", "tsa.pem"),
    )
    assert verified.exit_code == 0, verified.output
    assert "evidence e.zip: SHA-256" in verified.stderr
    assert (tmp_path / "e.zip.queries.jsonl").exists()
    reported = committed(
        *("report", "e.zip", "--case", "One against another", "--party", "Owner: One Ltd"),
        *("--party", "Other side: Another"),
    )
    assert reported.exit_code == 0, reported.output
    assert hash_file(tmp_path / "e.zip") in reported.output
    html = (tmp_path / "e.report.html").read_text()
    assert "One against another" in html and "8 inputs" in html and "reserve" in html
    said = json.loads((tmp_path / "e.report.json").read_text())
    assert said["given"]["parties"] == [["Owner", "One Ltd"], ["Other side", "Another"]]
    checked = committed(
        *("recheck", "e.zip", "--tsa-root", "tsa.pem", "--public-key", "owner.pem.pub"),
    )
    assert checked.exit_code == 0, checked.output
    assert len(checked.stdout.splitlines()) == 12
    assert all(" ok " in line for line in checked.stdout.splitlines())
    # The reserve was never asked, and is asked next; its log is another one.
    again = committed("verify", "ten.cemfp.reserve", *SUSPECT, "--evidence", "r.zip")
    assert again.exit_code in (0, 3) and committed("recheck", "r.zip").exit_code == 0


def test_what_was_changed_is_named(cemfp, tmp_path):
    assert cemfp("verify", "ten.cemfp", *SUSPECT, "--evidence", "e.zip").exit_code == 0
    data = bytearray((tmp_path / "e.zip").read_bytes())
    data[data.index(b'"matches": 10') + 12] ^= 1
    (tmp_path / "e.zip").write_bytes(data)
    checked = cemfp("recheck", "e.zip")
    assert checked.exit_code == 1
    wrong = [line for line in checked.stdout.splitlines() if " differs " in line]
    assert (
        len(wrong) == 1 and wrong[0].startswith("verdict") and "matches: 11 is stated" in wrong[0]
    )
    rows = json.loads(cemfp("recheck", "e.zip", "--json").stdout)
    assert [row["part"] for row in rows if row["status"] == "differs"] == ["verdict"]
    refused = cemfp("report", "e.zip")
    assert refused.exit_code == 2 and "would not stand" in refused.stderr
    assert not (tmp_path / "e.report.html").exists()


def test_a_suspect_over_the_network_within_a_budget(cemfp, tmp_path):
    def answer(images):
        return np.eye(3)[np.rint(images[:, 0, 0, 0] * 255).astype(int) % 3]

    with serve(TensorFlowServing(answer)) as server:
        done = cemfp(
            *("verify", "ten.cemfp", f"{server.url}/v1/models/m", "--budget", 40, "--json"),
            *("--evidence", "e.zip"),
        )
    assert done.exit_code == 0 and json.loads(done.stdout)["queries_asked"] == 40, done.output
    assert cemfp("recheck", "e.zip").exit_code == 0
    with zipfile.ZipFile(tmp_path / "e.zip") as bundle:
        assert json.loads(bundle.read("asking.json"))["limits"]["budget"] == 40


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verify", "ten.cemfp", *SUSPECT, "--evidence", "ten.cemfp"), "exists already"),
        (("verify", "ten.cemfp", *SUSPECT, "--commitment", "ten.cemfp"), "are for --evidence"),
        (("verify", "ten.cemfp", "a", "b", "--evidence", "e.zip"), "is on one suspect"),
        (
            ("verify", "ten.cemfp", *SUSPECT, "--evidence", "e", "--commitment", "ten.cemfp"),
            "ten.salts: no such file",
        ),
        (("recheck", "ten.cemfp"), "expected a bundle of evidence"),
        (("recheck", "their_evident_model.py"), "expected a bundle of evidence"),
        (("report", "ten.cemfp"), "expected a bundle of evidence"),
        (("recheck", "nowhere.zip"), "nowhere.zip"),
    ],
)
def test_bad_use_is_one_line_and_writes_nothing(cemfp, tmp_path, words, message):
    before = {path for path in tmp_path.iterdir() if path.is_file()}
    done = cemfp(*words)
    assert done.exit_code == 2 and message in done.stderr, done.output
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""
    assert {path for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_party_has_a_role(cemfp):
    cemfp("verify", "ten.cemfp", *SUSPECT, "--evidence", "e.zip")
    done = cemfp("report", "e.zip", "--party", "somebody")
    assert done.exit_code == 2 and "'ROLE: NAME'" in done.stderr
