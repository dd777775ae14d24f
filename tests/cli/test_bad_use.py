"""Bad input to every command and option: one line, exit status 2, nothing written."""

import shutil

import numpy as np
import pytest

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.classifier import Classifier

TRAIN = ("train", "--data", "digits", "--width", 4, "--depth", 8, "--pad", 0, "--out", "out")
TRAIN_CASES = {
    "unknown data": (("--data", "mnist"), "mnist"),
    "unknown net": (("--net", "resnet9000"), "resnet9000"),
    "no epochs": (("--epochs", 0), "--epochs"),
    "no batch": (("--batch-size", 0), "--batch-size"),
    "no step": (("--learning-rate", 0), "--learning-rate"),
    "NaN": (("--learning-rate", "nan"), "finite"),
    "infinity": (("--weight-decay", "inf"), "finite"),
    "words": (("--learning-rate", "fast"), "fast"),
    "schedule": (("--schedule", "never"), "never"),
    "warmup": (("--warmup", 1.5), "--warmup"),
    "momentum": (("--momentum", 1), "--momentum"),
    "decay": (("--weight-decay", -1), "--weight-decay"),
    "clip": (("--clip-norm", -1), "--clip-norm"),
    "padding": (("--pad", -1), "--pad"),
    "full size": (("--full-size", 2), "--full-size"),
    "precision": (("--precision", "int8"), "int8"),
    "width": (("--width", 0), "--width"),
    "depth": (("--depth", 9), "depth 9"),
    "images": (("--images", -1), "--images"),
    "too many images": (("--images", 5000), "5000"),
    "seed": (("--seed", -1), "--seed"),
    "role": (("--role", "boss"), "boss"),
    "labels without teacher": (("--labels", "soft"), "--labels-from"),
    "missing teacher": (("--labels-from", "nobody"), "nobody"),
    "scale": (("--scale", 0), "--scale"),
    "offset": (("--offset", "nan"), "finite"),
    "divergence": (("--epochs", 2, "--learning-rate", 1e30, "--precision", "float32"), "loss"),
    "unknown option": (("--epoch-count", 3), "--epoch-count"),
    "out below a file": (("--out", "/etc/hostname/out"), "not a directory"),
}


@pytest.mark.parametrize("case", TRAIN_CASES)
def test_train(fails, case):
    arguments, words = TRAIN_CASES[case]
    assert words in fails(*TRAIN, *arguments)


def test_train_needs_its_required_options(fails):
    assert "--data" in fails("train", "--out", "x")
    assert "--out" in fails("train", "--data", "digits")


def test_a_source_is_never_labelled_by_another(fails, tiny_zoo):
    given = ("--labels-from", tiny_zoo.path("source"), "--role", "source")
    assert "ground truth" in fails(*TRAIN, *given)


