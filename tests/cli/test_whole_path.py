"""Train, fingerprint, calibrate, verify, inspect: what a user types, on real trainings."""

import json

import numpy as np
import pytest

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.classifier import Classifier

TINY = ("--width", 4, "--depth", 8, "--batch-size", 64, "--learning-rate", 0.1)
TINY += ("--no-flip", "--pad", 0, "--precision", "float32", "--quiet")


def test_train_writes_a_source(run, tmp_path):
    out = tmp_path / "new" / "source"
    result = run("train", "--data", "digits", *TINY, "--epochs", 2, "--seed", 7, "--out", out)
    assert result.exit_code == 0, result.output
    config = Classifier.load(out).config
    assert (config.role, config.origin, config.training["images"]) == ("source", "source", 1200)
    assert config.training["recipe"]["epochs"] == 2 and config.training["seed"] == 7
    assert f"{config.training['test_accuracy']:.2%}" in result.stdout
    assert [path.name for path in out.parent.iterdir()] == ["source"]


@pytest.mark.parametrize(("labels", "recorded"), [((), "soft"), (("--labels", "top1"), "top1")])
def test_a_thief_learns_from_the_source_and_is_an_attacker(
    run, tiny_zoo, tmp_path, labels, recorded
):
    out, source = tmp_path / "thief", tiny_zoo.path("source")
    given = ("--labels-from", source, *labels, "--epochs", 1, "--images", 300, "--out", out)
    result = run("train", "--data", "digits", *TINY, *given)
    assert result.exit_code == 0, result.output
    config = Classifier.load(out).config
    assert (config.role, config.origin) == ("attacker", "surrogate")
    assert config.training["labels"] == recorded
    assert config.training["source_sha256"] == Classifier.load(source).weights_sha256


def test_force_replaces_a_classifier(run, tiny_zoo, tmp_path):
    out = tmp_path / "net"
    tiny_zoo.load("source").save(out)
    before = Classifier.load(out).weights_sha256
    given = ("--epochs", 1, "--images", 64, "--out", out)
    assert run("train", "--data", "digits", *TINY, *given, "--force").exit_code == 0
    assert Classifier.load(out).weights_sha256 != before
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_evaluate_says_the_accuracy(run, tiny_zoo):
    result = run("evaluate", tiny_zoo.path("source"), "--data", "digits", "--json")
    accuracy = tiny_zoo.load("source").config.training["test_accuracy"]
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(accuracy)
    text = run("evaluate", tiny_zoo.path("source"), "--data", "digits").stdout
    assert f"{accuracy:.2%} right on 597 test images" in text and "stand-in" in text


def test_fingerprint_records_what_was_typed(plain_file, tiny_zoo):
    made = Fingerprint.load(plain_file)
    assert 10 <= len(made) <= 30 and made.calibration is None and made.method == "cem"
    assert made.epsilon == 0.3 and made.parameters["steps"] == 60
    source = tiny_zoo.load("source")
    assert made.source_sha256 == source.weights_sha256
    np.testing.assert_array_equal(source.predict_labels(made.inputs), made.keys)


def test_calibrate_keeps_everything_else(plain_file, calibrated_file):
    plain, calibrated = Fingerprint.load(plain_file), Fingerprint.load(calibrated_file)
    np.testing.assert_array_equal(plain.inputs, calibrated.inputs)
    scores = calibrated.calibration
    assert max(scores.reference_scores) < scores.threshold < min(scores.surrogate_scores)


def test_calibrate_without_out_changes_the_file_itself(
    run, copied_file, calibrated_file, calibrate_arguments
):
    assert run("calibrate", copied_file, *calibrate_arguments).exit_code == 0
    assert copied_file.read_bytes() == calibrated_file.read_bytes()


def test_verify_matches_the_source_itself_with_status_0(run, calibrated_file, tiny_zoo):
    result = run("verify", calibrated_file, tiny_zoo.path("source"), "--json")
    verdict = json.loads(result.stdout)
    assert result.exit_code == 0 and verdict["decision"] == "match"
    assert verdict["cae_accuracy"] == 1.0 and verdict["threshold_source"] == "calibration"


