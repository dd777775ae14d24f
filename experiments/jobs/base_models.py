"""The second paper's models, and the fingerprints of its base models [Wang21, A.3, A.5]."""

from __future__ import annotations

import dataclasses
from typing import Any

from cemfp.fingerprint.characteristic import Characteristic
from cemfp.fingerprint.methods import METHODS
from cemfp.jobs.fingerprint import MakeCandidates, MakeFingerprint
from cemfp.jobs.remove import RemoveFingerprint
from cemfp.jobs.train import ImportNet, Model, Net, TrainNet
from cemfp.jobs.zoo import FIRST_SEED, REFERENCE_OFFSET, Group, Profile
from cemfp.models.roles import Role
from cemfp.removal.pruning import Prune
from cemfp.training.recipe import Recipe
from experiments.profiles import PROFILES, setting_of

PAPER_ETA = 1e-6  # [Wang21, Eq. 1]
EARLY_ETA = 0.1  # nats; the paper's is out of reach of a net that is regularised
ETAS = (0.3, EARLY_ETA, 0.01)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A base model, what should not be taken for it, and how its owner prunes and marks it.

    Attributes:
        base: The model to recognise.
        variants: Independent nets, which should not be recognised.
        data: Name of the data set.
        pruning: How the owner retrains while pruning [Han15].
        ratios: Shares of the weights that pruning takes away; such copies should be recognised.
        repeats: Prunings at each ratio, with other orders of the images.
        count: Images to retrain with, as many as the owner has labels for; 0 means all.
        deltas: Bounds of the noise on the weights, beside 0.
        bands: Low frequencies that LTRC filters out, k.
        size: Inputs of a fingerprint.
        steps: Gradient steps.
        seeds: Fingerprints of each kind, from other noise.
    """

    base: Model
    variants: tuple[Model, ...]
    data: str
    pruning: Recipe
    ratios: tuple[float, ...] = (0.8, 0.9, 0.95)
    repeats: int = 5
    count: int = 0
    deltas: tuple[float, ...] = (0.01, 0.03, 0.05, 0.07)
    bands: tuple[int, ...] = (1, 2, 3)
    size: int = 100
    steps: int = 500
    seeds: int = 1


_DEMO, _PAPER = PROFILES["demo"].recipe, PROFILES["paper"].recipe
_SMALL = Recipe(epochs=8, learning_rate=0.1, weight_decay=1e-3, crop=20)
# Profile -> what CNN-1 is (narrow where two cores train it), its recipe, variants, other settings.
_CNN1: dict[str, tuple[Net, Recipe, int, dict[str, Any]]] = {
    "demo": (
        Net("cnn1", (("width", 8),)),
        dataclasses.replace(_DEMO, learning_rate=0.05),
        3,
        {
            "pruning": dataclasses.replace(_DEMO, epochs=20, learning_rate=0.02),
            "repeats": 2,
            "deltas": (0.01, 0.05),
            "bands": (1, 2),
            "size": 40,
            "steps": 100,
        },
    ),
    "small": (
        Net("cnn1", (("width", 24),)),
        _SMALL,
        5,
        {"pruning": dataclasses.replace(_SMALL, epochs=2, learning_rate=0.05, schedule="cosine")},
    ),
    "paper": (
        Net("cnn1"),
        _PAPER,
        20,
        {"pruning": dataclasses.replace(_PAPER, epochs=40, learning_rate=0.01), "seeds": 3},
    ),
}


def cnn1_setting(profile: Profile) -> Setting:
    """Return the models of [Wang21, Table 2]: CNN-1 on the profile's data."""
    net, recipe, variants, settings = setting_of(profile, _CNN1)
    first = FIRST_SEED[Role.EVALUATION] + REFERENCE_OFFSET
    base, *others = (
        TrainNet(
            data=profile.data,
            recipe=recipe,
            seed=seed,
            role=role.value,
            net=net,
            images=profile.owner_images,
        )
        for role, seed in [
            (Role.SOURCE, FIRST_SEED[Role.SOURCE]),
            *((Role.EVALUATION, first + number) for number in range(variants)),
        ]
    )
    return Setting(base, tuple(others), profile.data, count=profile.owner_images, **settings)


