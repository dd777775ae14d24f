"""`cemfp keygen`, `commit` and `open`."""

import json

import pytest
from click.testing import CliRunner

from cemfp.cli import main
from cemfp.evidence.commitment import Commitment
from cemfp.evidence.opening import Opening
from cemfp.evidence.timestamp import read_roots
from cemfp.fingerprint.artifact import Fingerprint
from tests.evidence.authority import Authority
from tests.verification.stand_ins import make_fingerprint


@pytest.fixture
def cemfp(tmp_path, monkeypatch):
    """Run `cemfp` where `ten.cemfp` is a fingerprint of ten inputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CEMFP_PASSPHRASE", "secret")
    make_fingerprint(count=10).save("ten.cemfp")
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def test_a_commitment_signed_and_stamped(cemfp, tmp_path):
    authority = Authority()
    (tmp_path / "tsa.pem").write_bytes(authority.root)
    assert cemfp("keygen", "owner.pem").exit_code == 0
    with authority.serve() as server:
        done = cemfp(
            *("commit", "ten.cemfp", "--key", "owner.pem", "--tsa", f"{server.url}/tsr"),
            *("--tsa-root", "tsa.pem"),
        )
    assert done.exit_code == 0 and "signed, stamped by http" in done.stdout, done.output
    made = Commitment.from_bytes((tmp_path / "ten.cemfp.commitment").read_bytes())
    made.signature.check(made.body)
    made.timestamp.check(made.signed, read_roots(authority.root))
    for secret in ("ten.cemfp.salts", "owner.pem"):
        assert (tmp_path / secret).stat().st_mode & 0o077 == 0
    again = cemfp("commit", "ten.cemfp")
    assert again.exit_code == 2 and "what was committed to stays" in again.stderr


def test_a_reserve_is_kept_back_and_can_be_shown(cemfp, tmp_path):
    assert cemfp("commit", "ten.cemfp", "--reserve", 4).exit_code == 0
    public, reserve = (Fingerprint.load(f"ten.cemfp.{part}") for part in ("public", "reserve"))
    assert (len(public), len(reserve)) == (6, 4)
    assert (tmp_path / "ten.cemfp.reserve").stat().st_mode & 0o077 == 0
    for part, fingerprint in (("public", public), ("reserve", reserve)):
        done = cemfp("open", f"ten.cemfp.{part}", "--out", f"{part}.opening")
        assert done.exit_code == 0, done.output
        opening = Opening.from_bytes((tmp_path / f"{part}.opening").read_bytes())
        opening.check()
        assert opening.part == part and opening.compare(fingerprint) == []


def test_single_inputs_are_shown(cemfp, tmp_path):
    cemfp("commit", "ten.cemfp")
    done = cemfp("open", "ten.cemfp", "--input", 3, "--input", 5, "--out", "two.opening")
    assert done.exit_code == 0 and "2 of 13 leaves" in done.stdout
    opening = Opening.from_bytes((tmp_path / "two.opening").read_bytes())
    assert [json.loads(leaf.text)["input"] for leaf in opening.leaves] == [3, 5]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("commit", "ten.cemfp", "--reserve", 10), "reserve of 1 to 9 inputs"),
        (("commit", "ten.cemfp", "--tsa", "http://x"), "--tsa together with --tsa-root"),
        (("commit", "ten.cemfp", "--key", "ten.cemfp"), "expected an encrypted PEM"),
        (("commit", "none.cemfp"), "none.cemfp"),
        (("open", "ten.cemfp", "--out", "x"), "`cemfp commit` writes it"),
        (("keygen", "ten.cemfp"), "exists already"),
    ],
)
def test_bad_use_is_one_line_and_writes_nothing(cemfp, tmp_path, words, message):
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = cemfp(*words)
    assert done.exit_code == 2 and message in done.stderr, done.output
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
