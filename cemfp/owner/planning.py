"""What an owner wishes, and the plan that follows: kept, so that a rerun goes on with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cemfp.data import Dataset, load
from cemfp.engine.jobs import obtain
from cemfp.engine.progress import duration
from cemfp.jobs.source import OwnIndependent, OwnSource, identity, load_source
from cemfp.jobs.start import KeepStart
from cemfp.jobs.train import Net
from cemfp.models.classifier import Classifier
from cemfp.models.convention import Convention
from cemfp.models.source import Source
from cemfp.models.start import read_start, share_of
from cemfp.owner import means
from cemfp.owner.jobs import CANDIDATES_FOR_EACH, Owner, Protection, shown
from cemfp.owner.opening import open_independent, open_source
from cemfp.owner.rates import measure
from cemfp.owner.schedule import ENOUGH_STARTED, ENOUGH_STEPS, Schedule, schedule
from cemfp.storage.files import read_json, write_atomic
from cemfp.storage.store import Store

Say = Callable[[str], object]

PLAN = "plan.json"
SAME = "same"


@dataclasses.dataclass(frozen=True)
class Wish:
    """What to protect, and with what means.

    Attributes:
        model: `.keras` file, classifier directory, or what else answers; see `suspects`.
        data: Name of the data set.
        budget: Seconds that it may take.
        nets: `same`, or names in `NETS`, `resnet20:width=8` say; none means what is usual.
        surrogates, references: How many of them in all; None means what the budget allows.
        epsilon: L-inf radius on the [0, 1] scale; None chooses one.
        inputs: Inputs wanted.
        seed: Decides every random choice.
        convention: How the model wants its images; None finds out.
        unlabelled: Name of images without labels, for thieves of other pictures; empty for none.
        start: File of public weights that the model started from; see `models.start`.
        independents: `.keras` files of nets that were trained like the model, with other seeds.
    """

    model: str
    data: str
    budget: float = 3600.0
    nets: tuple[str, ...] = ()
    surrogates: int | None = None
    references: int | None = None
    epsilon: float | None = None
    inputs: int = 100
    seed: int = 0
    convention: Convention | None = None
    unlabelled: str = ""
    start: str = ""
    independents: tuple[str, ...] = ()


def plan_protection(
    wish: Wish, out: Path, store: Store, *, say: Say, keep: bool = True
) -> Protection:
    """Open the model, see that it does its task, and fit the work into the budget.

    Args:
        wish: What to protect, and with what means.
        out: Where the plan of an earlier run is, if there was one.
        store: Where models are kept.
        say: Takes each line for people.
        keep: Whether to write the plan.

    Raises:
        NotItsTask: The model, or a net of `independents`, is right on hardly more than chance.
        BudgetError: The budget is too small.
    """
    dataset = load(wish.data)
    job, found = open_source(wish.model, wish.data, store, wish.convention)
    say(f"{wish.model}: {found.words}")
    obtain(job, store)
    owner = _owner(wish, job, load_source(store.get(job.key())), dataset)
    if owner.start is not None:
        say(_begin(owner.start, owner, dataset, store))
    plan = _plan(wish, owner, out, store, say, keep)
    for line in lines(plan, owner, dataset):
        say(line)
    return Protection(owner, plan)


def _owner(wish: Wish, job: OwnSource, source: Source, dataset: Dataset) -> Owner:
    """Return what the nets are, and how they learn."""
    if job.asked and SAME in wish.nets:
        raise ValueError(
            "expected names of nets for a black box, whose architecture nobody sees. Received: "
            f"{SAME}; name some with --net"
        )
    names = wish.nets or ((means.usual_net(dataset).name,) if job.asked else (SAME,))
    nets = tuple(_net(name, source) for name in names)
    recipe = means.recipe(
        dataset,
        batch_norm=all(means.has_batch_norm(net, dataset) for net in nets),
        started=bool(wish.start),
    )
    start = None
    if wish.start:
        place = Path(wish.start).absolute()
        read_start(place)
        start = KeepStart(str(place), identity(wish.start))
    return Owner(
        source=job,
        data=wish.data,
        nets=nets,
        other=means.usual_net(dataset),
        recipe=recipe,
        size=wish.inputs,
        seed=wish.seed,
        unlabelled=wish.unlabelled,
        start=start,
        independents=_independents(wish, job, dataset),
    )


def _independents(wish: Wish, job: OwnSource, dataset: Dataset) -> tuple[OwnIndependent, ...]:
    """Open the owner's own independent nets, each once: m of them count as m in a p-value."""
    found = [open_independent(name, dataset, job) for name in wish.independents]
    if len({one.sha256 for one in found}) < len(found):
        raise ValueError(
            "expected different independent nets. Received: one of them twice among "
            f"{', '.join(wish.independents)}"
        )
    return tuple(found)


