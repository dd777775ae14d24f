"""What people did wrong with their own models, each with the line that helps now."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from cemfp.data import load
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.classifier import Classifier
from cemfp.storage.files import write_atomic

DIGITS = ("--data", "digits")


@pytest.fixture(scope="module")
def grey(tiny_zoo, tmp_path_factory):
    """The tiny zoo's source as a user's own file, which wants grey levels."""
    inputs = tf.keras.Input((8, 8, 1))
    model = tf.keras.Model(inputs, tiny_zoo.load("source").model(inputs / 255.0))
    path = tmp_path_factory.mktemp("keras") / "grey.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def made(grey, run, tmp_path_factory):
    """A fingerprint of it, with control images."""
    path = tmp_path_factory.mktemp("made") / "grey.cemfp"
    result = run("fingerprint", "fgm", "--source", grey, "--scale", 255, *DIGITS, "--size", 20,
                 "--epsilon", 0.3, "--out", path)  # fmt: skip
    assert result.exit_code == 0, result.output
    return path


def test_a_suspect_in_the_wrong_scale_is_inconclusive(run, made, grey):
    found = run("verify", made, grey, "--threshold", 0.5)
    assert found.exit_code == 3 and "add --scale 255" in found.stdout
    assert run("verify", made, grey, "--threshold", 0.5, "--scale", 255).exit_code == 0
    auto = run("verify", made, grey, "--threshold", 0.5, "--scale", "auto")
    assert auto.exit_code == 0 and "asked with --scale 255" in auto.stderr
    blind = run("verify", made, grey, "--threshold", 0.5, "--controls", 0)
    assert blind.exit_code == 1 and "No control images were asked" in blind.stdout


def test_control_images_are_ordinary_and_not_the_starting_ones(made, grey):
    held, test = Fingerprint.load(made), load("digits").test
    ordinary = {
        image.tobytes(): label for image, label in zip(test.floats(), test.labels, strict=True)
    }
    controls = [image.tobytes() for image in held.controls]
    assert (
        len(set(controls)) == 50 and [ordinary[c] for c in controls] == held.control_truth.tolist()
    )
    assert not set(controls) & {image.tobytes() for image in held.originals}
    source = Classifier.from_keras(grey, scale=255.0)
    np.testing.assert_array_equal(source.predict_labels(held.controls), held.control_labels)
    assert held.source_input == {"scale": 255.0, "offset": 0.0, "bgr": False}


def test_too_few_controls_are_refused(fails, made, grey):
    assert "at least 20" in fails("verify", made, grey, "--threshold", 0.5, "--controls", 3)


def test_a_model_in_the_wrong_scale_is_refused_before_any_work(fails, grey):
    out = ("--out", "out")
    for command in (
        ("fingerprint", "fgm", "--source", grey, *DIGITS, *out),
        ("attack", "weight-noise", "--victim", grey, *DIGITS, *out),
        ("train", "--labels-from", grey, *DIGITS, *out),
    ):
        assert "with --scale 255: add that" in fails(*command)


def test_evaluate_says_it_and_measures(run, grey):
    found = run("evaluate", grey, *DIGITS)
    assert found.exit_code == 0 and "with --scale 255: add that" in found.stderr
    auto = run("evaluate", grey, *DIGITS, "--scale", "auto", "--json")
    assert json.loads(auto.stdout)["accuracy"] > 0.8


@pytest.mark.parametrize("typed", ["0", "-1", "x", "1,x", "nan", "1e9", ""])
def test_scales_that_are_none(fails, grey, typed):
    assert "--scale" in fails("evaluate", grey, *DIGITS, "--scale", typed)


def test_auto_finds_the_offset_itself(fails, grey):
    said = fails("evaluate", grey, *DIGITS, "--scale", "auto", "--offset", -1)
    assert "finds --offset" in said


def test_colours_for_grey_images(fails, grey, made):
    assert "1 channels" in fails("evaluate", grey, *DIGITS, "--bgr")
    assert "1 channels" in fails("verify", made, grey, "--threshold", 0.5, "--scale", "1,2,3")


def test_one_model_has_one_role(fails, made, grey, tiny_zoo):
    twice = (
        "--source",
        grey,
        "--surrogate",
        grey,
        "--reference",
        *tiny_zoo.paths("defender", "reference"),
    )
    said = fails("fingerprint", "cem", *twice, "--scale", 255, *DIGITS, "--out", "x.cemfp")
    assert "equal weights" in said
    own = ("--surrogate", grey, "--reference", grey)
    assert "each given once" in fails("calibrate", made, *own, "--scale", 255, "--out", "y.cemfp")


def test_the_source_does_not_calibrate_itself(fails, made, grey, tmp_path):
    other = tmp_path / "other.keras"
    inputs = tf.keras.Input((8, 8, 1))
    dense = tf.keras.layers.Dense(10)(tf.keras.layers.Flatten()(inputs))
    tf.keras.Model(inputs, dense).save(other)
    own = ("--surrogate", grey, "--reference", other, "--scale", 255, "--out", "y.cemfp")
    assert "the source itself among them" in fails("calibrate", made, *own)


def test_what_is_no_file_is_never_replaced(fails, grey, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    given = ("--source", grey, "--scale", 255, *DIGITS, "--out", pipe, "--force")
    assert "no regular file" in fails("fingerprint", "fgm", *given)
    with pytest.raises(FileExistsError, match="no regular file"):
        write_atomic(pipe, b"")
    assert pipe.is_fifo()


def test_names_that_cannot_be_written(fails, grey):
    given = ("--source", grey, "--scale", 255, *DIGITS)
    assert "at most 200 bytes" in fails("fingerprint", "fgm", *given, "--out", "x" * 245)
    assert "expected a name" in fails("fingerprint", "fgm", *given, "--out", "")


@pytest.mark.parametrize(
    ("name", "what"), [("a.mlmodel", "a .mlmodel file"), ("folder", "another directory")]
)
def test_what_cannot_be_opened_is_named_with_a_way_out(fails, made, tmp_path, name, what):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"")
    said = fails("verify", made, path, "--threshold", 0.5)
    assert f"Received: {what}; a function of yours" in said


def test_what_a_suspect_prints_is_not_part_of_the_verdict(run, made, tmp_path, monkeypatch):
    (tmp_path / "talker.py").write_text(
        "def answer(images):\n    print('asked')\n    return [0] * len(images)\n"
    )
    monkeypatch.chdir(tmp_path)
    found = run("verify", made, "python:talker:answer", "--threshold", 0.5, "--json")
    assert json.loads(found.stdout)["decision"] == "inconclusive" and "asked" in found.stderr


def test_without_docstrings_there_is_no_help():
    command = [sys.executable, "-OO", "-m", "cemfp", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "expected Python with docstrings" in done.stderr


def test_a_thief_who_leaves_a_keras_file(run, grey, made, tmp_path):
    out = tmp_path / "out"
    result = run("attack", "weight-noise", "--victim", grey, "--scale", 255, "--noise-scale", 0.01,
                 *DIGITS, "--out", out)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert run("verify", made, out, "--threshold", 0.5).exit_code == 0
    assert run("evaluate", out, *DIGITS).exit_code == 0


def test_a_directory_says_itself_how_it_is_fed(fails, tiny_zoo):
    said = fails("evaluate", tiny_zoo.path("source"), *DIGITS, "--scale", 255)
    assert "leave the scale options out" in said


def test_the_sizes_in_a_config_are_bounded(fails, tiny_zoo, tmp_path):
    """No net is built before its sizes are looked at."""
    import shutil

    from cemfp.models import directory

    copy = tmp_path / "copy"
    shutil.copytree(tiny_zoo.path("source"), copy)
    config = json.loads((copy / "config.json").read_text())
    del config["config_sha256"]
    config["arguments"]["width"] = 10**9
    config = {"config_sha256": directory._hash(config), **config}
    (copy / "config.json").write_text(json.dumps(config))
    assert "expected arguments from 1 to 4096" in fails("evaluate", copy, *DIGITS)
    (copy / "config.json").write_text("[" * 100_000)
    assert "config.json" in fails("evaluate", copy, *DIGITS)


def test_nan_is_named(fails, tiny_zoo, tmp_path):
    net = tiny_zoo.load("source")
    net.model.set_weights([np.full_like(w, np.nan) for w in net.model.get_weights()])
    net.save(tmp_path / "nan")
    assert f"logits of {tmp_path / 'nan'}. Received: NaN" in fails(
        "evaluate", tmp_path / "nan", *DIGITS
    )