def imagenet_setting() -> Setting:
    """Return the models of [Wang21, Table 1]: published VGG16, and VGG19 as the other model."""
    data = "imagenet224"
    return Setting(
        base=ImportNet("vgg16", Role.SOURCE.value, data),
        variants=(ImportNet("vgg19", Role.EVALUATION.value, data),),
        data=data,
        pruning=Recipe(epochs=5, batch_size=64, learning_rate=1e-3, schedule="cosine", pad=0),
        ratios=(0.4, 0.5, 0.6, 0.7, 0.8),
        deltas=(0.001, 0.003, 0.005, 0.007),
        bands=(20,),
    )


def pruned(setting: Setting) -> dict[float, tuple[RemoveFingerprint, ...]]:
    """Return the pruned copies of the base by ratio.

    The owner prunes, who has the ground truth; hence not the thief's labels.
    """
    return {
        ratio: tuple(
            RemoveFingerprint(
                attack=Prune(sparsity=ratio, labels="truth"),
                victim=setting.base,
                data=setting.data,
                recipe=setting.pruning,
                seed=FIRST_SEED[Role.ATTACKER] + number,
                net=setting.base.net,
                count=setting.count,
            )
            for number in range(setting.repeats)
        )
        for ratio in setting.ratios
    }


def forms(setting: Setting) -> dict[str, Characteristic]:
    """Return every method with every delta, k and domain, by the name that rows use.

    The domain `image` keeps the mean; with k = 1 it filters nothing and is RC.
    """
    deltas = (0.0, *setting.deltas)
    found = {"c 0": _form("c", setting)}
    for name in ("rc", "rc-gm"):
        found |= {f"{name} {delta:g}": _form(name, setting, delta=delta) for delta in deltas[1:]}
    for domain in ("signed", "image"):
        for k in setting.bands:
            if domain == "image" and k == 1:
                continue
            for delta in deltas:
                method = _form("ltrc", setting, delta=delta, k=k, domain=domain)
                found[f"ltrc k{k} {domain} {delta:g}"] = method
    return found


def fingerprints(setting: Setting) -> dict[str, MakeFingerprint]:
    """Return the fingerprints of the base: each of `forms` with each seed."""
    return {
        f"{name} | {seed}": characteristic_fingerprint(
            method, setting.base, setting.size, seed=seed
        )
        for name, method in forms(setting).items()
        for seed in range(setting.seeds)
    }


def characteristic_fingerprint(
    method: Characteristic, source: Model, size: int, *, seed: int = 0
) -> MakeFingerprint:
    """Return the job that makes `size` examples of `source` without any data."""
    candidates = MakeCandidates(method, "", source, Group((), ()), size, seed=seed)
    return MakeFingerprint(candidates, size=size)


def stopped_forms(setting: Setting) -> dict[str, Characteristic]:
    """Return one form of each method for every eta, and all those of images for one eta.

    Their names end with it. The largest delta is left out: under so much noise no loss gets low
    enough for an early end.
    """
    delta, k = setting.deltas[:2][-1], setting.bands[len(setting.bands) // 2]
    found = {
        f"{name} eta {EARLY_ETA:g}": dataclasses.replace(method, eta=EARLY_ETA)
        for name, method in forms(setting).items()
        if "signed" not in name and method.delta < max(setting.deltas)
    }
    for eta in (*ETAS, PAPER_ETA):
        found[f"c 0 eta {eta:g}"] = _form("c", setting, eta=eta)
        for name in ("rc", "rc-gm"):
            found[f"{name} {delta:g} eta {eta:g}"] = _form(name, setting, delta=delta, eta=eta)
        for domain in ("signed", "image"):
            method = _form("ltrc", setting, delta=delta, k=k, domain=domain, eta=eta)
            found[f"ltrc k{k} {domain} {delta:g} eta {eta:g}"] = method
    return found


def _form(name: str, setting: Setting, *, eta: float = PAPER_ETA, **changes: Any) -> Characteristic:
    method = METHODS[name](steps=setting.steps, eta=eta, **changes)
    assert isinstance(method, Characteristic)
    return method
