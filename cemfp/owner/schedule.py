"""How much an owner's time buys: how many nets, how long trained, which thefts are tried."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from cemfp.engine.progress import duration

# Surrogates and references, each for the fingerprint and for its threshold; unseen independents.
Levels = Sequence[tuple[tuple[int, int], tuple[int, int], int]]
# Surrogates, and references, of the defender; of the calibration; independents for the self-test.
LEVELS = (
    *((1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)),
    *((6, 6, 6), (8, 8, 8), (12, 10, 10), (18, 12, 12)),
)
# Steps after which a short training has settled; a third of them is the least that is worth it.
ENOUGH_STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 2_400, 8, 120
ENOUGH_STARTED = 600  # the same for one that starts from public weights
LEAST_SHARE = 1 / 3
# Thefts that are always tried, and those that follow if there is time, in this order. The number
# is what one costs in trainings of a surrogate.
ALWAYS = {"quantize": 0.0, "ftal": 0.3, "black-box": 1.0}
IF_TIME = {"prune": 0.4, "retrain": 1.0, "advtrain": 4.0}
ALWAYS_ASKING = {"black-box": 1.0}
IF_TIME_ASKING = {"retrain": 1.0, "label-smoothing": 1.0, "advtrain": 4.0}
OTHER_NET = "retrain"  # the theft with another net than the owner's
# Radii of which the first that separates the calibration models is taken: on photographs it is the
# first or the second.
RADII, LIKELY_RADII = (8 / 255, 16 / 255, 32 / 255), 2
# Steps of the fingerprint method, and the share of the budget that they may take.
STEPS, CRAFTING_SHARE = (300, 200, 120, 60), 0.25
# Surrogates, and references, that such a step asks.
MEMBERS = 2
SHARED_SECONDS = 30.0  # what is done once: opening, judging, drawing


class BudgetError(ValueError):
    """The budget is too small for a fingerprint; the message says what is needed."""


@dataclasses.dataclass(frozen=True)
class Rates:
    """What was measured on this machine.

    Attributes:
        start: Seconds until a training makes its first steps.
        step: Seconds of one training step, a mean over the nets to train.
        steps_per_epoch: Steps of one pass over the training images.
        crafting: Seconds of one step of the fingerprint method for each member of the ensemble.
        size: Bytes of one kept net.
        other: What a training of the net costs that a thief takes who does not know the
            architecture, in those of the owner's.
    """

    start: float
    step: float
    steps_per_epoch: int
    crafting: float
    size: float
    other: float = 1.0


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What is made, all of it JSON.

    Attributes:
        surrogates: How many the fingerprint is made with, and how many set its threshold.
        references: The same.
        unseen: Independent nets that the self-test judges.
        epochs: Passes of each training over the images.
        thefts: Names of the removal attacks that the self-test tries.
        radii: Values of epsilon to try, on the [0, 1] scale.
        steps: Steps of the fingerprint method.
        training: Estimate of the seconds of one training.
        seconds: Estimate of the time in all.
        disk: Estimate of the bytes.
    """

    surrogates: tuple[int, int]
    references: tuple[int, int]
    unseen: int
    epochs: int
    thefts: tuple[str, ...]
    radii: tuple[float, ...]
    steps: int
    training: float = 0.0
    seconds: float = 0.0
    disk: float = 0.0

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Schedule:
        """Rebuild from JSON, lists becoming tuples."""
        read: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()
        }
        return cls(**read)

    @property
    def nets(self) -> int:
        """Nets that are trained, the thieves' not counted."""
        return sum(self.surrogates) + sum(self.references) + self.unseen


