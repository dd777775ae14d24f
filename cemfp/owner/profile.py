"""The size of the demonstration."""

from __future__ import annotations

import dataclasses

from cemfp.jobs.train import Net
from cemfp.jobs.zoo import Profile
from cemfp.training.recipe import Recipe

_DIGITS = Recipe(
    epochs=60, batch_size=64, learning_rate=0.1, flip=False, pad=0, precision="float32"
)
DEMO = Profile(
    name="demo",
    data="digits",
    net=Net(arguments=(("width", 8), ("depth", 8))),
    source_recipe=_DIGITS,
    recipe=_DIGITS,
    surrogate_recipe=dataclasses.replace(_DIGITS, epochs=20),
    owner_images=150,
    defender=6,
    calibration=3,
    evaluation=5,
    size=40,
    candidates=400,
    steps=200,
    epsilon=0.2,
    epsilons=(0.1, 0.2),
    learning_rate=1e-2,
)
