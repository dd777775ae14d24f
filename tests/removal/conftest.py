"""Nets and data small enough to follow an attack by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cemfp.data import Split, make_dataset
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS, layers
from cemfp.removal import Thief, thief
from cemfp.training.recipe import Recipe
from tests.small_classifiers import linear

# One plain step of gradient descent on all images.
ONE_STEP = Recipe(
    epochs=1, batch_size=1000, learning_rate=0.1, schedule="constant", momentum=0.0,
    weight_decay=0.0, flip=False, pad=0, precision="float32",
)  # fmt: skip


def linear_net(shape, classes):
    """Logits = flattened image @ kernel + bias."""
    inputs = tf.keras.Input(shape)
    return tf.keras.Model(inputs, layers.logits(tf.keras.layers.Flatten()(inputs), classes))


def one_convolution(shape, classes, *, width=4):
    """Convolution, batch norm, global pooling, head: all that attacks treat differently."""
    inputs, x = layers.normalised_input(shape)
    x = tf.keras.layers.ReLU()(layers.batch_norm(layers.convolution(x, width)))
    x = tf.keras.layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.logits(x, classes))


@pytest.fixture(scope="session", autouse=True)
def small_nets():
    """Have `linear` and `one-convolution` among the nets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETS, "linear", linear_net)
        patch.setitem(NETS, "one-convolution", one_convolution)
        yield


def untrained(net, shape, classes, *, seed=0, **arguments):
    """A classifier as it is before training."""
    tf.keras.utils.set_random_seed(seed)
    config = ClassifierConfig(net, shape, classes, arguments)
    return Classifier(NETS[net](shape, classes, **arguments), config)


def pixels(*rows, labels=None):
    """Images of two pixels; labelled 0 unless told."""
    images = np.array(rows, np.float32).reshape(-1, 1, 1, 2)
    return Split(images, np.zeros(len(rows), np.int64) if labels is None else np.array(labels))


# Class 0 where the first pixel is the brighter one.
BRIGHTER = ((1, 0), (0, 1))


def two_pixel_thief(images, kernel=BRIGHTER, recipe=ONE_STEP, **settings):
    """A thief of a linear net on two pixels, whose own net is linear, too."""
    dataset = make_dataset("two pixels", images, pixels((1, 0), (0, 1)), ("left", "right"))
    return Thief(
        victim=linear(kernel), dataset=dataset, recipe=recipe, images=images,
        **{"seed": 0, "net": "linear", **settings},
    )  # fmt: skip


@dataclasses.dataclass
class Recorded:
    """What one training was given."""

    images: np.ndarray
    targets: np.ndarray
    initial: list[np.ndarray] | None


@pytest.fixture
def trainings(monkeypatch):
    """The inputs of each training, which happens all the same."""
    seen, train = [], thief.train

    def spy(build, images, targets, recipe, **settings):
        seen.append(Recorded(images, targets, settings["initial"]))
        return train(build, images, targets, recipe, **settings)

    monkeypatch.setattr(thief, "train", spy)
    return seen
