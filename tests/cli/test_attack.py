"""`cemfp attack`: every attack from the command line, what it leaves, and bad input."""

import json
import math
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from cemfp.cli.thieves import say
from cemfp.data import load
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS
from cemfp.numerics import precision
from cemfp.removal import REMOVALS

SMALL = ("--width", 2, "--depth", 8)
SHORT = ("--epochs", 1, "--batch-size", 32, "--no-flip", "--pad", 0, "--precision", "float32")


@pytest.fixture(scope="session")
def victim(tiny_zoo):
    """A classifier of digits: one that knew nothing would be refused."""
    return tiny_zoo.path("source")


@pytest.fixture
def attack(run, victim, tmp_path):
    """Run an attack on the victim into `out`, which must end well; returns the result."""

    def call(name, *arguments, out="out"):
        given = ("--victim", victim, "--data", "digits", "--out", tmp_path / out, "--quiet")
        result = run("attack", name, *given, *arguments)
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return result

    return call


def test_the_list_names_every_attack_and_its_needs(run):
    result = run("attack", "--list")
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert result.exit_code == 0 and list(lines) == list(REMOVALS)
    for name, attack in REMOVALS.items():
        assert attack.family in lines[name] and ", ".join(attack.needs) in lines[name]
        assert attack.__doc__.splitlines()[0] in lines[name]


@pytest.mark.parametrize("name", REMOVALS)
def test_options_begin_as_the_attacks_own_values(attack, name, tmp_path):
    given = json.loads(attack(name, "--dry-run").stdout)
    made = REMOVALS[name]()
    assert given["attack"] == name and given["parameters"] == vars(made)
    assert given["recipe"] == (None if made.recipe is None else vars(made.recipe))
    assert ("net" in given) is not made.like_victim
    assert ("images" in given) is ("images" in made.needs)
    assert ("pretrained" in given) is ("pretrained" in made.needs)
    assert not (tmp_path / "out").exists()


def test_what_was_typed_is_what_is_taken(attack):
    typed = ("--sparsity", 0.6, "--scope", "layer", "--epochs", 5, "--momentum", 0.5, "--seed", 7)
    given = json.loads(attack("prune", *typed, "--dry-run").stdout)
    assert given["parameters"]["sparsity"] == 0.6 and given["parameters"]["scope"] == "layer"
    assert given["recipe"]["epochs"] == 5 and given["recipe"]["momentum"] == 0.5
    assert given["recipe"]["learning_rate"] == REMOVALS["prune"].recipe.learning_rate
    assert given["seed"] == 7
    given = json.loads(attack("weight-noise", "--noise-scale", 0.3, "--dry-run").stdout)
    assert given["parameters"] == {"scale": 0.3}


def test_modification_then_verification(attack, run, plain_file, tiny_zoo, tmp_path):
    result = attack("ftll", "--victim", tiny_zoo.path("source"), "--count", 100, *SHORT)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["transfer_images"] == 100 and summary["facts"] == {"changed_layers": 1}
    first, fact = result.stdout.splitlines()
    assert f"{summary['test_accuracy']:.2%} right on digits's test images" in first
    assert f"(victim {summary['victim_accuracy']:.2%})" in first and "0 queries" in first
    assert fact == "  changed layers: 1"
    # A gentle tuning of the last layer removes nothing.
    verdict = run("verify", plain_file, tmp_path / "out", "--threshold", 0.5)
    assert verdict.exit_code == 0, verdict.output


def test_extraction_with_a_net_of_the_thiefs_own(attack, tmp_path):
    summary = json.loads(
        attack("knockoff", "--images", "digits", "--budget", 50, *SMALL, *SHORT, "--json").stdout
    )
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["queries"] == 50 and summary["transfer_set"] == "digits"
    assert summary["arguments"] == {"width": 2, "depth": 8} and summary["seed"] == 4000
    config = Classifier.load(tmp_path / "out").config
    assert (config.role, config.origin) == ("attacker", "surrogate")


def test_transfer_trains_its_own_start_or_takes_one(attack, tmp_path):
    few = ("--count", 64, *SMALL, *SHORT)
    attack("transfer", "--pretraining", "digits", *few)
    facts = json.loads((tmp_path / "out" / "summary.json").read_text())["facts"]
    assert facts["pretrained_data"]["name"] == "digits" and facts["pretrained_accuracy"] > 0
    start = Classifier.load(tmp_path / "out")
    attack("transfer", "--pretrained", tmp_path / "out", *few, out="second")
    facts = json.loads((tmp_path / "second" / "summary.json").read_text())["facts"]
    assert facts["pretrained_sha256"] == start.weights_sha256


