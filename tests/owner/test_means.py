"""Times, recipes and nets that an owner gets who does not say."""

import pytest
import tensorflow as tf

from cemfp.data import load
from cemfp.jobs.train import Net
from cemfp.models.classifier import Classifier
from cemfp.owner import means


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2h", 7200), ("20m", 1200), ("1h30m", 5400), ("90s", 90), ("0.5h", 1800), (" 1H ", 3600)],
)
def test_times(text, expected):
    assert means.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "20", "m", "0m", "1h 30m", "-1h", "1d", "30m1h"])
def test_times_that_are_none(text):
    with pytest.raises(ValueError, match="such as 2h, 20m or 1h30m"):
        means.seconds(text)


def test_nets_with_batch_norm_and_without():
    digits = load("digits")
    assert means.has_batch_norm(Net("resnet20", (("width", 4), ("depth", 8))), digits)
    inputs = tf.keras.Input((8, 8, 1))
    plain = tf.keras.Model(inputs, tf.keras.layers.Dense(10)(tf.keras.layers.Flatten()(inputs)))
    assert not means.has_batch_norm(Net.like(Classifier.from_keras(plain)), digits)
    assert means.recipe(digits, batch_norm=True).optimizer == "sgd"
    assert means.recipe(digits, batch_norm=False).optimizer == "adam"


def test_digits_are_not_mirrored():
    recipe = means.recipe(load("digits"), batch_norm=True)
    assert not recipe.flip and recipe.pad == 0 and recipe.batch_size == 64
    assert means.usual_net(load("digits")) == Net("resnet20")


def test_radii_of_digits_are_larger_and_started_nets_learn_in_smaller_steps():
    digits = load("digits")
    assert means.radii(digits) == (32 / 255, 0.3)
    fresh, started = (means.recipe(digits, batch_norm=True, started=s) for s in (False, True))
    assert (fresh.learning_rate, started.learning_rate) == (0.1, pytest.approx(0.01))


def test_nets_by_name():
    assert means.named_net("vgg16") == Net("vgg16")
    assert means.named_net("resnet20:width=8:depth=8").arguments == (("width", 8), ("depth", 8))


@pytest.mark.parametrize("text", ["", "resnet", "resnet20:width", "resnet20:width=x", "cnn1:"])
def test_nets_that_are_none(text):
    with pytest.raises(ValueError, match="expected a net among resnet20, "):
        means.named_net(text)


def test_arguments_that_a_net_does_not_take():
    with pytest.raises(ValueError, match=r"expected arguments of resnet20: .*Received: girth"):
        means.named_net("resnet20:girth=3")
