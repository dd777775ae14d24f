"""Every theft that a self-test of a black box tries needs its answers alone."""

import numpy as np
import pytest

from cemfp.data import load
from cemfp.owner.schedule import ALWAYS_ASKING, IF_TIME_ASKING
from cemfp.removal import REMOVALS, Thief, remove
from cemfp.suspects.source import AskedSource
from cemfp.training.recipe import Recipe

RECIPE = Recipe(epochs=1, batch_size=64, flip=False, pad=0, precision="float32")


@pytest.mark.parametrize("name", [*ALWAYS_ASKING, *IF_TIME_ASKING])
def test_a_theft_of_a_black_box(quick_net, name):
    digits = load("digits")
    asked = []

    def model(images):
        asked.append(len(images))
        return (images.sum(axis=(1, 2, 3)) / 6).astype(int) % 10

    victim = AskedSource("mine", lambda: model, input_shape=(8, 8, 1), classes=10, sha256="0" * 64)
    thief = Thief(
        victim,
        digits,
        RECIPE,
        seed=0,
        images=digits.train.take(np.arange(128)),
        arguments={"width": 4, "depth": 8},
    )
    made = remove(REMOVALS[name](), thief)
    assert made.summary["queries"] == 128 and made.classifier.classes == 10
    if name == "advtrain":
        assert 0 <= made.summary["facts"]["robust_accuracy"] <= 1
        assert "robust_accuracy_of_victim" not in made.summary["facts"]
