"""The jobs of an owner's protection: nets by role, a fingerprint for each radius, thefts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from cemfp.fingerprint.cem import CEM
from cemfp.jobs.calibrate import CalibrateFingerprint
from cemfp.jobs.cost import size_of
from cemfp.jobs.fingerprint import MakeCandidates, MakeFingerprint
from cemfp.jobs.remove import RemoveFingerprint
from cemfp.jobs.source import OwnIndependent, OwnSource
from cemfp.jobs.start import KeepStart
from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import FIRST_SEED, REFERENCE_OFFSET, Group
from cemfp.models.roles import Role
from cemfp.owner.means import STARTED_SPEED
from cemfp.owner.schedule import MEMBERS, OTHER_NET, Schedule
from cemfp.removal import REMOVALS
from cemfp.training.recipe import Recipe

CANDIDATES_FOR_EACH = 3  # starting images for each input wanted
# Adam's steps together are so many radii long; the paper's are no shorter than this each.
PATH, SLOWEST = 6.0, 5e-4
# Steps of PGD in each step of a thief's adversarial training, and its radius.
ADVERSARIAL_STEPS, ADVERSARIAL_RADIUS = 3, 2 / 255
SEEDS_APART = 10_000
# Each step moves what the nets see by up to so many pixels of a side: the answers of copies then
# depend less on where things are, and independent nets give them less often.
SIDES_PER_SHIFT = 16


@dataclasses.dataclass(frozen=True)
class Owner:
    """What is protected, and with what means.

    Attributes:
        source: The model to protect.
        data: Name of the data set.
        nets: Whose architectures surrogates and references take in turn.
        other: What a thief trains who does not know the architecture.
        recipe: How each net is trained; the schedule gives its epochs.
        size: Inputs wanted.
        seed: Decides every random choice.
        unlabelled: Name of images that the source labels for every second surrogate; empty for
            none.
        start: Public weights that surrogates and references start from; None for fresh ones.
        independents: Nets of the owner's own that copied nothing; they set the threshold, too.
    """

    source: OwnSource
    data: str
    nets: tuple[Net, ...]
    other: Net
    recipe: Recipe
    size: int
    seed: int = 0
    unlabelled: str = ""
    start: KeepStart | None = None
    independents: tuple[OwnIndependent, ...] = ()

    def surrogates(self, role: Role, count: int, epochs: int) -> tuple[TrainNet, ...]:
        """Return trainings on the source's answers: to its training images, or others in turn."""
        return tuple(
            TrainNet(
                data=self.data,
                recipe=self._recipe(self._passes(epochs, transfer)),
                seed=seed,
                role=role.value,
                net=net,
                labels_from=self.source,
                labels="soft",
                transfer=transfer,
                start=self.start,
            )
            for number, (seed, net) in enumerate(self._draw(role, count, 0))
            for transfer in [self.unlabelled if number % 2 else ""]
        )

    def _passes(self, epochs: int, transfer: str) -> int:
        """Return the epochs that make as many steps of other images."""
        if not transfer:
            return epochs
        own, others = (size_of(name)[2] for name in (self.data, transfer))
        return max(1, round(epochs * own / others))

    def references(self, role: Role, count: int, epochs: int) -> tuple[TrainNet, ...]:
        """Return trainings on the ground truth."""
        return tuple(
            TrainNet(
                data=self.data,
                recipe=self._recipe(epochs),
                seed=seed,
                role=role.value,
                net=net,
                start=self.start,
            )
            for seed, net in self._draw(role, count, REFERENCE_OFFSET)
        )

    def _draw(self, role: Role, count: int, offset: int) -> Iterator[tuple[int, Net]]:
        first = self.seed * SEEDS_APART + FIRST_SEED[role] + offset
        for number in range(count):
            yield first + number, self.nets[number % len(self.nets)]

    def _recipe(self, epochs: int) -> Recipe:
        return dataclasses.replace(self.recipe, epochs=epochs)

    def fingerprint(self, defender: Group, radius: float, steps: int) -> MakeFingerprint:
        """Return the making of a fingerprint."""
        method = CEM(
            epsilon=radius,
            steps=steps,
            learning_rate=max(SLOWEST, PATH * radius / steps),
            members_per_step=MEMBERS,
            shift=min(size_of(self.data)[0][:2]) // SIDES_PER_SHIFT,
        )
        count = CANDIDATES_FOR_EACH * self.size
        candidates = MakeCandidates(
            method, self.data, self.source, defender, count=count, seed=self.seed
        )
        return MakeFingerprint(candidates, size=self.size)

    def theft(self, name: str, plan: Schedule) -> RemoveFingerprint:
        """Return a removal attack on the source.

        A thief who trains a net like the owner's finds the same public weights to start from.
        """
        attack, other = REMOVALS[name](), name == OTHER_NET
        if name == "advtrain":
            attack = REMOVALS[name](epsilon=ADVERSARIAL_RADIUS, steps=ADVERSARIAL_STEPS)
        recipe = self._recipe(plan.epochs)
        if other and self.start is not None:
            fresh = recipe.learning_rate / STARTED_SPEED
            recipe = dataclasses.replace(recipe, learning_rate=fresh)
        if attack.like_victim and attack.recipe is not None:
            gentle = attack.recipe
            own = ("flip", "pad", "batch_size", "precision")
            recipe = dataclasses.replace(gentle, **{n: getattr(self.recipe, n) for n in own})
        return RemoveFingerprint(
            attack=attack,
            victim=self.source,
            data=self.data,
            recipe=recipe,
            seed=self.seed * SEEDS_APART + FIRST_SEED[Role.ATTACKER],
            net=self.other if other else self.nets[0],
            start=None if other or attack.like_victim else self.start,
        )


def shown(net: Net) -> str:
    """Return what people call a net."""
    arguments = "".join(f":{name}={value}" for name, value in net.arguments)
    return "the model's own" if net.architecture else f"{net.name}{arguments}"


@dataclasses.dataclass(frozen=True)
class Protection:
    """All jobs of a schedule.

    Attributes:
        owner: What is protected.
        plan: How much is made.
    """

    owner: Owner
    plan: Schedule

    @property
    def defender(self) -> Group:
        """Nets that the fingerprint is made with."""
        return self._group(Role.DEFENDER, 0)

    @property
    def calibration(self) -> Group:
        """Nets that set its threshold."""
        return self._group(Role.CALIBRATION, 1)

    def _group(self, role: Role, place: int) -> Group:
        plan, owner = self.plan, self.owner
        return Group(
            owner.surrogates(role, plan.surrogates[place], plan.epochs),
            owner.references(role, plan.references[place], plan.epochs),
        )

    @property
    def unseen(self) -> tuple[TrainNet, ...]:
        """Independent nets that nobody used before they are judged."""
        return self.owner.references(Role.EVALUATION, self.plan.unseen, self.plan.epochs)

    @property
    def thefts(self) -> dict[str, RemoveFingerprint]:
        """Removal attacks of the self-test by name."""
        return {name: self.owner.theft(name, self.plan) for name in self.plan.thefts}

    def calibrated(self, radius: float) -> CalibrateFingerprint:
        """The fingerprint of a radius with its threshold."""
        made = self.owner.fingerprint(self.defender, radius, self.plan.steps)
        return CalibrateFingerprint(made, self.calibration, self.owner.independents)

    @property
    def nets(self) -> Sequence[TrainNet]:
        """What is trained before there is a fingerprint, surrogates and references in turn."""
        everyone = [*self.defender.everyone, *self.calibration.everyone]
        return sorted(everyone, key=lambda job: job.seed % REFERENCE_OFFSET)
