"""From a secret to a judge's audit, as both type it, on real trainings."""

import dataclasses
import json

import pytest

from cemfp.fingerprint.artifact import Fingerprint

SECRET = b"a secret that nobody can guess"


@pytest.fixture(scope="module")
def made(run, fingerprint_arguments, calibrate_arguments, tmp_path_factory):
    """Directory with `my.cemfp`, calibrated, `my.tried.cemfp`, `secret` and `my.opening`."""
    where = tmp_path_factory.mktemp("ruled")
    (where / "secret").write_bytes(SECRET)
    out = where / "my.cemfp"
    for words in (
        (
            *fingerprint_arguments,
            *("--steps", 25, "--candidates", 60, "--size", 12, "--threshold", 0.5, "--quiet"),
            *("--rule", where / "secret", "--statement", "the digits' source", "--out", out),
        ),
        ("calibrate", out, *calibrate_arguments),
        ("commit", out),
        ("open", out, "--out", where / "my.opening"),
    ):
        done = run(*words)
        assert done.exit_code == 0, done.output
    return where


@pytest.fixture
def judged(run, tiny_zoo, made):
    """Audit a file with all that the owner hands over; the exit status, and each check."""

    def audit(file, *more):
        done = run(
            *("audit", file, "--data", "digits", "--source", tiny_zoo.path("source"), "--json"),
            *("--independent", tiny_zoo.path("evaluation-reference-0")),
            *("--secret", made / "secret", "--record", made / "my.tried.cemfp", *more),
        )
        found = json.loads(done.stdout)
        return done.exit_code, {check["name"]: check for check in found["checks"]}

    return audit


def test_a_judge_finds_a_fingerprint_by_a_rule_in_order(judged, made):
    status, checks = judged(made / "my.cemfp", "--opening", made / "my.opening")
    states = {name: check["status"] for name, check in checks.items()}
    # One independent cannot say much of the owner's references, and nobody stamped the date.
    assert states.pop("references") == states.pop("commitment") == "open" and status == 3
    assert set(states.values()) == {"passed"}, checks
    assert checks["candidates"]["numbers"]["tried"] == 60
    assert "not stamped" in checks["commitment"]["text"]


def test_other_keys_fail_with_status_1(judged, made, tiny_zoo, tmp_path):
    loaded = Fingerprint.load(made / "my.cemfp")
    innocent = tiny_zoo.load("calibration-reference-0")
    late = dataclasses.replace(loaded, keys=innocent.predict_labels(loaded.inputs))
    late.save(tmp_path / "late.cemfp")
    status, checks = judged(tmp_path / "late.cemfp", "--opening", made / "my.opening")
    assert status == 1
    failed = {name for name, check in checks.items() if check["status"] == "failed"}
    assert {"commitment", "keys", "candidates"} <= failed


def test_lines_for_people(run, made):
    done = run("audit", made / "my.cemfp", "--data", "digits")
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("commitment", "inputs", "keys", "rule", "candidates", "independents", "references")
    ]
    assert lines[1].split()[1] == "passed" and "--secret FILE" in lines[3]


def test_inspect_shows_the_rule_and_never_the_secret(run, made):
    done = run("inspect", made / "my.cemfp", "--json")
    assert json.loads(done.stdout)["rule"]["statement"] == "the digits' source"
    for name in ("my.cemfp", "my.tried.cemfp", "my.opening", "my.cemfp.commitment"):
        assert SECRET not in (made / name).read_bytes()


def test_what_a_rule_decides_is_refused(fails, fingerprint_arguments, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    cem = [*fingerprint_arguments, "--out", tmp_path / "x.cemfp"]
    ruled = ("--rule", secret, "--statement", "s")
    assert "--statement TEXT together" in fails(*cem, "--rule", secret)
    assert "leave --seed out" in fails(*cem, *ruled, "--seed", 3)
    assert "leave --balance out" in fails(*cem, *ruled, "--balance")
    assert "16 to 4096 bytes" in fails(*cem, "--rule", __file__, "--statement", "s")
    (tmp_path / "x.tried.cemfp").write_text("")
    assert "exists already" in fails(*cem, *ruled)


def test_a_method_that_takes_no_labels_is_refused(fails, tiny_zoo, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    words = ("--source", tiny_zoo.path("source"), "--data", "digits", "--out", tmp_path / "x")
    ruled = ("--rule", secret, "--statement", "s", "--quiet")
    assert "a rule names labels" in fails("fingerprint", "ipguard", *words, *ruled)


def test_an_audit_that_cannot_be_made_is_one_line(fails, made, tiny_zoo):
    file = made / "my.cemfp"
    source = tiny_zoo.path("source")
    assert "had no hand in" in fails("audit", file, "--data", "digits", "--independent", source)
    assert "--opening" in fails("audit", file, "--data", "digits", "--suspect-date", "2026-11-29")
    auto = fails("audit", file, "--data", "digits", "--scale", "auto")
    assert "--scale NUMBER" in auto
