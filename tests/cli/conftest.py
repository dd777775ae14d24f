"""Running the command line in this process, and what it needs to run on."""

import importlib
import shutil

import pytest
from click.testing import CliRunner

from cemfp.cli import main


@pytest.fixture(scope="session")
def run():
    """Run `cemfp` with arguments; the result has exit_code, stdout and stderr."""
    # ART resets all logging when it is imported, whereupon absl closes the standard error that it
    # knows, unless that is the present one. It is not while CliRunner holds the place.
    importlib.import_module("cemfp.fingerprint.methods")
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def fails(run, tmp_path, monkeypatch):
    """Run `cemfp`, which must fail in one line, with status 2, and leave no file behind."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def check(*arguments):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        result = run(*arguments)
        after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        assert result.exit_code == 2, (result.exit_code, result.output)
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("Error: ")
        assert "unexpected" not in result.stderr
        assert after == before
        return result.stderr

    return check


@pytest.fixture(scope="session")
def fingerprint_arguments(tiny_zoo):
    """`cemfp fingerprint cem` on the tiny zoo, but for the output."""
    return [
        *("fingerprint", "cem", "--source", tiny_zoo.path("source")),
        *("--surrogate", *tiny_zoo.paths("defender", "surrogate")),
        *("--reference", tiny_zoo.root / "defender-reference-*"),
        *("--data", "digits", "--size", 30, "--candidates", 200, "--epsilon", 0.3),
        *("--steps", 60, "--learning-rate", 0.02, "--threshold", 0.9),
    ]


@pytest.fixture(scope="session")
def calibrate_arguments(tiny_zoo):
    """What follows `cemfp calibrate FILE` on the tiny zoo."""
    return [
        *("--surrogate", tiny_zoo.root / "calibration-surrogate-*"),
        *("--reference", tiny_zoo.root / "calibration-reference-*"),
    ]


@pytest.fixture(scope="session")
def plain_file(run, fingerprint_arguments, tmp_path_factory):
    """A fingerprint without calibration, as the command wrote it; copy before changing it."""
    path = tmp_path_factory.mktemp("plain") / "plain.cemfp"
    result = run(*fingerprint_arguments, "--out", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def calibrated_file(run, plain_file, calibrate_arguments, tmp_path_factory):
    """The same with calibration."""
    path = tmp_path_factory.mktemp("calibrated") / "calibrated.cemfp"
    result = run("calibrate", plain_file, *calibrate_arguments, "--out", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def copied_file(calibrated_file, tmp_path):
    """A calibrated fingerprint to change at will."""
    return shutil.copy(calibrated_file, tmp_path / "copy.cemfp")
