"""The jobs that make a fingerprint and judge it on models that nobody used to make it."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cemfp.data import Dataset, Split, load
from cemfp.engine.jobs import Job, Progress
from cemfp.fingerprint.by_rule import Drawn, choose_by_rule, draw
from cemfp.fingerprint.candidates import Candidates
from cemfp.fingerprint.cem import CEM
from cemfp.fingerprint.characteristic import Characteristic
from cemfp.fingerprint.from_attack import FromAttack
from cemfp.fingerprint.generate import (
    FingerprintFailure,
    assemble,
    choose_starts,
    make_candidates,
)
from cemfp.fingerprint.ipguard import IPGuard
from cemfp.fingerprint.misclassified import Misclassified
from cemfp.fingerprint.models import Models
from cemfp.fingerprint.rule import Rule
from cemfp.fingerprint.sensitive import SensitiveSamples
from cemfp.jobs.cost import INPUT_GRADIENT, forward_flops
from cemfp.jobs.source import OwnSource, load_source
from cemfp.jobs.train import AnySource, TrainNet
from cemfp.jobs.zoo import Group
from cemfp.models.classifier import Classifier
from cemfp.storage.files import write_atomic
from cemfp.storage.store import Store
from cemfp.suspects.source import AskedSource

CANDIDATES, FINGERPRINT, ROWS = "candidates.npz", "fingerprint.cemfp", "rows.json"
RECORD = "record.cemfp"
NOTHING = "nothing.json"
# What a file of candidates holds besides, if a rule drew them.
_DRAWN = ("places", "images", "targets")


@dataclasses.dataclass(frozen=True)
class OpenRule:
    """A rule whose secret everybody may know: what draws the candidates of an experiment.

    Attributes:
        secret, statement, targets: See `Rule`.
    """

    secret: str
    statement: str
    targets: int

    @property
    def rule(self) -> Rule:
        """The rule."""
        return Rule(self.secret.encode(), self.statement, self.targets)


@dataclasses.dataclass(frozen=True)
class MakeCandidates(Job):
    """Perturb starting images: the costly part of a fingerprint, before any filter.

    Attributes:
        method: How; one of `METHODS` with its hyper-parameters.
        data: Name of the data set whose test images are the starting images; empty for noise.
        source: The model to protect.
        defender: Surrogates and references of the role `defender`.
        count: Images to start from.
        quantize: Round to 8 bits.
        seed: Decides starting images and the method's random choices.
        rule: What decides all that instead, and the labels, too.
    """

    kind: ClassVar[str] = "candidates"
    heavy: ClassVar[bool] = False

    method: CEM | Characteristic | FromAttack | IPGuard | Misclassified | SensitiveSamples
    data: str
    source: AnySource
    defender: Group
    count: int
    quantize: bool = True
    seed: int = 0
    rule: OpenRule | None = dataclasses.field(default=None, metadata={"omit_default": True})

    def label(self) -> str:
        """Short name for people."""
        if isinstance(self.method, Characteristic):
            return f"candidates {self.method.label()} seed {self.seed}"
        named = f", first {self.rule.targets} labels of a rule" if self.rule else ""
        return f"candidates {self.method.name} epsilon {self.method.epsilon}{named}"

    def flops(self) -> float:
        """Return the floating-point operations of the methods that take long; 0 for others."""
        method = self.method
        if isinstance(method, CEM):
            per_step = self._flops([self.source]) if method.follows_source else 0.0
            for group in filter(None, (self.defender.surrogates, self.defender.references)):
                per_step += self._flops(group) / len(group) * method.per_step(len(group))
            gradients = method.steps
        elif isinstance(method, Characteristic) and isinstance(self.source, TrainNet):
            per_step, gradients = self._flops([self.source]), method.steps * method.draws
        else:
            return 0.0
        return INPUT_GRADIENT * per_step * float(self.count) * gradients

    def _flops(self, models: Sequence[AnySource]) -> float:
        """Of one image through each of `models`; a net that is only asked costs nothing here."""
        data = self.data or self.source.data
        nets = [model.net for model in models if not isinstance(model, OwnSource)]
        return sum(forward_flops(net, data) for net in nets)

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write the candidates as arrays."""
        # Every method is judged on the defender's ensemble; only those that need it learn from it.
        source, surrogates, references = (
            load_classifiers(store, jobs)
            for jobs in ([self.source], self.defender.surrogates, self.defender.references)
        )
        models = Models(source[0], surrogates, references)
        dataset = load(self.data) if self.data else None
        drawn = self._drawn(models, dataset)
        made = make_candidates(
            self.method,
            models,
            drawn.split,
            quantize=self.quantize,
            seed=self.seed if self.rule is None else self.rule.rule.seed(),
            progress=lambda done, total, text: _tell(progress, done, total, text),
            targets=drawn.targets if self.rule else None,
        )
        # Without a defender's ensemble there are no scores.
        known = {name: array for name, array in made._asdict().items() if array is not None}
        by_rule = {name: getattr(drawn, name) for name in _DRAWN if self.rule}
        np.savez(out / CANDIDATES, **known, **by_rule)

    def _drawn(self, models: Models, dataset: Dataset | None) -> Drawn:
        """Draw the candidates, by the rule or by the seed."""
        if self.rule is not None:
            return draw(self.rule.rule, self.method, models.source, dataset, self.count)
        split = choose_starts(self.method, models.source, dataset, self.count, seed=self.seed)
        nothing = np.array([], np.int64)
        return Drawn(nothing, nothing, split, nothing)


