"""The jobs of the study of mixed architectures [Lukas21, App. A.2]: models, thieves, answers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cemfp.data import load
from cemfp.engine.jobs import Job, Progress
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import ROWS, MakeCandidates, MakeFingerprint
from cemfp.jobs.remove import JudgeRemoval, RemoveFingerprint, load_fingerprint
from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import FIRST_SEED, REFERENCE_OFFSET, Group, owned, surrogate
from cemfp.models.roles import Role
from cemfp.removal import REMOVALS
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments.jobs.characteristic import AskModels
from experiments.jobs.imagenet32_setting import Setting

MODIFICATIONS = ("ftll", "ftal", "rtll", "rtal")
EXTRACTIONS = ("jagielski", "papernot")


def source(setting: Setting) -> TrainNet:
    """Return the model to protect, of the first architecture."""
    first = setting.kinds[0].net
    return _truth(setting, first, setting.source_recipe, Role.SOURCE, FIRST_SEED[Role.SOURCE])


def defender(setting: Setting) -> Group:
    """Return the defender's surrogates and references, architecture by architecture."""
    seed, role = FIRST_SEED[Role.DEFENDER], Role.DEFENDER
    copies = [kind for kind in setting.kinds for _ in range(kind.surrogates)]
    others = [kind for kind in setting.kinds for _ in range(kind.references)]
    surrogates = (
        surrogate(source(setting), kind.net, kind.surrogate_recipe, role, seed + number)
        for number, kind in enumerate(copies)
    )
    references = (
        _truth(setting, kind.net, kind.recipe, role, seed + REFERENCE_OFFSET + number)
        for number, kind in enumerate(others)
    )
    return Group(tuple(surrogates), tuple(references))


def unseen_references(setting: Setting, repeat: int) -> tuple[TrainNet, ...]:
    """Return one evaluation reference of each architecture; each repeat has seeds of its own."""
    first = FIRST_SEED[Role.EVALUATION] + REFERENCE_OFFSET + repeat * len(setting.kinds)
    return tuple(
        _truth(setting, kind.net, kind.recipe, Role.EVALUATION, first + number)
        for number, kind in enumerate(setting.kinds)
    )


def thieves(setting: Setting, repeat: int) -> dict[str, RemoveFingerprint]:
    """Return each attack of [Lukas21, Table 3] by the name that the paper's values use."""
    return {
        name: dataclasses.replace(job, seed=job.seed + repeat)
        for name, job in _first_thieves(setting)
    }


def fingerprint(setting: Setting) -> MakeFingerprint:
    """Return the one fingerprint that all models are asked."""
    candidates = MakeCandidates(
        setting.cem, setting.data, source(setting), defender(setting), setting.candidates
    )
    return MakeFingerprint(candidates, size=setting.size)


def imagenet32_jobs(setting: Setting) -> dict[str, Job]:
    """Return the jobs by name in rows: the fingerprint, and everybody's answers to it.

    First repeats come first: a stopped study has a row for every attack.
    """
    asked = (("cem", fingerprint(setting)),)
    found: dict[str, Job] = {
        "cem": DescribeFingerprint(asked[0][1]),
        "source": AskModels((("source", source(setting)),), asked),
    }
    for repeat in range(setting.repeats):
        for name, job in thieves(setting, repeat).items():
            found[f"{name} | {repeat}"] = JudgeRemoval(job, asked)
        models = unseen_references(setting, repeat)
        groups = tuple((model.net.name, model) for model in models)
        found[f"references | {repeat}"] = AskModels(groups, asked)
    return found


@dataclasses.dataclass(frozen=True)
class DescribeFingerprint(Job):
    """Say what a fingerprint is: its facts, the classes of its data, the defender's models.

    Attributes:
        fingerprint: The fingerprint.
    """

    kind: ClassVar[str] = "facts"
    heavy: ClassVar[bool] = False

    fingerprint: MakeFingerprint

    def label(self) -> str:
        """Short name for people."""
        return f"describe {self.fingerprint.label()}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write `rows.json`; without a fingerprint the only entry is `missing`."""
        del progress  # a matter of a second
        made = load_fingerprint(store, self.fingerprint)
        row = {"missing": "no candidate passed the filters"}
        if made is not None:
            row = _describe(made, self.fingerprint.candidates)
        write_atomic(out / ROWS, json.dumps(row, indent=1).encode())


def _describe(made: Fingerprint, origin: MakeCandidates) -> dict[str, Any]:
    counts = np.bincount(made.keys, minlength=made.classes)
    group = origin.defender
    return {
        "fingerprint": {
            "method": made.method,
            "epsilon": made.epsilon,
            "inputs": len(made),
            "parameters": made.parameters,
            "data": made.data,
            "keys_per_class": counts.tolist(),
            "shortfall": {str(label): count for label, count in made.shortfall.items()},
        },
        "classes": list(load(origin.data).classes),
        "defender": {
            "surrogates": _count(group.surrogates),
            "references": _count(group.references),
        },
    }


def _count(models: tuple[TrainNet, ...]) -> dict[str, int]:
    names = [model.net.name for model in models]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def _truth(setting: Setting, net: Net, recipe: Recipe, role: Role, seed: int) -> TrainNet:
    return owned(setting.data, net, recipe, role, seed, setting.owner_images)


def _first_thieves(setting: Setting) -> Iterator[tuple[str, RemoveFingerprint]]:
    own = setting.kinds[0]
    for name in MODIFICATIONS:
        yield name, _thief(setting, name, own.net, setting.tuning)
    for kind in setting.kinds:
        yield (
            f"retrain_{kind.net.name}",
            _thief(setting, "retrain", kind.net, kind.surrogate_recipe),
        )
    for name in EXTRACTIONS:
        yield name, _thief(setting, name, own.net, own.surrogate_recipe)
    if setting.other:
        yield "knockoff", _thief(setting, "knockoff", own.net, setting.knockoff, setting.other)


def _thief(
    setting: Setting, attack: str, net: Net, recipe: Recipe, transfer_set: str = ""
) -> RemoveFingerprint:
    return RemoveFingerprint(
        attack=REMOVALS[attack](),
        victim=source(setting),
        data=setting.data,
        recipe=recipe,
        seed=FIRST_SEED[Role.ATTACKER],
        net=net,
        transfer_set=transfer_set,
    )