def schedule(
    rates: Rates,
    budget: float,
    *,
    radii: Sequence[float] = RADII,
    asked: bool = False,
    surrogates: int | None = None,
    references: int | None = None,
    enough: int = ENOUGH_STEPS,
) -> Schedule:
    """Fit the work into `budget` seconds: trainings that are long enough, and as many as can be.

    Args:
        rates: What things cost here.
        budget: Seconds.
        radii: Values of epsilon to try, the smallest first.
        asked: Whether the source only answers: then no thief has its weights.
        surrogates: How many of them in all, if given.
        references: The same.
        enough: Steps after which a training has settled.

    Raises:
        BudgetError: It does not suffice for two surrogates and two references.
    """
    radii = tuple(radii)
    always, if_time = (ALWAYS_ASKING, IF_TIME_ASKING) if asked else (ALWAYS, IF_TIME)
    levels = _levels(surrogates, references)
    steps = _steps(rates, budget, len(radii))
    full = min(max(math.ceil(enough / rates.steps_per_epoch), FEWEST_EPOCHS), MOST_EPOCHS)
    least = math.ceil(full * LEAST_SHARE)
    smallest = Schedule(*levels[0], least, tuple(always), radii, STEPS[-1])
    tries = itertools.chain(
        (
            Schedule(*level, epochs, tuple(always), radii, steps)
            for level, epochs in _tries(levels, full, least)
        ),
        [smallest],
    )
    priced = (_priced(tried, rates, always) for tried in tries)
    chosen = next((tried for tried in priced if tried.seconds <= budget), None)
    if chosen is None:
        needed = _priced(smallest, rates, always).seconds
        raise BudgetError(
            f"expected a budget for at least {smallest.nets} nets of {least} epochs, about "
            f"{duration(needed)}. Received: {duration(budget)}; allow more with --budget, or take "
            "fewer training images, smaller images or a smaller --net"
        )
    return _with_more_thefts(chosen, rates, budget, always, if_time)


def _levels(surrogates: int | None, references: int | None) -> Levels:
    """Return the levels to choose from, with the numbers that are given."""
    above, below = (None if n is None else _parted(n) for n in (surrogates, references))
    levels = [(above or (d, c), below or (d, c), unseen) for d, c, unseen in LEVELS]
    return list(dict.fromkeys(levels)) if above is None or below is None else levels[:1]


def _parted(count: int) -> tuple[int, int]:
    """Return how many of `count` nets make the fingerprint, and how many set its threshold."""
    calibration = max(1, count // 3)
    return count - calibration, calibration


def _with_more_thefts(
    chosen: Schedule,
    rates: Rates,
    budget: float,
    always: dict[str, float],
    if_time: dict[str, float],
) -> Schedule:
    costs = dict(always)
    for name, cost in if_time.items():
        costs[name] = cost
        more = _priced(dataclasses.replace(chosen, thefts=tuple(costs)), rates, costs)
        if more.seconds <= budget:
            chosen = more
        else:
            del costs[name]
    return chosen


def _steps(rates: Rates, budget: float, radii: int) -> int:
    """Return how many steps the fingerprint method makes."""
    for steps in STEPS:
        if _crafting(rates, steps, radii) <= CRAFTING_SHARE * budget:
            return steps
    return STEPS[-1]


def _crafting(rates: Rates, steps: int, radii: int) -> float:
    """Seconds of making fingerprints, of as many radii as it usually takes."""
    return 2 * MEMBERS * rates.crafting * steps * min(radii, LIKELY_RADII)


def _tries(
    levels: Levels, full: int, least: int
) -> Iterator[tuple[tuple[tuple[int, int], tuple[int, int], int], int]]:
    """Yield (level, epochs), the best first: many nets, and only for the fewest short trainings."""
    for level in reversed(levels):
        yield level, full
    for level in reversed(levels[:2]):
        yield from ((level, epochs) for epochs in range(full - 1, least - 1, -1))


def _priced(plan: Schedule, rates: Rates, thefts: dict[str, float]) -> Schedule:
    """Return the schedule with its estimates of time and disk."""
    training = rates.start + plan.epochs * rates.steps_per_epoch * rates.step
    crafting = _crafting(rates, plan.steps, len(plan.radii))
    stolen = (c * (rates.other if name == OTHER_NET else 1.0) for name, c in thefts.items())
    trainings = plan.nets + sum(stolen)
    seconds = trainings * training + crafting + SHARED_SECONDS
    return dataclasses.replace(
        plan,
        training=round(training, 1),
        seconds=round(seconds, 1),
        disk=(plan.nets + len(thefts) + 1) * rates.size,
    )
