"""Fingerprints made of noise: from `cemfp fingerprint ltrc` to a verdict, and what is refused."""

import json

import pytest

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.methods import METHODS


@pytest.fixture(scope="module")
def ltrc(run, tiny_zoo, tmp_path_factory):
    """Make an LTRC fingerprint of the tiny zoo's source, with other options at will."""

    def make(*changes):
        path = tmp_path_factory.mktemp("ltrc") / "ltrc.cemfp"
        given = ("--source", tiny_zoo.path("source"), "--k", 2, "--delta", 0.03, "--size", 30)
        options = ("--data-free", "--steps", 60, "--quiet", "--out", path)
        result = run("fingerprint", "ltrc", *given, *options, *changes)
        assert result.exit_code == 0, result.output
        return path

    return make


def test_no_data_from_noise_to_verdict(run, ltrc, tiny_zoo):
    path = ltrc()
    made = Fingerprint.load(path)
    assert made.method == "ltrc" and len(made) == 30 and made.eight_bit
    assert made.data["name"] == "none" and made.originals is None
    assert (made.parameters["k"], made.parameters["delta"], made.parameters["seed"]) == (2, 0.03, 0)
    result = run("verify", path, tiny_zoo.path("source"), "--threshold", 0.8)
    assert result.exit_code == 0 and "match" in result.stdout
    other = tiny_zoo.path("evaluation-reference-0")
    assert run("verify", path, other, "--threshold", 0.8).exit_code == 1


def test_signed_inputs_reach_a_model_but_no_transform(run, ltrc, tiny_zoo):
    path = ltrc("--domain", "signed")
    facts = json.loads(run("inspect", path, "--json").stdout)
    assert facts["domain"] == "signed" and not facts["eight_bit"]
    source = tiny_zoo.path("source")
    assert run("verify", path, source, "--threshold", 0.1).exit_code == 0
    refused = run("verify", path, source, "--threshold", 0.9, "--through", "jpeg=75")
    assert refused.exit_code == 2
    assert len(refused.stderr.splitlines()) == 1 and "images in [0, 1]" in refused.stderr


def test_data_for_a_method_without_and_none_for_one_with(fails, tiny_zoo, tmp_path):
    given = ("--source", tiny_zoo.path("source"), "--out", tmp_path / "x.cemfp")
    assert "leave it out" in fails("fingerprint", "rc", *given, "--data", "digits")
    assert "expected --data" in fails("fingerprint", "ipguard", *given, "--data-free")
    assert "expected --data" in fails("fingerprint", "ipguard", *given)
    assert "k of at most" in fails("fingerprint", "ltrc", *given, "--k", 9, "--data-free")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_summary_of_its_own(run, name):
    text = run("fingerprint", name, "--help").stdout
    others = [run("fingerprint", other, "--help").stdout for other in METHODS if other != name]
    assert all(text.splitlines()[2] != other.splitlines()[2] for other in others)


def test_a_net_without_a_width_says_so(fails, tmp_path):
    given = ("--data", "digits", "--out", tmp_path / "x", "--width", 4)
    assert "options that imagenet-vgg16 has" in fails("train", "--net", "imagenet-vgg16", *given)


def test_an_owners_pruned_copy_calibrates(run, ltrc, tiny_zoo, tmp_path):
    """A fingerprint that recognises pruned copies gets its threshold from one."""
    copy, file = tmp_path / "copy", tmp_path / "calibrated.cemfp"
    given = ("--victim", tiny_zoo.path("source"), "--data", "digits", "--count", 100)
    recipe = ("--epochs", 1, "--learning-rate", 0.001, "--sparsity", 0.3, "--quiet", "--out", copy)
    assert run("attack", "prune", *given, *recipe, "--role", "calibration").exit_code == 0
    reference = tiny_zoo.path("calibration-reference-0")
    asked = ("--surrogate", copy, "--reference", reference, "--out", file)
    result = run("calibrate", ltrc(), *asked)
    assert result.exit_code == 0, result.output
    made = Fingerprint.load(file).calibration
    assert made.reference_scores[0] < made.threshold <= made.surrogate_scores[0]
