"""Classes are matched by their names in every artifact: another order is never another answer."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from cemfp.data import DataError, Split, make_dataset
from cemfp.data.names import in_order, places
from cemfp.fingerprint.artifact import Fingerprint, FingerprintError
from cemfp.models.classifier import Classifier, ClassifierError
from cemfp.models.directory import read
from cemfp.suspects import Fed, Relabelled, matched
from cemfp.suspects.transforms import through
from cemfp.verification import verify
from tests.removal.untrained import untrained_victim

NUMERIC = tuple(map(str, range(10)))
# What Keras makes of folders 0 to 11 less 10 and 11 is the same; these are as unlike as can be.
STRINGS = ("0", "1", "9", "8", "2", "3", "4", "5", "6", "7")


def named(names, order=None):
    """The victim with class names; with `order` its outputs stand in another order."""
    plain = untrained_victim()
    config = dataclasses.replace(plain.config, class_names=tuple(names))
    model = plain.half().model
    *rest, kernel, bias = model.get_weights()
    # As often one class as another, unlike a net with fresh weights.
    bias = -plain.predict_logits(random_images(200)).mean(axis=0)
    order = range(10) if order is None else order
    model.set_weights([*rest, kernel[:, list(order)], bias[list(order)]])
    return Classifier(model, config)


def random_images(count):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def fingerprint(names=NUMERIC, count=40):
    """Random images, and what the victim says of them."""
    images = random_images(count) / np.float32(255)
    source = named(names)
    return Fingerprint(
        inputs=images,
        keys=source.predict_labels(images),
        classes=10,
        method="cem",
        parameters={},
        source_sha256=source.weights_sha256,
        data={},
        class_names=names,
    )


def permuted():
    """The same model with its classes in the order of strings."""
    return named(STRINGS, [NUMERIC.index(name) for name in STRINGS])


def test_a_suspect_in_another_order_gets_the_same_verdict():
    asked = fingerprint()
    # The answers differ, or nothing would be shown.
    assert np.mean(permuted().predict_labels(asked.inputs) == asked.keys) < 0.9
    for suspect in (named(NUMERIC), permuted()):
        verdict = verify(asked, matched(suspect, asked.class_names), threshold=0.5)
        assert verdict.matches == len(asked)


def test_the_names_are_found_behind_what_stands_in_front():
    asked = fingerprint()
    for suspect in (Fed(permuted()), through(permuted(), "flip")):
        assert isinstance(matched(suspect, NUMERIC), Relabelled)
    assert verify(asked, matched(Fed(permuted()), NUMERIC), threshold=0.5).matches == len(asked)
    ordered = Relabelled(permuted(), tuple(range(10)))  # by hand: whoever did so knows better
    assert matched(ordered, NUMERIC) is ordered


def test_from_the_command_line(run, tmp_path):
    fingerprint().save(tmp_path / "x.cemfp")
    for place, suspect in (("numeric", named(NUMERIC)), ("strings", permuted())):
        suspect.save(tmp_path / place)
        result = run(
            *("verify", tmp_path / "x.cemfp", tmp_path / place, "--threshold", 0.5, "--json")
        )
        assert json.loads(result.stdout)["matches"] == 40
        assert ("fingerprint's order" in result.stderr) == (place == "strings")
    shown = json.loads(run("inspect", tmp_path / "x.cemfp", "--json").stdout)
    assert shown["class_names"] == list(NUMERIC)


def test_a_suspect_without_names_or_with_others_stays():
    for suspect in (untrained_victim(), named([f"n{i}" for i in range(10)]), named(NUMERIC)):
        assert matched(suspect, NUMERIC) is suspect
    assert isinstance(matched(permuted(), NUMERIC), Relabelled)


def test_directories_keep_the_names_and_old_ones_open(tmp_path):
    named(NUMERIC).save(tmp_path / "named")
    assert Classifier.load(tmp_path / "named").class_names == NUMERIC
    untrained_victim().save(tmp_path / "old")
    assert "class_names" not in json.loads((tmp_path / "old" / "config.json").read_text())
    assert read(tmp_path / "old")[0].class_names == ()


@pytest.mark.parametrize("names", [("a", "b"), ("a",) * 10, (*NUMERIC[:9], "\x1b[2J")])
def test_names_that_are_none_are_refused(tmp_path, names):
    named(names).save(tmp_path / "x")
    with pytest.raises(ClassifierError, match="10 class names"):
        Classifier.load(tmp_path / "x")
    with pytest.raises(FingerprintError, match="class names"):
        fingerprint(names)


def test_fingerprints_keep_the_names_and_old_ones_open():
    made = fingerprint()
    assert Fingerprint.from_bytes(made.to_bytes()).class_names == NUMERIC
    old = dataclasses.replace(made, class_names=()).to_bytes()
    assert b"class_names" not in old
    assert Fingerprint.from_bytes(old).class_names == ()


def dataset(classes, labels):
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    split = Split(images, np.array(labels))
    return make_dataset("x", split, split, classes)


def test_a_data_set_is_put_in_a_models_order():
    plain = dataset(("a", "b", "c"), [0, 1, 2, 1])
    turned = in_order(plain, ("c", "a", "b"))
    assert turned.classes == ("c", "a", "b") and turned.train.labels.tolist() == [1, 2, 0, 2]
    assert in_order(plain, ()) is plain and in_order(plain, ("a", "b", "c")) is plain
    # Fewer classes than the model's are some of them; others are another task's.
    assert in_order(plain, ("d", "c", "b", "a")).train.labels.tolist() == [3, 2, 1, 2]
    assert in_order(plain, ("x", "y", "z")) is plain
    with pytest.raises(DataError, match="Received: c in their place"):
        in_order(plain, ("a", "b", "d"))
    assert places(("a", "c"), ("c", "b", "a")) == (2, 0)


def test_a_folder_is_read_in_the_models_order(run, tmp_path, monkeypatch):
    """Right answers by name, whatever the order of the folders."""
    monkeypatch.setenv("CEMFP_DATA_CACHE", str(tmp_path / "cache"))
    images = random_images(300)
    model = permuted()
    answers = model.predict_labels(images)
    for number, (image, label) in enumerate(zip(images, answers, strict=True)):
        place = tmp_path / "folder" / STRINGS[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(place / f"{number}.png")
    model.save(tmp_path / "model")
    result = run("evaluate", tmp_path / "model", "--data", tmp_path / "folder", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["accuracy"] == 1.0