def test_an_unseen_thief_scores_above_an_unseen_reference(run, calibrated_file, tiny_zoo):
    scores = [
        json.loads(run("verify", calibrated_file, tiny_zoo.path(name), "--json").stdout)
        for name in ("evaluation-surrogate-0", "evaluation-reference-0")
    ]
    assert scores[0]["cae_accuracy"] > scores[1]["cae_accuracy"]


def test_verify_clears_a_stranger_with_status_1(run, calibrated_file, tiny_zoo):
    stranger = tiny_zoo.path("evaluation-reference-0")
    result = run("verify", calibrated_file, stranger, "--threshold", 0.9)
    assert result.exit_code == 1 and "no match" in result.stdout


def test_verify_is_inconclusive_with_status_3(run, calibrated_file, tiny_zoo):
    suspect = tiny_zoo.path("evaluation-surrogate-0")
    verdict = json.loads(run("verify", calibrated_file, suspect, "--json").stdout)
    inside = sum(verdict["interval"]) / 2
    result = run("verify", calibrated_file, suspect, "--threshold", inside)
    assert result.exit_code == 3 and "inconclusive" in result.stdout


def test_verify_fails_with_status_2(fails, plain_file, tiny_zoo):
    assert "calibrate" in fails("verify", plain_file, tiny_zoo.path("source"))


def test_inspect_shows_everything_and_draws(run, calibrated_file, tmp_path):
    picture = tmp_path / "gallery.png"
    result = run("inspect", calibrated_file, "--json", "--gallery", picture)
    facts, made = json.loads(result.stdout), Fingerprint.load(calibrated_file)
    assert facts["inputs"] == len(made) == sum(facts["keys_per_class"])
    assert facts["calibration"]["threshold"] == made.calibration.threshold
    assert facts["data"]["stand_in"] is True
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = run("inspect", calibrated_file).stdout
    assert all(line.split()[0] in facts for line in text.splitlines())


@pytest.mark.parametrize("method", ["pgd", "ipguard"])
def test_yardsticks_need_the_source_alone(run, tiny_zoo, tmp_path, method):
    out = tmp_path / "yardstick.cemfp"
    given = ("--source", tiny_zoo.path("source"), "--data", "digits", "--size", 5, "--out", out)
    own = ("--epsilon", 0.3) if method == "pgd" else ("--steps", 40, "--learning-rate", 0.02)
    result = run("fingerprint", method, *given, *own, "--quiet")
    assert result.exit_code == 0, result.output
    made = Fingerprint.load(out)
    assert made.method == method and made.conferrability is None


def test_a_keras_file_serves_as_source_labeller_and_suspect(run, tiny_zoo, tmp_path, plain_file):
    import tensorflow as tf

    inputs = tf.keras.Input((8, 8, 1))
    model = tf.keras.Model(inputs, tiny_zoo.load("source").model(inputs / 255.0))
    path = tmp_path / "grey.keras"
    model.save(path)
    keras = ("--scale", 255, "--data", "digits")
    accuracy = tiny_zoo.load("source").config.training["test_accuracy"]
    evaluated = json.loads(run("evaluate", path, *keras, "--json").stdout)
    assert evaluated["accuracy"] == pytest.approx(accuracy, abs=0.002)
    thief = tmp_path / "thief"
    trained = run("train", *keras, *TINY, "--epochs", 1, "--labels-from", path, "--out", thief)
    assert trained.exit_code == 0, trained.output
    out = tmp_path / "pgd.cemfp"
    made = run("fingerprint", "pgd", "--source", path, *keras, "--size", 5, "--epsilon", 0.3,
               "--out", out)  # fmt: skip
    assert made.exit_code == 0, made.output
    verdict = run("verify", plain_file, path, "--scale", 255, "--threshold", 0.5)
    assert verdict.exit_code == 0, verdict.output


def test_dry_runs_print_the_configuration_and_write_nothing(run, fingerprint_arguments, tmp_path):
    out = tmp_path / "out"
    train = run("train", "--data", "digits", "--width", 4, "--epochs", 3, "--out", out, "-n")
    config = json.loads(train.stdout)
    assert config["recipe"]["epochs"] == 3 and config["arguments"] == {"width": 4}
    assert config["role"] == "source" and config["out"] == str(out)
    made = json.loads(run(*fingerprint_arguments, "--out", out, "--dry-run").stdout)
    assert made["steps"] == 60 and made["size"] == 30 and len(made["reference"]) == 2
    assert not out.exists()
