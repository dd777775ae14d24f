"""A victim that need not know anything, for tests of what happens to its weights."""

import dataclasses
import functools

from cemfp.data import load
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS
from cemfp.removal import Thief
from cemfp.training.recipe import Recipe

SHORT = Recipe(
    epochs=2, batch_size=4, learning_rate=0.05, schedule="cosine", flip=False, pad=0,
    precision="float32",
)  # fmt: skip


@functools.cache  # nobody changes a victim: the tests say so
def untrained_victim():
    """ResNet8 of width 2 for digits, with weights as they come."""
    arguments = {"width": 2, "depth": 8}
    model = NETS["resnet20"]((8, 8, 1), 10, **arguments)
    return Classifier(model, ClassifierConfig("resnet20", (8, 8, 1), 10, arguments))


def thief_of(victim, *, seed=0, images=128, **recipe):
    """A thief with some digits and a short recipe."""
    digits = load("digits")
    return Thief(
        victim=victim,
        dataset=digits,
        recipe=dataclasses.replace(SHORT, **recipe),
        seed=seed,
        images=digits.train.sample(images, seed=seed),
    )


def vectors(model):
    """Values of all weights that are no kernels: biases, batch norm with its statistics."""
    return [weight for weight in model.get_weights() if weight.ndim == 1]