@pytest.fixture(scope="session")
def grey_keras(tmp_path_factory):
    """A user's own model of grey levels, as a file."""
    layers, digits = tf.keras.layers, load("digits").train
    tf.keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("keras") / "grey.keras"
    rescaled = [tf.keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten()]
    model = tf.keras.Sequential([*rescaled, layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(digits.images.astype(np.float32), digits.labels, epochs=5, verbose=0)
    model.save(path)
    return path


@pytest.mark.parametrize("name", ["black-box", "weight-noise"])
def test_a_users_own_keras_model(attack, grey_keras, run, tmp_path, name):
    own = (*SMALL, *SHORT, "--count", 32) if name == "black-box" else ("--noise-scale", 0.01)
    result = attack(name, "--victim", grey_keras, "--scale", 255, *own)
    left = tmp_path / "out"
    assert result.stdout.startswith(f"{left}: ")
    # What is left takes x in [0, 1]: no scale.
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    evaluated = json.loads(run("evaluate", left, "--data", "digits", "--json").stdout)
    assert evaluated["accuracy"] == pytest.approx(summary["test_accuracy"])
    if name == "weight-noise":
        assert summary["agreement"] > 0.9


def test_a_keras_file_that_an_attack_cannot_take(fails, grey_keras):
    given = ("--victim", grey_keras, "--scale", 255, "--data", "digits", "--out", "out")
    assert "prune takes one" in fails("attack", "fine-pruning", *given)
    assert "set crop to 0" in fails("attack", "ftal", *given, "--crop", 6, "--pad", 0)


def test_force_replaces_what_an_attack_left_and_nothing_else(attack, fails, victim, tmp_path):
    attack("tflite-int8", "--samples", 5)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"model.tflite", "summary.json"}
    attack("weight-noise", "--force")  # of another kind
    attack("tflite-int8", "--samples", 5, "--force")
    again = ("attack", "weight-noise", "--victim", victim, "--data", "digits")
    assert "--force" in fails(*again, "--out", tmp_path / "out")
    (tmp_path / "out" / "thesis.txt").write_text("ten years")
    assert "not replaced" in fails(*again, "--out", tmp_path / "out", "--force")


def test_facts_are_one_line_each(capsys, tmp_path):
    facts = {
        "sparsity": 0.70001,
        "set_sizes": [10, 20],
        "scope": "global",
        "by_layer": {"a": 1 / 3},
    }
    known = {"attack": "x", "data": {"name": "digits"}, "queries": 3, "seconds": 1.0}
    rates = dict.fromkeys(("test_accuracy", "victim_accuracy", "agreement"), 0.5)
    say(tmp_path, {**known, **rates, "facts": facts})
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  sparsity: 0.7", "  set sizes: 10, 20", "  scope: global", "  by layer: a 0.3333",
    ]  # fmt: skip