def _begin(start: KeepStart, owner: Owner, dataset: Dataset, store: Store) -> str:
    """Keep the weights to start from, and say how much of each net they are.

    Raises:
        StartError: They are hardly any of a net's.
    """
    obtain(start, store)
    named, shares = start.read(store), []
    for net in owner.nets:
        model = net.build(dataset.input_shape, len(dataset.classes))
        shares.append(f"{share_of(named, model, start.path):.1%} of {shown(net)}")
    return f"Copies and independent nets start from {start.path}: {', '.join(shares)}."


def _net(name: str, source: Source) -> Net:
    if name != SAME:
        return means.named_net(name)
    assert isinstance(source, Classifier)
    return Net.like(source)


def _plan(wish: Wish, owner: Owner, out: Path, store: Store, say: Say, keep: bool) -> Schedule:
    """Return the schedule of an earlier run with the same wishes, or measure and make one."""
    asked_for = json.loads(json.dumps(_identity(wish, owner)))
    known = read_json(out / PLAN) if (out / PLAN).is_file() else {}
    if known.get("wish") == asked_for:
        say(f"The plan in {out / PLAN} is carried on.")
        return Schedule.from_json(known["plan"])
    say("Timing some steps of each part.")
    source = load_source(store.get(owner.source.key()))
    candidates = CANDIDATES_FOR_EACH * owner.size
    dataset = load(owner.data)
    rates = measure(source, dataset, owner.nets, owner.other, owner.recipe, candidates)
    plan = schedule(
        rates,
        wish.budget,
        radii=means.radii(dataset) if wish.epsilon is None else (wish.epsilon,),
        asked=owner.source.asked,
        surrogates=wish.surrogates,
        references=wish.references,
        enough=ENOUGH_STEPS if owner.start is None else ENOUGH_STARTED,
    )
    record = {"wish": asked_for, "plan": dataclasses.asdict(plan)}
    record["rates"] = dataclasses.asdict(rates)
    if keep:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / PLAN, json.dumps(record, indent=1).encode())
    return plan


def _identity(wish: Wish, owner: Owner) -> dict[str, Any]:
    """Return what a plan depends on."""
    independents = [one.sha256 for one in owner.independents]
    own = ("budget", "surrogates", "references", "epsilon")
    return {
        "source": owner.source.key(),
        "data": owner.data,
        "nets": [dataclasses.asdict(net) for net in owner.nets],
        "recipe": dataclasses.asdict(owner.recipe),
        "size": owner.size,
        "seed": owner.seed,
        "unlabelled": owner.unlabelled,
        "start": None if owner.start is None else owner.start.sha256,
        **{name: getattr(wish, name) for name in own},
        **({"independents": independents} if independents else {}),
    }


def lines(plan: Schedule, owner: Owner, dataset: Dataset) -> Sequence[str]:
    """Say what will be made, and what it takes."""
    (made, limit), (also, other) = plan.surrogates, plan.references
    radii = ", ".join(f"{radius:.4f}" for radius in plan.radii)
    found = [
        f"Plan: of copies and independent nets, {made} and {also} make the fingerprint, {limit} "
        f"and {other} set its threshold; {plan.unseen} independent more for the self-test",
        f"      nets {', '.join(map(shown, owner.nets))}, {plan.epochs} epochs of "
        f"{len(dataset.train)} images; {owner.size} inputs, epsilon {radii}, {plan.steps} steps",
        f"      thefts {', '.join(plan.thefts)}",
        f"      about {duration(plan.seconds)} and {plan.disk / 2**20:.0f} MiB",
    ]
    if owner.independents:
        found.append(f"      {len(owner.independents)} nets of your own set its threshold, too")
    if owner.unlabelled:
        found.append(
            f"      every second copy learns from {len(load(owner.unlabelled).train)} images "
            "without labels"
        )
    if owner.source.asked:
        asked = len(dataset.train) + len(dataset.test)
        asked += len(load(owner.unlabelled).train) if owner.unlabelled else 0
        found.append(
            f"      the model is asked about {asked} images and {3 * owner.size * len(plan.radii)} "
            "candidates at most, each once"
        )
    return found
