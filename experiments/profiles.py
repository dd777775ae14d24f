"""How large a study is: the same jobs at several sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from cemfp.jobs.train import Net
from cemfp.jobs.zoo import Profile
from cemfp.owner.profile import DEMO
from cemfp.training.recipe import Recipe

Setting = TypeVar("Setting")

# The cheapest nets that are worth telling apart: two cores train thirty-four of them.
_SMALL_SOURCE = Recipe(epochs=5, batch_size=128, learning_rate=0.3, crop=20, full_size=0.2)
_SMALL = dataclasses.replace(_SMALL_SOURCE, epochs=4, full_size=0.25)
# The cheapest recipe of `experiments.recipes` that gets past 84 %; one net, the source, may cost
# more.
_STRONG_SOURCE = Recipe(epochs=10, learning_rate=0.2, optimizer="muon")
_STRONG = dataclasses.replace(_STRONG_SOURCE, epochs=8, crop=24, full_size=0.4)
# 200 epochs as in the Keras example that the paper trains by [Lukas21, Sec. 5, footnote 2].
_PAPER = Recipe(epochs=200, batch_size=128, learning_rate=0.1, schedule="cosine")
_PAPER_EPSILONS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15)

PROFILES = {
    profile.name: profile
    for profile in (
        DEMO,
        Profile(
            name="small",
            data="cifar10",
            net=Net(),
            source_recipe=_SMALL_SOURCE,
            recipe=_SMALL,
            surrogate_recipe=_SMALL,
            owner_images=0,
            defender=8,
            calibration=4,
            evaluation=5,
            size=100,
            candidates=150,
            steps=150,
            epsilon=0.025,
            epsilons=(0.01, 0.025, 0.05, 0.1),
            learning_rate=1e-3,
        ),
        Profile(
            name="paper",
            data="cifar10",
            net=Net(),
            source_recipe=_PAPER,
            recipe=_PAPER,
            surrogate_recipe=_PAPER,
            owner_images=0,
            defender=18,
            calibration=10,
            evaluation=10,
            size=100,
            candidates=1_000,
            steps=300,
            epsilon=0.025,
            epsilons=_PAPER_EPSILONS,
        ),
    )
}
# `small` with better nets, on images that JPEG costs something again. Its first nets were trained
# before `experiments.image_variants` had a detector that learns: on these images it still sees one
# grey level of noise, on `cifar10-shift-mixed3` hardly. Whoever begins anew takes those.
PROFILES["strong"] = dataclasses.replace(
    PROFILES["small"],
    name="strong",
    data="cifar10-shift-noise1",
    source_recipe=_STRONG_SOURCE,
    recipe=_STRONG,
    surrogate_recipe=_STRONG,
    # Two of eighteen did as well as all, at a ninth of the cost (`experiments.ensemble_members`).
    members_per_step=2,
)
# What there is of `strong` while its other nets wait for processor time: a pair in each role.
PROFILES["strong-first"] = dataclasses.replace(
    PROFILES["strong"], name="strong-first", defender=1, calibration=1, evaluation=1
)
# As many nets as the paper's defender has, of digits, where they cost seconds: for what depends on
# their number (`experiments.ensemble_members`).
PROFILES["digits-18"] = dataclasses.replace(DEMO, name="digits-18", defender=18)
# Whose settings of single experiments a profile shares.
LIKE = {"strong": "small", "strong-first": "strong", "digits-18": "demo"}


def setting_of(profile: Profile, settings: Mapping[str, Setting], *default: Setting) -> Setting:
    """Return an experiment's setting for `profile`, or for the profile that it is like.

    Raises:
        KeyError: There is neither one of these nor a default.
    """
    name = profile.name
    while name not in settings and name in LIKE:
        name = LIKE[name]
    return default[0] if default and name not in settings else settings[name]
