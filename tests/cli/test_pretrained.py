"""`cemfp pretrained`: from a weights file to a directory that other commands take."""

import functools
import json

import pytest
import tensorflow as tf

from cemfp.models import pretrained
from cemfp.models.classifier import Classifier

SHAPE, CLASSES = (32, 32, 3), 10


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of Keras' VGG16 for small images, in a file as Keras writes it."""
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.applications.VGG16(weights=None, input_shape=SHAPE, classes=CLASSES)
    path = tmp_path_factory.mktemp("weights") / "random.h5"
    model.save_weights(path)
    return path


@pytest.fixture
def small(monkeypatch):
    """Let the command load nets for small images: ImageNet's have 138 million weights."""
    made = functools.partial(pretrained.load_pretrained, input_shape=SHAPE, classes=CLASSES)
    monkeypatch.setattr(pretrained, "load_pretrained", made)


def test_it_writes_a_classifier_directory(run, small, weights, tmp_path):
    out = tmp_path / "vgg16"
    given = ("pretrained", "vgg16", "--weights", weights, "--role", "evaluation", "--out", out)
    result = run(*given)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: evaluation, reference, weights from random.h5\n"
    classifier = Classifier.load(out)
    assert (classifier.role, classifier.origin) == ("evaluation", "reference")
    assert classifier.config.training["pretrained"] == "vgg16"
    assert "--force" in run(*given).stderr
    assert run(*given, "--force").exit_code == 0
    # Another command takes it.
    refused = run("evaluate", out, "--data", "digits")
    assert refused.exit_code == 2 and "(32, 32, 3)" in refused.stderr


def test_a_dry_run_prints_the_configuration_and_reads_nothing(run, tmp_path):
    out = tmp_path / "vgg19"
    result = run("pretrained", "vgg19", "--weights", "absent.h5", "--out", out, "--dry-run")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "name": "vgg19",
        "weights": "absent.h5",
        "role": "source",
        "out": str(out),
    }
    assert not out.exists()


def test_bad_input(fails, small, weights, tmp_path):
    given = ("pretrained", "vgg16", "--out", "out")
    assert "resnet50" in fails("pretrained", "resnet50", "--out", "out")
    assert "--out" in fails("pretrained", "vgg16")
    assert "boss" in fails(*given, "--role", "boss")
    assert "absent.h5" in fails(*given, "--weights", "absent.h5")
    assert "not a directory" in fails(*given[:-1], "/etc/hostname/out", "--weights", weights)
    assert "another net" in fails("pretrained", "vgg19", "--weights", weights, "--out", "out")
    (tmp_path / "text.h5").write_text("not a file of weights\n")
    assert "text.h5" in fails(*given, "--weights", tmp_path / "text.h5")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("ten years")
    assert "--force" in fails(*given[:-1], taken, "--weights", weights)
    assert "no classifier" in fails(*given[:-1], taken, "--weights", weights, "--force")


def test_without_network_and_weights_the_line_says_what_is_missing(fails, tmp_path, monkeypatch):
    def offline(request, timeout):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    home = tmp_path / "home"
    (home / ".keras" / "models").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    message = fails("pretrained", "vgg16", "--out", "out")
    assert "vgg16_weights" in message and "no network" in message and "--weights" in message