@dataclasses.dataclass(frozen=True)
class MakeFingerprint(Job):
    """Filter and balance candidates into a fingerprint.

    Attributes:
        candidates: Where the inputs come from.
        size: Inputs wanted.
        threshold: Least conferrability on the defender's models, tau.
        balance: Whether target classes take turns.
    """

    kind: ClassVar[str] = "fingerprint"
    heavy: ClassVar[bool] = False

    candidates: MakeCandidates
    size: int
    threshold: float = 0.95
    balance: bool = True

    def label(self) -> str:
        """Short name for people."""
        return f"fingerprint {self.candidates.method.name} tau {self.threshold}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Choose the inputs and save the fingerprint; `nothing.json` says why there is none."""
        origin = self.candidates
        with np.load(store.get(origin.key()) / CANDIDATES, allow_pickle=False) as arrays:
            made = Candidates(**{name: arrays.get(name) for name in Candidates._fields})
            drawn = None
            if origin.rule is not None:
                split = Split(made.starts, made.truth)
                drawn = Drawn(split=split, **{name: arrays[name] for name in _DRAWN})
        if made.precision is not None:
            made = made._replace(precision=str(made.precision))
        if not origin.method.ensemble:
            made = made._replace(confer=None)
        source = load_classifiers(store, [origin.source])[0]
        dataset = load(origin.data) if origin.data else None
        about = (origin.method, source, dataset)
        wanted: dict[str, Any] = {"size": self.size, "threshold": self.threshold}
        wanted["quantize"] = origin.quantize
        try:
            if drawn is not None and origin.rule is not None:
                found = choose_by_rule(made, drawn, *about, origin.rule.rule, **wanted)
                found.record.save(out / RECORD)
                return found.fingerprint.save(out / FINGERPRINT)
            settings = wanted | {"balance": self.balance, "seed": origin.seed}
            fingerprint, shortfall = assemble(made, *about, **settings)
        except FingerprintFailure as failure:
            # A form of a method that finds nothing is a result, and belongs into the table.
            write_atomic(out / NOTHING, json.dumps({"missing": str(failure)}).encode())
            return None
        progress(str(shortfall))
        return fingerprint.save(out / FINGERPRINT)


def read_rows(store: Store, job: Job) -> dict[str, Any]:
    """Return what `job` computed."""
    return json.loads((store.get(job.key()) / ROWS).read_bytes())


def load_classifiers(store: Store, jobs: Sequence[Job]) -> list[Any]:
    """Return the classifiers that `jobs` trained; of a source that only answers, the asked one."""
    return [_load(store.get(job.key())) for job in jobs]


@functools.lru_cache(maxsize=64)
def _load(directory: Path) -> Classifier | AskedSource:
    """Load a net once for all jobs of a process: building and tracing it takes half a second."""
    return load_source(directory)


def _tell(progress: Progress, done: int, total: int, text: str) -> None:
    progress(f"step {done}/{total}, {text}")
