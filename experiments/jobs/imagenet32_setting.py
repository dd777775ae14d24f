"""Settings of the study of mixed architectures on ImageNet32 [Lukas21, App. A.2], by profile."""

from __future__ import annotations

import dataclasses

from cemfp.fingerprint.cem import CEM
from cemfp.jobs.train import Net
from cemfp.jobs.zoo import Profile
from cemfp.training.recipe import Recipe
from experiments.profiles import PROFILES, setting_of

EPSILON = 0.15  # [Lukas21, Table 3 and 4]


@dataclasses.dataclass(frozen=True)
class Kind:
    """One architecture of the study.

    Attributes:
        net: What is built.
        recipe: How a reference of it learns.
        surrogate_recipe: How a surrogate does, the defender's or a thief's.
        surrogates, references: How many the defender trains.
    """

    net: Net
    recipe: Recipe
    surrogate_recipe: Recipe
    surrogates: int
    references: int


@dataclasses.dataclass(frozen=True)
class Setting:
    """Sizes and settings of the study.

    Attributes:
        data: Name of the data set.
        other: Data set of another domain, for Knockoff; empty for none.
        kinds: The architectures; the first one is the source's.
        source_recipe: How the source learns.
        tuning: How a thief tunes the source's weights.
        knockoff: How Knockoff trains: about as many steps as other thieves, on other images.
        owner_images: Labelled images of each owner, its own random choice; 0 means all of them.
        cem: The fingerprint's method.
        candidates: Images that it starts from.
        size: Inputs of the fingerprint.
        repeats: Thieves of each sort, and unseen references of each architecture.
    """

    data: str
    other: str
    kinds: tuple[Kind, ...]
    source_recipe: Recipe
    tuning: Recipe
    knockoff: Recipe
    owner_images: int
    cem: CEM
    candidates: int
    size: int
    repeats: int


# Name in `NETS` -> surrogates and references of the defender: 14 and 15 [Lukas21, App. A.2].
_MIX = {
    "resnet20": (6, 3),
    "resnet56": (2, 3),
    "densenet": (2, 3),
    "vgg19": (2, 3),
    "mobilenetv2": (2, 3),
}
_SMALL = Recipe(epochs=6, batch_size=64, learning_rate=0.1, crop=20, full_size=0.2)
# Narrow nets run faster in float32 on a CPU than in bfloat16, wide ones do not.
_THIN = dataclasses.replace(_SMALL, precision="float32")
# About as costly as ResNet20: the published sizes take up to ten times as long.
_SMALL_NETS = {
    "resnet20": (Net(), _SMALL),
    "resnet56": (Net("resnet56", (("width", 8),)), _THIN),
    "densenet": (Net("densenet", (("depth", 22), ("width", 8))), _THIN),
    "vgg19": (Net("vgg19", (("width", 16),)), _SMALL),
    "mobilenetv2": (Net("mobilenetv2", (("width", 8),)), _THIN),
}


def _demo() -> Setting:
    profile = PROFILES["demo"]
    nets = (
        (profile.net, 2, 2),
        (Net("densenet", (("depth", 10), ("width", 8))), 1, 1),
    )
    kinds = [Kind(net, profile.recipe, profile.surrogate_recipe, *n) for net, *n in nets]
    return Setting(
        data=profile.data,
        other="",  # nothing else has digits' shape
        kinds=tuple(kinds),
        source_recipe=profile.source_recipe,
        tuning=dataclasses.replace(profile.recipe, epochs=4, learning_rate=0.02),
        knockoff=profile.surrogate_recipe,
        owner_images=profile.owner_images,
        cem=CEM(epsilon=0.2, steps=100, learning_rate=1e-2),
        candidates=300,
        size=40,
        repeats=1,
    )


def _small() -> Setting:
    kinds = [Kind(net, recipe, recipe, *_MIX[name]) for name, (net, recipe) in _SMALL_NETS.items()]
    return Setting(
        data="imagenet32-100",
        other="cifar10",
        kinds=tuple(kinds),
        source_recipe=_SMALL,
        tuning=dataclasses.replace(
            _SMALL, epochs=2, learning_rate=0.05, schedule="cosine", crop=0, full_size=0.25
        ),
        knockoff=dataclasses.replace(_SMALL, epochs=2),  # on four times the images
        owner_images=0,
        cem=CEM(epsilon=EPSILON, steps=150, learning_rate=2e-3),
        candidates=150,
        size=100,
        repeats=2,
    )


def _paper() -> Setting:
    recipe = PROFILES["paper"].recipe
    return Setting(
        data="imagenet32-100",
        other="cifar10",
        kinds=tuple(Kind(Net(name), recipe, recipe, *counts) for name, counts in _MIX.items()),
        source_recipe=recipe,
        tuning=dataclasses.replace(recipe, epochs=20, learning_rate=0.01),
        knockoff=recipe,
        owner_images=0,
        cem=CEM(epsilon=EPSILON),
        candidates=1_000,
        size=100,
        repeats=3,
    )


SETTINGS = {"demo": _demo(), "small": _small(), "paper": _paper()}


def imagenet32_setting(profile: Profile) -> Setting:
    """Return the study's settings at the size of `profile`."""
    return setting_of(profile, SETTINGS)
