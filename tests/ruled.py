"""A fingerprint by a rule that one can follow by hand: three pixels, linear nets."""

import dataclasses
from typing import ClassVar

import numpy as np

from cemfp.data import Split, make_dataset
from cemfp.fingerprint.by_rule import make_by_rule
from cemfp.fingerprint.models import Models
from cemfp.fingerprint.rule import Rule
from cemfp.models.roles import Origin
from tests.small_classifiers import helper, linear

SHAPE = (1, 1, 3)
RULE = Rule(b"sixteen bytes or more", "pixels", 1)
SAME = np.eye(3)
# Answers class 0 whatever it sees.
ALWAYS_0 = np.zeros((3, 3))


@dataclasses.dataclass(frozen=True)
class Raise:
    """Raises the pixel of the first target by a fixed amount."""

    name: ClassVar[str] = "raise"
    adversarial: ClassVar[bool] = True
    ensemble: ClassVar[bool] = True
    starts: ClassVar[str] = "correct"
    domain: ClassVar[str] = "image"

    epsilon: float = 0.4

    def __call__(self, images, models, *, seed, progress=None):
        raise AssertionError("a rule names labels")

    def toward(self, images, models, targets, *, seed, progress=None):
        raised = np.eye(3, dtype=np.float32)[targets[:, 0]][:, None, None]
        return np.clip(images + self.epsilon * raised, 0, 1).astype(np.float32)


def pixels(count=40):
    """Images with one pixel above the others by .2 (even ones) or .7, and its place as label.

    The others have .2 and up to six grey levels more, so that no two images are equal.
    """
    labels = np.arange(count) % 3
    images = np.ones((count, *SHAPE), np.float32)
    images *= (51 + np.arange(count, dtype=np.float32) // 6)[:, None, None, None] / 255
    images[np.arange(count), 0, 0, labels] += np.where(np.arange(count) % 2, 0.7, 0.2)
    truth = labels.copy()
    truth[:4] = (truth[:4] + 1) % 3  # on these the source is wrong
    split = Split(np.rint(images * 255).astype(np.uint8), truth)
    return make_dataset("pixels", split, split, ("a", "b", "c"))


DATA = pixels()


def models():
    source = linear(SAME, shape=SHAPE)
    surrogate = helper(SAME, Origin.SURROGATE, shape=SHAPE)
    return Models(source, [surrogate], [helper(ALWAYS_0, Origin.REFERENCE, shape=SHAPE)])


def made(**changes):
    """Return the fingerprint and the record."""
    settings = {"size": 5, "candidates": 30} | changes
    return make_by_rule(Raise(), models(), DATA, RULE, **settings)
