"""A study in miniature, trained for real once in a test session."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path

import pytest
from filelock import FileLock


@dataclasses.dataclass(frozen=True)
class TinyZoo:
    """Classifier directories of digits, named `source` or `<role>-<origin>-<number>`.

    Every owner has 150 labelled images of its own, every thief the source's answers to all 1,200.
    """

    root: Path

    def path(self, name):
        """Directory of the classifier `name`."""
        return self.root / name

    def paths(self, role, origin):
        """Directories of all with this role and origin."""
        return sorted(self.root.glob(f"{role}-{origin}-*"))

    def load(self, name):
        """A fresh `Classifier`."""
        from cemfp.models.classifier import Classifier

        return Classifier.load(self.path(name))


COUNTS = {"defender": 2, "calibration": 1, "evaluation": 1}


@pytest.fixture(scope="session")
def tiny_zoo(tmp_path_factory):
    """The source, and surrogates and references: 2 + 2 defender, 1 + 1 calibration and evaluation.

    Do not write into it. Of several test processes the first makes it for all.
    """
    together = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if together else base) / "zoo"
    with FileLock(f"{root}.lock"):
        if not root.is_dir():
            _train_zoo(root.with_name("zoo-in-the-making"))
            root.with_name("zoo-in-the-making").rename(root)
    return TinyZoo(root)


def _train_zoo(root):
    from cemfp.data import load
    from cemfp.training.from_scratch import Plan, train_classifier
    from cemfp.training.recipe import Recipe

    digits = load("digits")
    owner = Recipe(
        epochs=60, batch_size=64, learning_rate=0.1, flip=False, pad=0, precision="float32"
    )
    thief = dataclasses.replace(owner, epochs=12)

    def train(name, role, seed, teacher=None):
        size = {"labels": "soft"} if teacher else {"images": 150}
        plan = Plan("resnet20", {"width": 4, "depth": 8}, seed=seed, role=role, **size)
        classifier = train_classifier(plan, digits, thief if teacher else owner, teacher)
        classifier.save(root / name)
        return classifier

    source = train("source", "source", 0)
    for number, (role, count) in enumerate(COUNTS.items(), start=1):
        for place in range(count):
            train(f"{role}-surrogate-{place}", role, 1000 * number + place, source)
            train(f"{role}-reference-{place}", role, 1000 * number + 500 + place)


@pytest.fixture
def quick_net(monkeypatch):
    """In place of a ResNet a linear net, which compiles at once."""
    import tensorflow as tf

    from cemfp.models.nets import NETS

    def build(shape, classes, *, width, depth):
        inputs = tf.keras.Input(shape)
        x = tf.keras.layers.Flatten()(inputs)
        return tf.keras.Model(inputs, tf.keras.layers.Dense(classes, name="head")(x))

    monkeypatch.setitem(NETS, "resnet20", build)


@pytest.fixture(scope="session")
def bfloat16():
    """How far bfloat16 is off on this machine; where it cannot be computed, the test is skipped."""
    from cemfp.numerics import precision

    error = precision.relative_error("bfloat16")
    if not math.isfinite(error):
        pytest.skip("this machine cannot differentiate convolutions in bfloat16")
    return error