def test_an_existing_output_is_refused(fails, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("ten years")
    assert "--force" in fails(*TRAIN, "--out", taken)
    assert "no classifier directory" in fails(*TRAIN, "--out", taken, "--force")


def test_evaluate(fails, tiny_zoo, tmp_path):
    source = tiny_zoo.path("source")
    assert "nobody" in fails("evaluate", "nobody", "--data", "digits")
    assert "mnist" in fails("evaluate", source, "--data", "mnist")
    assert "--data" in fails("evaluate", source)
    assert "--scale" in fails("evaluate", source, "--data", "digits", "--scale", -1)
    assert "classifier directory" in fails("evaluate", tmp_path, "--data", "digits")
    (tmp_path / "fake.keras").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert "fake.keras" in fails("evaluate", tmp_path / "fake.keras", "--data", "digits")


def test_damaged_weights_are_named(fails, tiny_zoo, tmp_path):
    copy = shutil.copytree(tiny_zoo.path("source"), tmp_path / "copy")
    weights = bytearray((copy / "weights.npz").read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / "weights.npz").write_bytes(weights)
    assert "weights.npz" in fails("evaluate", copy, "--data", "digits")


FINGERPRINT_CASES = {
    "negative epsilon": (("--epsilon", -0.1), "--epsilon"),
    "large epsilon": (("--epsilon", 1.5), "--epsilon"),
    "NaN epsilon": (("--epsilon", "nan"), "finite"),
    "no size": (("--size", 0), "--size"),
    "candidates": (("--candidates", -1), "--candidates"),
    "threshold": (("--threshold", 1.1), "--threshold"),
    "steps": (("--steps", 0), "--steps"),
    "learning rate": (("--learning-rate", 0), "--learning-rate"),
    "dropout": (("--dropout", 1), "--dropout"),
    "dropout of what": (("--dropout-of", "luck"), "luck"),
    "alpha": (("--alpha", -1), "--alpha"),
    "seed": (("--seed", -1), "--seed"),
    "data": (("--data", "mnist"), "mnist"),
    "missing source": (("--source", "nobody"), "nobody"),
    "missing surrogate": (("--surrogate", "nobody"), "nobody"),
    "empty pattern": (("--reference", "nothing-*"), "nothing-*"),
    "no candidate left": (
        ("--epsilon", 0, "--steps", 1, "--candidates", 20, "-q"),
        "Raise epsilon",
    ),
    "out below a file": (("--out", "/etc/hostname/out"), "not a directory"),
    "unknown option": (("--beauty", 3), "--beauty"),
}


@pytest.mark.parametrize("case", FINGERPRINT_CASES)
def test_fingerprint(fails, fingerprint_arguments, case):
    arguments, words = FINGERPRINT_CASES[case]
    assert words in fails(*fingerprint_arguments, "--out", "out", *arguments)


ROLES = [
    ("source", "defender-reference-0"),
    ("source", "evaluation-surrogate-0"),
    ("surrogate", "defender-reference-0"),
    ("surrogate", "evaluation-surrogate-0"),
    ("surrogate", "calibration-surrogate-0"),
    ("reference", "defender-surrogate-0"),
    ("reference", "evaluation-reference-0"),
    ("reference", "source"),
]


@pytest.mark.parametrize(("option", "name"), ROLES)
def test_fingerprint_refuses_roles_that_must_not_take_part(
    fails, fingerprint_arguments, tiny_zoo, option, name
):
    given = (*fingerprint_arguments, f"--{option}", tiny_zoo.path(name), "--out", "out")
    assert "role" in (message := fails(*given)) or "origin" in message


def test_fingerprint_needs_a_method_and_models(fails, tiny_zoo):
    given = ("--source", tiny_zoo.path("source"), "--data", "digits", "--out", "out")
    assert "magic" in fails("fingerprint", "magic", *given)
    assert "--surrogate" in fails("fingerprint", "cem", *given)
    assert "--epsilon" in fails("fingerprint", "ipguard", *given, "--epsilon", 0.1)
    assert "epsilon > 0" in fails("fingerprint", "pgd", *given, "--epsilon", 0)


def test_fingerprint_refuses_an_existing_file_and_a_directory(
    fails, fingerprint_arguments, plain_file, tmp_path
):
    assert "--force" in fails(*fingerprint_arguments, "--out", plain_file)
    assert "directory" in fails(*fingerprint_arguments, "--out", tmp_path, "--force")


@pytest.mark.parametrize("role", ["defender", "evaluation"])
def test_calibrate_takes_calibration_models_only(fails, copied_file, tiny_zoo, role):
    models = [("--surrogate", f"{role}-surrogate-0"), ("--reference", f"{role}-reference-0")]
    given = [x for option, name in models for x in (option, tiny_zoo.path(name))]
    assert "role" in fails("calibrate", copied_file, *given)


def test_calibrate(fails, copied_file, calibrate_arguments, tiny_zoo):
    swapped = ["--reference", calibrate_arguments[1], "--surrogate", calibrate_arguments[3]]
    assert "origin" in fails("calibrate", copied_file, *swapped)
    assert "nobody" in fails("calibrate", "nobody", *calibrate_arguments)
    assert "--reference" in fails("calibrate", copied_file, *calibrate_arguments[:2])
    assert "FILE" in fails("calibrate", *calibrate_arguments)
    assert "--force" in fails("calibrate", copied_file, *calibrate_arguments, "--out", copied_file)


def damaged(kind, path):
    """Return what is left of a fingerprint file after an accident."""
    content = bytearray(path.read_bytes())
    if kind == "truncated":
        return content[: len(content) // 2]
    if kind == "bit-flipped":
        content[len(content) // 2] ^= 4
    return {"empty": b"", "text": b"not a fingerprint\n"}.get(kind, content)


@pytest.mark.parametrize("kind", ["truncated", "bit-flipped", "empty", "text"])
def test_damaged_fingerprints_fail_in_every_command(
    fails, copied_file, calibrate_arguments, tiny_zoo, kind
):
    copied_file.write_bytes(damaged(kind, copied_file))
    commands = (["verify", copied_file, tiny_zoo.path("source")], ["inspect", copied_file])
    for command in (*commands, ["calibrate", copied_file, *calibrate_arguments]):
        assert copied_file.name in fails(*command)


def test_a_fingerprint_of_another_shape_is_refused(fails, tiny_zoo, tmp_path):
    other = Fingerprint(
        inputs=np.zeros((3, 32, 32, 3), np.float32),
        keys=np.arange(3),
        classes=10,
        method="cem",
        parameters={},
        source_sha256="0" * 64,
        data={},
    )
    other.save(tmp_path / "other.cemfp")
    given = ("verify", tmp_path / "other.cemfp", tiny_zoo.path("source"), "--threshold", 0.5)
    assert "(32, 32, 3)" in fails(*given)


SUSPECTS = """
import sys
import numpy as np
def eleven(x): return np.zeros((len(x), 11))
def class_ten(x): return np.full(len(x), 10)
def one_short(x): return np.zeros(len(x) - 1, int)
def raises(x): raise RuntimeError("first line\\nsecond line")
def leaves(x): sys.exit(0)
"""
SUSPECT_CASES = {
    "eleven": "10 classes",
    "class_ten": "labels from 0 to 9",
    "one_short": "answers",
    "raises": "first line",
    "leaves": "failed to answer",
    "absent": "absent",
}


@pytest.mark.parametrize("name", SUSPECT_CASES)
def test_verify_of_a_suspect_that_misbehaves(fails, calibrated_file, tmp_path, name):
    (tmp_path / "here" / "suspects.py").write_text(SUSPECTS)
    (tmp_path / "here" / "__pycache__").mkdir()  # so that importing changes no listing
    message = fails_but_for_cache(fails, "verify", calibrated_file, f"python:suspects:{name}")
    assert SUSPECT_CASES[name] in message


def fails_but_for_cache(fails, *arguments):
    """As `fails`, without the interpreter's own cache files."""
    import sys

    sys.dont_write_bytecode, former = True, sys.dont_write_bytecode
    sys.modules.pop("suspects", None)
    try:
        return fails(*arguments)
    finally:
        sys.dont_write_bytecode = former


def test_verify(fails, calibrated_file, tiny_zoo, tmp_path):
    source = tiny_zoo.path("source")
    (tmp_path / "old.h5").write_bytes(b"x")
    assert "nobody" in fails("verify", "nobody", source)
    assert "nobody" in fails("verify", calibrated_file, "nobody")
    assert "SUSPECT" in fails("verify", calibrated_file)
    assert "cannot be used" in fails("verify", calibrated_file, tmp_path / "old.h5")
    assert "scale" in fails("verify", calibrated_file, source, "--scale", 255)
    for option in ("--threshold", "--confidence"):
        for value in (0, 1, "nan", -3):
            assert option in fails("verify", calibrated_file, source, option, value)


def test_verify_of_a_net_with_other_classes(fails, calibrated_file, tmp_path):
    from cemfp.models.classifier import ClassifierConfig
    from cemfp.models.nets import NETS

    model = NETS["resnet20"]((8, 8, 1), 3, width=1, depth=8)
    config = ClassifierConfig("resnet20", (8, 8, 1), 3, {"width": 1, "depth": 8})
    Classifier(model, config).save(tmp_path / "three")
    assert "10 classes" in fails("verify", calibrated_file, tmp_path / "three")
    assert "10 classes" in fails("evaluate", tmp_path / "three", "--data", "digits")


def test_inspect(fails, calibrated_file, tmp_path):
    assert "nobody" in fails("inspect", "nobody")
    assert "directory" in fails("inspect", calibrated_file, "--gallery", tmp_path, "--force")
    assert "PNG or PDF" in fails("inspect", calibrated_file, "--gallery", "picture.txt")
    (tmp_path / "mine.png").write_bytes(b"")
    assert "--force" in fails("inspect", calibrated_file, "--gallery", tmp_path / "mine.png")


def test_demo(fails, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in fails("demo", "--out", tmp_path / "file", "--store", tmp_path / "store")
    assert "file" in fails("demo", "--out", tmp_path / "x", "--store", tmp_path / "file")
    assert "file" in fails("demo", "--out", tmp_path / "file" / "x")


def test_the_program_itself(fails):
    assert "frobnicate" in fails("frobnicate")
    assert "--loud" in fails("--loud")
