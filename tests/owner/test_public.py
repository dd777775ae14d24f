"""The public interface: four names, on a model of one's own, and the whole way in processes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import cemfp
from cemfp.data import load
from cemfp.fingerprint.artifact import Fingerprint as Artifact
from cemfp.models.classifier import Classifier
from cemfp.verification import Decision, VerificationError


@pytest.fixture(scope="module")
def own(tiny_zoo, tmp_path_factory):
    """The tiny zoo's source as a Keras model, and a fingerprint of it in a file."""
    path = tmp_path_factory.mktemp("own") / "my.cemfp"
    source = tiny_zoo.load("source")
    test = load("digits").test
    labels = source.predict_labels(test.images)
    rng = np.random.default_rng(0)
    controls = rng.permutation(len(test))[:70]
    Artifact(
        inputs=test.floats()[controls[50:]],
        keys=labels[controls[50:]],
        classes=10,
        method="misclassified",
        parameters={},
        source_sha256=source.weights_sha256,
        data={"name": "digits"},
        epsilon=None,
        eight_bit=False,
        controls=test.floats()[controls[:50]],
        control_labels=labels[controls[:50]],
        control_truth=test.labels[controls[:50]],
    ).save(path)
    return source, path


def test_a_fingerprint_is_loaded_asked_and_saved(own, tiny_zoo, tmp_path):
    source, path = own
    held = cemfp.Fingerprint.load(path)
    assert isinstance(held, cemfp.Fingerprint)
    suspects = (source, source.model, source.predict_labels, tiny_zoo.path("source"))
    for suspect in suspects:
        verdict = held.verify(suspect, threshold=0.5)
        assert verdict.decision is Decision.MATCH and verdict.cae_accuracy == 1.0
    grey = tf.keras.Sequential([tf.keras.layers.Rescaling(1 / 255), source.model])
    grey.build((None, 8, 8, 1))
    assert held.verify(grey, threshold=0.5, scale=255).decision is Decision.MATCH
    assert held.verify(source, threshold=0.5, max_queries=9).queries == 9
    with pytest.raises(VerificationError, match="calibrate it again"):
        held.verify(source, threshold=0.5, alpha=0.1)
    held.save(tmp_path / "again.cemfp")
    assert (tmp_path / "again.cemfp").read_bytes() == path.read_bytes()


def test_images_of_any_kind(tmp_path, monkeypatch):
    monkeypatch.setenv("CEMFP_DATA_CACHE", str(tmp_path))
    digits = load("digits")
    pair = (digits.train.images[:100], digits.train.labels[:100])
    made = cemfp.load_data((pair, (digits.test.images[:50], digits.test.labels[:50])))
    assert (len(made.train), len(made.test), made.classes) == (100, 50, digits.classes)
    split = cemfp.load_data(pair, test_share=0.3, seed=1)
    assert len(split.train) + len(split.test) == 100 and 25 <= len(split.test) <= 35
    assert cemfp.load_data("digits").provenance.name == "digits"


def test_one_theft(own):
    source, _ = own
    before = source.weights_sha256
    removal = cemfp.steal(source.model, "quantize", "digits")
    assert isinstance(removal.classifier, Classifier) and removal.summary["attack"] == "quantize"
    assert source.weights_sha256 == before
    with pytest.raises(ValueError, match="expected one of ftll, "):
        cemfp.steal(source, "hypnosis", "digits")
    with pytest.raises(ValueError, match="expected a Keras model, a classifier, or the file"):
        cemfp.steal(source.predict_labels, "ftal", "digits")


SCRIPT = """
import sys
import numpy as np
import cemfp
from cemfp.data import load
from cemfp.models.classifier import Classifier

if __name__ == "__main__":
    source = Classifier.load(sys.argv[1])
    digits = load("digits")
    parts = [(part.images, part.labels) for part in (digits.train, digits.test)]
    model = source.predict_labels
    made = cemfp.protect(
        model, tuple(parts), out=sys.argv[2], budget="20m", say=print, progress=False,
        surrogates=2, references=2, epsilon=0.45, inputs=40, nets=("resnet20:width=8:depth=8",),
    )
    print("VERDICT", made.fingerprint.verify(model).decision)
"""


@pytest.mark.slow
def test_the_whole_way_of_a_function_in_five_lines(tiny_zoo, tmp_path):
    """Worker processes train; a function that lives in the script answers there alone."""
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    here = os.environ | {"CEMFP_DATA_CACHE": str(tmp_path / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(script), str(tiny_zoo.path("source")), str(out)]

    def run():
        done = subprocess.run(
            command, env=here, capture_output=True, text=True, check=False, timeout=2400
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run()
    assert "VERDICT match" in said and "4/4 Written" in said
    summary = json.loads((out / "summary.json").read_bytes())
    assert summary["source"]["black_box"]
    assert summary["self_test"][0]["decision"] == "match"
    again = run()
    assert "is carried on" in again and again.splitlines()[-1] == said.splitlines()[-1]
