"""The removal attacks of a study: which attack, with what recipe, net and images [Lukas21, A.5]."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from cemfp.jobs.remove import RemoveFingerprint
from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import FIRST_SEED, Profile, make_zoo
from cemfp.models.roles import Role
from cemfp.removal import REMOVALS
from cemfp.removal.dp_sgd import PRIVATE
from cemfp.training.recipe import Recipe
from experiments.profiles import setting_of

MODIFICATIONS = ("ftll", "ftal", "rtll", "rtal")
COMPRESSIONS = ("quantize", "tflite-int8", "weight-noise")
EXTRACTIONS = ("black-box", "jagielski", "papernot", "label-smoothing")
SPARSITIES = (0.7, 0.8, 0.9)
SHARES = (0.5, 0.6, 0.7, 0.8)
# The paper names no radius; its clean accuracy hints at a small one. By names in figures.
RADII = {"": 2 / 255, "_8": 8 / 255}
# Of FGSM with a random start, one step, as a share of epsilon [Wong, Rice, Kolter, ICLR 2020].
FAST_STEP = 1.25
_SMALL_NET = Net(arguments=(("depth", 8), ("width", 8)))


@dataclasses.dataclass(frozen=True)
class Means:
    """What the thieves of a study have.

    Attributes:
        tuning: How a thief tunes the victim's weights.
        tuning_images: Number of images for that; 0 means all.
        pruning: How a thief tunes while pruning.
        attack_steps: PGD steps in each step of adversarial training.
        attack_step: Size of one as a share of epsilon; 0 leaves it to the attack.
        repeats: Runs of each attack, with other seeds.
        fewer: Attacks that run less often, since they cost too much.
        nets: Nets of the thief's choice beside the victim's own, by name in figures.
        related: Data set of the same classes from elsewhere; empty for none.
        related_factor: Epochs on it for one on the victim's data, since it may be smaller.
        other: Data set of other classes; empty for none.
        transfer: How a net that was pre-trained on `other` is tuned.
        private, private_net: How DP-SGD trains, and what: a gradient per image is costly, and a
            small net learns more from noisy ones.
    """

    tuning: Recipe
    pruning: Recipe
    tuning_images: int = 0
    attack_steps: int = 7
    attack_step: float = 0.0
    repeats: int = 3
    fewer: tuple[tuple[str, int], ...] = ()
    nets: tuple[tuple[str, Net], ...] = ()
    related: str = ""
    related_factor: int = 1
    other: str = ""
    transfer: Recipe = dataclasses.field(default_factory=Recipe)
    private: Recipe = PRIVATE
    private_net: Net = _SMALL_NET


# About as costly as ResNet20: the published sizes take up to ten times as long.
_NARROW = (
    ("densenet", Net("densenet", (("depth", 22), ("width", 8)))),
    ("vgg16", Net("vgg16", (("width", 16),))),
    ("vgg19", Net("vgg19", (("width", 16),))),
)
_DIGITS = Recipe(
    epochs=4, batch_size=64, learning_rate=0.02, flip=False, pad=0, precision="float32"
)
MEANS = {
    "demo": Means(
        tuning=_DIGITS,
        pruning=_DIGITS,
        attack_steps=3,
        repeats=1,
        nets=(
            ("densenet", Net("densenet", (("depth", 10), ("width", 8)))),
            ("vgg16", Net("vgg16", (("width", 4),))),
            ("vgg19", Net("vgg19", (("width", 4),))),
        ),
        related="digits-turned",
        other="digits-turned",
        transfer=dataclasses.replace(_DIGITS, epochs=20, learning_rate=0.1),
        private=dataclasses.replace(_DIGITS, epochs=20, learning_rate=0.5),
    ),
    "small": Means(
        tuning=Recipe(epochs=1, learning_rate=0.05, schedule="cosine"),
        pruning=Recipe(epochs=2, learning_rate=0.05, schedule="cosine"),
        tuning_images=25_000,
        attack_steps=3,
        fewer=(("advtrain_cifar10_8", 2), ("advtrain_cinic", 2), ("advtrain_cinic_8", 1)),
        nets=_NARROW,
        related="cinic10",
        related_factor=6,
        other="imagenet32",
        transfer=Recipe(epochs=4, learning_rate=0.2, crop=20, full_size=0.25),
        private=dataclasses.replace(PRIVATE, epochs=8, crop=20, full_size=0.1),
    ),
    "paper": Means(
        tuning=Recipe(epochs=20, learning_rate=0.01, schedule="cosine"),
        pruning=Recipe(epochs=40, learning_rate=0.01, schedule="cosine"),
        nets=tuple((name, Net(name)) for name in ("densenet", "vgg16", "vgg19")),
        related="cinic10",
        other="imagenet32",
        transfer=Recipe(epochs=30, learning_rate=0.05, schedule="cosine"),
    ),
}


MEANS["strong"] = dataclasses.replace(
    MEANS["small"],
    attack_steps=1,
    attack_step=FAST_STEP,
    transfer=dataclasses.replace(MEANS["small"].transfer, optimizer="muon"),
)


def cases(profile: Profile) -> dict[str, tuple[RemoveFingerprint, ...]]:
    """Return each attack's repeats by the name that rows and the paper's values use."""
    means = setting_of(profile, MEANS)
    fewer = dict(means.fewer)
    return {
        name: tuple(_repeat(job, number) for number in range(fewer.get(name, means.repeats)))
        for name, job in _first_repeats(profile)
    }


def _repeat(job: RemoveFingerprint, number: int) -> RemoveFingerprint:
    """Return `job` with other seeds, for the pre-trained net, too."""
    pretrained = job.pretrained
    if pretrained is not None:
        pretrained = dataclasses.replace(pretrained, seed=pretrained.seed + number)
    return dataclasses.replace(job, seed=job.seed + number, pretrained=pretrained)


def _first_repeats(profile: Profile) -> Iterator[tuple[str, RemoveFingerprint]]:
    yield from _modifications(profile)
    yield from _extractions(profile)
    yield from _other_images(profile)
    yield from _adversarial(profile)
    for share in SHARES:
        yield f"ground_truth_{share}", _attack(profile, "ground-truth", share=share)
    means = setting_of(profile, MEANS)
    yield "dp_sgd", _attack(profile, "dp-sgd", recipe=means.private, net=means.private_net)


def _modifications(profile: Profile) -> Iterator[tuple[str, RemoveFingerprint]]:
    means = setting_of(profile, MEANS)
    settings: dict[str, Any] = {"recipe": means.tuning, "count": means.tuning_images}
    for name in MODIFICATIONS:
        yield name, _attack(profile, name, **settings)
    settings["recipe"] = means.pruning
    for sparsity in SPARSITIES:
        yield f"prune_{sparsity}", _attack(profile, "prune", sparsity=sparsity, **settings)
    yield "fine_pruning", _attack(profile, "fine-pruning", **settings)
    for name in COMPRESSIONS:
        yield name.replace("-", "_"), _attack(profile, name, **settings)


def _extractions(profile: Profile) -> Iterator[tuple[str, RemoveFingerprint]]:
    yield f"retrain_{profile.net.name}", _attack(profile, "retrain")
    for name in EXTRACTIONS:
        yield name.replace("-", "_"), _attack(profile, name)
    for name, net in setting_of(profile, MEANS).nets:
        yield f"retrain_{name}", _attack(profile, "retrain", net=net)


def _other_images(profile: Profile) -> Iterator[tuple[str, RemoveFingerprint]]:
    means = setting_of(profile, MEANS)
    if means.related:
        yield "retrain_cinic", _attack(profile, "retrain", **_related(profile))
    if not means.other:
        return
    yield "knockoff", _attack(profile, "knockoff", transfer_set=means.other)
    pretrained = TrainNet(
        data=means.other,
        recipe=profile.surrogate_recipe,
        seed=FIRST_SEED[Role.ATTACKER],
        role=Role.ATTACKER.value,
        net=profile.net,
    )
    settings: dict[str, Any] = {"recipe": means.transfer, "pretrained": pretrained}
    yield f"transfer_{_family(profile)}", _attack(profile, "transfer", **settings)
    if means.related:
        related = _related(profile, means.transfer)
        yield "transfer_cinic", _attack(profile, "transfer", pretrained=pretrained, **related)


def _adversarial(profile: Profile) -> Iterator[tuple[str, RemoveFingerprint]]:
    means = setting_of(profile, MEANS)
    for name, epsilon in RADII.items():
        step = means.attack_step * epsilon
        settings: dict[str, Any] = {
            "epsilon": epsilon,
            "steps": means.attack_steps,
            "step_size": step,
        }
        yield f"advtrain_{_family(profile)}{name}", _attack(profile, "advtrain", **settings)
        if means.related:
            settings |= _related(profile)
            yield f"advtrain_cinic{name}", _attack(profile, "advtrain", **settings)


def _family(profile: Profile) -> str:
    """The data set's name in rows, which does not say which variant of its images was taken."""
    return profile.data.partition("-")[0]


def _related(profile: Profile, recipe: Recipe | None = None) -> dict[str, Any]:
    """The related images and a recipe with about as many steps as `recipe` has on the victim's."""
    means, recipe = setting_of(profile, MEANS), recipe or profile.surrogate_recipe
    epochs = recipe.epochs * means.related_factor
    return {
        "transfer_set": means.related,
        "recipe": dataclasses.replace(recipe, epochs=epochs),
    }


def _attack(
    profile: Profile,
    name: str,
    *,
    recipe: Recipe | None = None,
    net: Net | None = None,
    transfer_set: str = "",
    count: int = 0,
    pretrained: TrainNet | None = None,
    **parameters: Any,
) -> RemoveFingerprint:
    """Return the first repeat of one attack; `parameters` are the attack's own."""
    return RemoveFingerprint(
        attack=REMOVALS[name](**parameters),
        victim=make_zoo(profile).source,
        data=profile.data,
        recipe=recipe or profile.surrogate_recipe,
        seed=FIRST_SEED[Role.ATTACKER],
        net=net or profile.net,
        transfer_set=transfer_set,
        count=count,
        pretrained=pretrained,
    )
