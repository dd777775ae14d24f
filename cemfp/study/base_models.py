"""The second paper's models, and the fingerprints of its base model [Wang21, A.3, A.5]."""

from __future__ import annotations

import dataclasses
from typing import Any

from cemfp.fingerprint.characteristic import Characteristic
from cemfp.fingerprint.methods import METHODS
from cemfp.removal.pruning import Prune
from cemfp.roles import Role
from cemfp.study.fingerprints import MakeCandidates, MakeFingerprint
from cemfp.study.profiles import FIRST_SEED, PROFILES, REFERENCE_OFFSET, Group, Profile
from cemfp.study.removal import RemoveFingerprint
from cemfp.study.zoo import Net, TrainNet
from cemfp.training import Recipe

RATIOS = (0.8, 0.9, 0.95)


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a profile makes these models, and the fingerprints of the base.

    Attributes:
        net: CNN-1, narrowed where two cores have to train it.
        recipe: How the base and the variants learn.
        pruning: How the owner retrains while pruning [Han15].
        variants: Number of nets of the same kind with other initial weights.
        repeats: Prunings at each ratio, with other orders of the images.
        deltas: Bounds of the noise on the weights, beside 0.
        bands: Low frequencies that LTRC filters out, k.
        size: Inputs of a fingerprint.
        steps: Gradient steps.
        seeds: Fingerprints of each kind, from other noise.
    """

    net: Net
    recipe: Recipe
    pruning: Recipe
    variants: int = 20
    repeats: int = 5
    deltas: tuple[float, ...] = (0.01, 0.03, 0.05, 0.07)
    bands: tuple[int, ...] = (1, 2, 3)
    size: int = 100
    steps: int = 500
    seeds: int = 1


_DEMO, _PAPER = PROFILES["demo"], PROFILES["paper"]
_SMALL = Recipe(epochs=8, learning_rate=0.1, weight_decay=1e-3, crop=20)
SETTINGS = {
    "demo": Setting(
        net=Net("cnn1", (("width", 8),)),
        recipe=dataclasses.replace(_DEMO.recipe, learning_rate=0.05),
        pruning=dataclasses.replace(_DEMO.recipe, epochs=20, learning_rate=0.02),
        variants=3,
        repeats=2,
        deltas=(0.01, 0.05),
        bands=(1, 2),
        size=40,
        steps=100,
    ),
    "small": Setting(
        net=Net("cnn1", (("width", 24),)),
        recipe=_SMALL,
        pruning=dataclasses.replace(_SMALL, epochs=2, learning_rate=0.05, schedule="cosine"),
        variants=5,
    ),
    "paper": Setting(
        net=Net("cnn1"),
        recipe=_PAPER.recipe,
        pruning=dataclasses.replace(_PAPER.recipe, epochs=40, learning_rate=0.01),
        seeds=3,
    ),
}


@dataclasses.dataclass(frozen=True)
class BaseModels:
    """All models; nothing but the base is known to who makes a fingerprint.

    Attributes:
        base: The model to recognise.
        pruned: Pruned copies by sparsity, which should be recognised.
        variants: Independent nets, which should not.
    """

    base: TrainNet
    pruned: tuple[tuple[float, tuple[RemoveFingerprint, ...]], ...]
    variants: tuple[TrainNet, ...]


def base_models(profile: Profile) -> BaseModels:
    """Return the jobs of a profile's models."""
    setting = SETTINGS[profile.name]
    base = _train(profile, Role.SOURCE, FIRST_SEED[Role.SOURCE])
    first = FIRST_SEED[Role.EVALUATION] + REFERENCE_OFFSET
    return BaseModels(
        base,
        tuple(
            (ratio, tuple(_prune(profile, base, ratio, n) for n in range(setting.repeats)))
            for ratio in RATIOS
        ),
        tuple(_train(profile, Role.EVALUATION, first + n) for n in range(setting.variants)),
    )


def _train(profile: Profile, role: Role, seed: int) -> TrainNet:
    setting = SETTINGS[profile.name]
    return TrainNet(
        data=profile.data,
        recipe=setting.recipe,
        seed=seed,
        role=role.value,
        net=setting.net,
        images=profile.owner_images,
    )


def _prune(profile: Profile, base: TrainNet, ratio: float, number: int) -> RemoveFingerprint:
    """The owner prunes, who has the ground truth; hence not the thief's labels."""
    setting = SETTINGS[profile.name]
    return RemoveFingerprint(
        attack=Prune(sparsity=ratio, labels="truth"),
        victim=base,
        data=profile.data,
        recipe=setting.pruning,
        seed=FIRST_SEED[Role.ATTACKER] + number,
        net=setting.net,
    )


def forms(setting: Setting) -> dict[str, Characteristic]:
    """Return every method with every delta, k and domain, by the name that rows use.

    The domain `image` keeps the mean; with k = 1 it filters nothing and is RC.
    """
    deltas = (0.0, *setting.deltas)
    found = {"c 0": _form("c", setting)}
    for name in ("rc", "rc-gm"):
        found |= {f"{name} {delta:g}": _form(name, setting, delta=delta) for delta in deltas[1:]}
    for domain in ("signed", "image"):
        for k in setting.bands[domain == "image" :]:
            for delta in deltas:
                method = _form("ltrc", setting, delta=delta, k=k, domain=domain)
                found[f"ltrc k{k} {domain} {delta:g}"] = method
    return found


def fingerprints(profile: Profile) -> dict[str, MakeFingerprint]:
    """Return the fingerprints of the base: each of `forms` with each seed."""
    setting, base = SETTINGS[profile.name], base_models(profile).base
    return {
        f"{name} | {seed}": characteristic_fingerprint(method, base, setting.size, seed=seed)
        for name, method in forms(setting).items()
        for seed in range(setting.seeds)
    }


def characteristic_fingerprint(
    method: Characteristic, source: TrainNet, size: int, *, seed: int = 0
) -> MakeFingerprint:
    """Return the job that makes `size` examples of `source` without any data."""
    candidates = MakeCandidates(method, "", source, Group((), ()), size, seed=seed)
    return MakeFingerprint(candidates, size=size)


def _form(name: str, setting: Setting, **changes: Any) -> Characteristic:
    method = METHODS[name](steps=setting.steps, **changes)
    assert isinstance(method, Characteristic)
    return method
