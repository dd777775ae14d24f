"""The models that all experiments of a study share: source, surrogates and references by role."""

from __future__ import annotations

import dataclasses
import itertools

from cemfp.jobs.train import Net, TrainNet
from cemfp.models.roles import Role
from cemfp.training.recipe import Recipe

# Seeds of different roles never meet: no two models of a study share initial weights or images.
FIRST_SEED = {
    Role.SOURCE: 0,
    Role.DEFENDER: 1_000,
    Role.CALIBRATION: 2_000,
    Role.EVALUATION: 3_000,
    Role.ATTACKER: 4_000,
}
REFERENCE_OFFSET = 500


@dataclasses.dataclass(frozen=True)
class Profile:
    """Sizes and settings of a study.

    Attributes:
        name: As `cemfp study --profile` takes it.
        data: Name of the data set.
        net: What source, surrogates and references are.
        source_recipe: How the source learns from the ground truth.
        recipe: How references do.
        surrogate_recipe: How surrogates learn from the source's probabilities.
        owner_images: Labelled images of each owner, its own random choice; 0 means all of them.
        defender, calibration, evaluation: Number of surrogates, and of references, in each role.
        size: Inputs of a fingerprint.
        candidates: Images that a generator starts from.
        steps: Steps of CEM.
        epsilon: L-inf radius of the central experiment, on the [0, 1] scale.
        epsilons: Radii of the sweeps.
        learning_rate: Step size of CEM.
        members_per_step: Surrogates, and references, that a step of CEM asks; 0 asks all.
    """

    name: str
    data: str
    net: Net
    source_recipe: Recipe
    recipe: Recipe
    surrogate_recipe: Recipe
    owner_images: int
    defender: int
    calibration: int
    evaluation: int
    size: int
    candidates: int
    steps: int
    epsilon: float
    epsilons: tuple[float, ...]
    learning_rate: float = 5e-4
    members_per_step: int = 0


@dataclasses.dataclass(frozen=True)
class Group:
    """The surrogates and references of one role."""

    surrogates: tuple[TrainNet, ...]
    references: tuple[TrainNet, ...]

    @property
    def everyone(self) -> tuple[TrainNet, ...]:
        """Surrogates, then references."""
        return self.surrogates + self.references


@dataclasses.dataclass(frozen=True)
class Zoo:
    """All models of a study; roles share no seed."""

    source: TrainNet
    defender: Group
    calibration: Group
    evaluation: Group

    @property
    def everyone(self) -> tuple[TrainNet, ...]:
        """The source, then a pair of each group in turn: in this order a study makes them.

        A study that ends early so has the same number of surrogates as of references, and some in
        every role.
        """
        groups = (self.defender, self.evaluation, self.calibration)
        pairs = [tuple(zip(group.surrogates, group.references, strict=True)) for group in groups]
        rounds = itertools.chain.from_iterable(itertools.zip_longest(*pairs, fillvalue=()))
        return (self.source, *itertools.chain.from_iterable(rounds))


def make_zoo(profile: Profile) -> Zoo:
    """Return the jobs of the models that every experiment of `profile` shares."""
    source = _truth(profile, Role.SOURCE, FIRST_SEED[Role.SOURCE], profile.source_recipe)
    groups = {
        role: _group(profile, source, role, count)
        for role, count in (
            (Role.DEFENDER, profile.defender),
            (Role.CALIBRATION, profile.calibration),
            (Role.EVALUATION, profile.evaluation),
        )
    }
    return Zoo(source, *groups.values())


def _group(profile: Profile, source: TrainNet, role: Role, count: int) -> Group:
    first = FIRST_SEED[role]
    surrogates = (
        surrogate(source, profile.net, profile.surrogate_recipe, role, first + number)
        for number in range(count)
    )
    references = (
        _truth(profile, role, first + REFERENCE_OFFSET + n, profile.recipe) for n in range(count)
    )
    return Group(tuple(surrogates), tuple(references))


def _truth(profile: Profile, role: Role, seed: int, recipe: Recipe) -> TrainNet:
    return owned(profile.data, profile.net, recipe, role, seed, profile.owner_images)


def surrogate(source: TrainNet, net: Net, recipe: Recipe, role: Role, seed: int) -> TrainNet:
    """Return the training of a copy: on the images of `source`, labelled by its probabilities."""
    return TrainNet(
        data=source.data,
        recipe=recipe,
        seed=seed,
        role=role.value,
        net=net,
        labels_from=source,
        labels="soft",
    )


def owned(data: str, net: Net, recipe: Recipe, role: Role, seed: int, images: int) -> TrainNet:
    """Return the training of a source or reference on an owner's own `images` (0: all)."""
    return TrainNet(data=data, recipe=recipe, seed=seed, role=role.value, net=net, images=images)
