"""The nets that the repository keeps: in float16, found by name, hashes compared."""

import json

import click
import numpy as np
import pytest

from cemfp.cli.options import ClassifierPaths
from cemfp.models import kept
from cemfp.models.classifier import Classifier, ClassifierError
from cemfp.owner.opening import open_source
from cemfp.storage.store import Store
from cemfp.suspects import SuspectError, open_suspect

FACTS = {"key": "0" * 64, "command": "cemfp study run zoo", "test_accuracy": 0.9}


@pytest.fixture
def models(tmp_path, monkeypatch, tiny_zoo):
    """A folder of kept models with one of them, `source`."""
    monkeypatch.setenv(kept.FOLDER_VARIABLE, str(tmp_path / "models"))
    tiny_zoo.load("source").half().save(tmp_path / "made")
    kept.keep("source", tmp_path / "made", FACTS | {"test_accuracy_float16": 0.9})
    return tmp_path / "models"


def test_a_float16_net_takes_half_the_space_and_answers_alike(tiny_zoo, tmp_path):
    net = tiny_zoo.load("source")
    net.half().save(tmp_path)
    before, after = (
        (p / "weights.npz").stat().st_size for p in (tiny_zoo.path("source"), tmp_path)
    )
    # Each of its many small arrays has a header of about 250 bytes.
    assert after < 0.7 * before
    again = Classifier.load(tmp_path)
    assert again.weights_sha256 == net.half().weights_sha256 != net.weights_sha256
    assert again.model.weights[0].dtype == "float32"
    images = np.random.default_rng(0).random((50, 8, 8, 1), np.float32)
    np.testing.assert_allclose(
        again.predict_logits(images), net.predict_logits(images), rtol=0.02, atol=0.02
    )
    for ours, theirs in zip(again.model.get_weights(), net.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs.astype(np.float16).astype(np.float32))


def test_a_number_beyond_float16_stays(tiny_zoo, tmp_path):
    net = tiny_zoo.load("source")
    weights = net.model.get_weights()
    weights[-1][0] = 1e6
    net.model.set_weights(weights)
    net.half().save(tmp_path)
    np.testing.assert_array_equal(Classifier.load(tmp_path).model.get_weights()[-1], weights[-1])


def test_what_is_kept_is_found_and_opened_by_name(models):
    assert json.loads((models / "manifest.json").read_text())["models"].keys() == {"source"}
    entry = kept.entries()["source"]
    assert entry["net"] == "resnet20" and set(entry["files"]) == {"config.json", "weights.npz"}
    suspect = open_suspect("zoo:source", input_shape=(8, 8, 1), classes=10)
    assert suspect.weights_sha256 == Classifier.load(models / "source").weights_sha256


def test_what_is_kept_stays_as_it_is(models, tiny_zoo):
    before = (models / "source" / "weights.npz").read_bytes()
    kept.keep("source", tiny_zoo.path("defender-surrogate-0"), FACTS)
    assert (models / "source" / "weights.npz").read_bytes() == before


def test_an_altered_net_is_refused(models):
    config = models / "source" / "config.json"
    config.write_text(config.read_text().replace('"source"', '"evaluation"'))
    with pytest.raises(ClassifierError, match=r"config.json: not what manifest.json says"):
        kept.find("source")


def test_an_unknown_name_says_how_to_see_the_others(models):
    expected = r"zoo:sauce: .*one of 1 kept models \(`cemfp models list`\)\. Received: 'sauce'"
    with pytest.raises(SuspectError, match=expected):
        open_suspect("zoo:sauce", input_shape=(8, 8, 1), classes=10)


def test_several_by_a_pattern(models, tiny_zoo):
    tiny_zoo.load("calibration-reference-0").half().save(models.parent / "other")
    for number in (0, 1):
        facts = FACTS | {"key": f"{number}" * 64}
        kept.keep(f"calibration-reference-{number}", models.parent / "other", facts)
    found = ClassifierPaths().convert("zoo:calibration-*", None, None)
    assert [path.name for path in found] == ["calibration-reference-0", "calibration-reference-1"]
    with pytest.raises(click.BadParameter, match=r"zoo:evaluation-\*: nothing matches"):
        ClassifierPaths().convert("zoo:evaluation-*", None, None)


def test_a_kept_model_is_protected_with_its_weights(models, tmp_path):
    job, found = open_source("zoo:source", "digits", Store(tmp_path / "store"))
    assert not job.asked and job.spec == str(models / "source")
    assert isinstance(found.source, Classifier)


def test_a_broken_manifest_is_one_line(models):
    (models / "manifest.json").write_text('{"models": {"source": 3}}')
    with pytest.raises(ClassifierError, match=r"not a manifest of models"):
        kept.entries()