CASES = {
    "unknown attack": ("prun", (), "try prune"),
    "far from any attack": ("zzz", (), "--list"),
    "missing victim": ("ftal", ("--victim", "nobody"), "nobody"),
    "unknown data": ("ftal", ("--data", "mnist"), "mnist"),
    "unknown images": ("retrain", ("--images", "mnist"), "mnist"),
    "count": ("retrain", ("--count", -1), "--count"),
    "too many images": ("retrain", ("--count", 5000), "5000"),
    "sparsity 1": ("prune", ("--sparsity", 1), "share in (0, 1)"),
    "temperature 0": ("jagielski", ("--temperature", 0), "temperature > 0"),
    "form": ("jagielski", ("--form", "hard"), "hard"),
    "smoothing": ("label-smoothing", ("--smoothing", 1), "[0, 1)"),
    "share": ("ground-truth", ("--share", 1.5), "[0, 1]"),
    "bits": ("quantize", ("--bits", 1), "bits"),
    "noise": ("weight-noise", ("--noise-scale", "nan"), "finite"),
    "budget": ("knockoff", ("--budget", 5000), "at most 1200"),
    "small budget": ("papernot", ("--budget", 3), "at least 4"),
    "labels": ("ftll", ("--labels", "mine"), "mine"),
    "learning rate": ("rtal", ("--learning-rate", 0), "--learning-rate"),
    "seed": ("ftll", ("--seed", -1), "--seed"),
    "net": ("retrain", ("--net", "resnet9000"), "resnet9000"),
    "depth": ("retrain", ("--depth", 9), "depth 9"),
    "net of an attack that keeps it": ("ftll", ("--net", "resnet20"), "--net"),
    "recipe of an attack without": ("quantize", ("--epochs", 3), "--epochs"),
    "crop": ("ftll", ("--crop", 9), "crop"),
    "divergence": ("ftal", ("--learning-rate", 1e30, *SHORT), "loss"),
    "out below a file": ("ftll", ("--out", "/etc/hostname/out"), "not a directory"),
    "missing pretrained": ("transfer", ("--pretrained", "nobody"), "nobody"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(fails, victim, case):
    name, arguments, words = CASES[case]
    given = ("attack", name, "--victim", victim, "--data", "digits", "--out", "out")
    assert words in fails(*given, *arguments)


def test_required_options(fails, victim):
    assert "--victim" in fails("attack", "ftll", "--data", "digits", "--out", "out")
    assert "--data" in fails("attack", "ftll", "--victim", victim, "--out", "out")
    assert "--out" in fails("attack", "ftll", "--victim", victim, "--data", "digits")


@pytest.fixture
def misfit(tmp_path):
    """A classifier of other images or classes than digits."""

    def save(shape, classes, **arguments):
        arguments = {"width": 1, "depth": 8} | arguments
        model = NETS["resnet20"](shape, classes, **arguments)
        path = tmp_path / "misfit"
        shutil.rmtree(path, ignore_errors=True)
        Classifier(model, ClassifierConfig("resnet20", shape, classes, arguments)).save(path)
        return path

    return save


@pytest.mark.parametrize("name", ["ftll", "retrain", "weight-noise"])
def test_a_victim_of_other_data(fails, misfit, name):
    given = ("attack", name, "--data", "digits", "--out", "out", "--victim")
    assert "(32, 32, 3)" in fails(*given, misfit((32, 32, 3), 10))
    assert "3 classes" in fails(*given, misfit((8, 8, 1), 3))


def test_a_pretrained_net_that_does_not_fit(fails, misfit, victim):
    given = ("attack", "transfer", "--victim", victim, "--data", "digits", "--out", "out")
    given += (*SMALL, "--pretrained")
    assert "(32, 32, 3)" in fails(*given, misfit((32, 32, 3), 10, width=2))
    assert "'width': 1" in fails(*given, misfit((8, 8, 1), 10))


def test_dp_sgd_without_its_extra(fails, victim, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tensorflow_privacy")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow_privacy", None)
    given = ("attack", "dp-sgd", "--victim", victim, "--data", "digits", "--out", "out")
    assert "cemfp[dp]" in fails(*given, *SMALL)


def test_an_interrupt_leaves_nothing(run, victim, tmp_path, monkeypatch):
    def save(self, directory):
        (directory / "weights.npz").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("cemfp.models.classifier.Classifier.save", save)
    given = ("--victim", victim, "--data", "digits", "--out", tmp_path / "out")
    result = run("attack", "weight-noise", *given)
    assert result.exit_code == 130 and list(tmp_path.iterdir()) == []


def test_the_same_seed_steals_the_same_model(attack, tmp_path):
    for out, seed in (("one", 5), ("two", 5), ("three", 6)):
        attack("weight-noise", "--seed", seed, out=out)
    one, two, three = (Classifier.load(tmp_path / o) for o in ("one", "two", "three"))
    assert one.weights_sha256 == two.weights_sha256 != three.weights_sha256
    images = load("digits").test.images
    np.testing.assert_array_equal(one.predict_labels(images), two.predict_labels(images))


@pytest.mark.parametrize("command", ["train", "attack"])
def test_a_lower_precision_that_is_asked_for_says_once_what_it_costs(
    run, victim, tmp_path, bfloat16, command
):
    if command == "train":
        given = ("train", *SMALL, "--images", 32)
    else:
        given = ("attack", "ftal", "--victim", victim, "--count", 32)
    given += ("--data", "digits", *SHORT[:-1])
    result = run(*given, "mixed_bfloat16", "--quiet", "--out", tmp_path / "low")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Note:") == len(result.stderr.splitlines()) == 1
    assert f"bfloat16 differ from float32's by {bfloat16:.2g} of" in result.stderr
    for silent in ("float32", "auto"):
        result = run(*given, silent, "--quiet", "--out", tmp_path / silent)
        assert (result.exit_code, result.stderr) == (0, "")
    assert run(*given, "mixed_bfloat16", "--dry-run", "--out", tmp_path / "dry").stderr == ""


def test_a_precision_that_cannot_be_computed_is_refused_without_a_note(fails, monkeypatch):
    monkeypatch.setattr(precision, "relative_error", lambda name: math.inf)
    settings = (*SMALL, *SHORT[:-1], "mixed_bfloat16", "--images", 32, "--quiet", "--out", "net")
    assert "cannot differentiate" in fails("train", "--data", "digits", *settings)
