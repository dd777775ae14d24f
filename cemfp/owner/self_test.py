"""The self-test: steal the model as a thief would, judge every copy, and some independent nets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from cemfp.engine.jobs import Job
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.remove import RemoveFingerprint
from cemfp.jobs.train import TrainNet
from cemfp.models.roles import Origin
from cemfp.owner.jobs import Protection, shown
from cemfp.removal import SUMMARY
from cemfp.storage.files import read_json
from cemfp.storage.store import Store
from cemfp.suspects import Suspect, open_suspect
from cemfp.verification import Decision, Verdict, verify

# Accuracy that a theft may cost; beyond, the copy is not worth stealing [Lukas21, Sec. 5].
MARGIN = 0.0375
STOLEN, INDEPENDENT, ITSELF = "stolen copy", "independent", "the source itself"
WORDS = {
    "ftal": "fine-tuned, all layers",
    "prune": "pruned and fine-tuned",
    "quantize": "weights at 8 bits",
    "retrain": "extracted: another net learned its probabilities",
    "black-box": "extracted: a net learned its labels",
    "label-smoothing": "extracted: a net learned its smoothed labels",
    "advtrain": "extracted with adversarial training",
}


@dataclasses.dataclass(frozen=True)
class Judged:
    """A suspect whose truth is known, and the verdict.

    Attributes:
        name: What was done, in words.
        truth: `STOLEN`, `INDEPENDENT` or `ITSELF`.
        accuracy: Its test accuracy.
        useful: Whether it is accurate enough to be worth stealing.
        verdict: What the fingerprint says.
    """

    name: str
    truth: str
    accuracy: float
    useful: bool
    verdict: Verdict

    @property
    def right(self) -> bool:
        """Whether the verdict is the truth."""
        wanted = Decision.NO_MATCH if self.truth == INDEPENDENT else Decision.MATCH
        return self.verdict.decision is wanted

    def to_dict(self) -> dict[str, Any]:
        """One JSON-able row."""
        fields = {"suspect": self.name, "is": self.truth, "test_accuracy": self.accuracy}
        return {**fields, "useful": self.useful, **self.verdict.to_dict()}


def judge_all(
    fingerprint: Fingerprint,
    protection: Protection,
    source: Any,
    source_accuracy: float,
    store: Store,
) -> list[Judged]:
    """Judge the source, what each theft left, and the nets that nobody used before.

    Args:
        fingerprint: With its threshold.
        protection: Whose jobs are done.
        source: The model itself.
        source_accuracy: Its test accuracy.
        store: Where the jobs' results are.
    """
    least = source_accuracy - MARGIN
    own = verify(fingerprint, source.predict_labels)
    judged = [Judged("the model itself", ITSELF, source_accuracy, True, own)]
    for name, job in protection.thefts.items():
        accuracy = read_json(store.get(job.key()) / SUMMARY)["test_accuracy"]
        verdict = verify(fingerprint, _open(job, fingerprint, store))
        words = WORDS.get(name, name) + _whose(job)
        judged.append(Judged(words, STOLEN, accuracy, accuracy >= least, verdict))
    return judged + [judge_net(fingerprint, net, least, store) for net in protection.unseen]


def judge_net(fingerprint: Fingerprint, net: TrainNet, least: float, store: Store) -> Judged:
    """Judge a net that was trained for it: a copy, or an independent one.

    Args:
        fingerprint: With its threshold.
        net: Whose training is done.
        least: Test accuracy from which a copy is worth stealing.
        store: Where the net is.
    """
    truth = INDEPENDENT if net.origin is Origin.REFERENCE else STOLEN
    model = _open(net, fingerprint, store)
    accuracy = model.config.training["test_accuracy"]  # type: ignore[attr-defined]
    words = "independent net" if truth == INDEPENDENT else "a copy"
    name = f"{words} ({shown(net.net)}), seed {net.seed}"
    return Judged(name, truth, accuracy, accuracy >= least, verify(fingerprint, model))


def _whose(job: RemoveFingerprint) -> str:
    return "" if job.attack.like_victim else f" ({shown(job.net)})"


def _open(job: Job, fingerprint: Fingerprint, store: Store) -> Suspect:
    shape = fingerprint.inputs.shape[1:]
    directory = str(store.get(job.key()))
    return open_suspect(directory, input_shape=shape, classes=fingerprint.classes)


def table(judged: Sequence[Judged]) -> list[str]:
    """Return the lines of a plain-text table of the verdicts."""
    width = max(len(one.name) for one in judged) + 2
    lines = [f"    {'suspect':{width}}{'what it is':18}{'accuracy':>9}{'key':>6}  verdict"]
    for one in judged:
        share = one.verdict.cae_accuracy
        key = "-" if share is None else f"{share:.0%}"
        lines.append(
            f"    {one.name:{width}}{one.truth:18}{one.accuracy:9.1%}{key:>6}  "
            f"{one.verdict.decision}"
        )
    return lines


def conclusion(judged: Sequence[Judged]) -> list[str]:
    """Say in plain lines what the fingerprint survives, what not, and whom it accuses."""
    stolen = [one for one in judged if one.truth == STOLEN]
    independents = [one for one in judged if one.truth == INDEPENDENT]
    caught = [one.name for one in stolen if one.right]
    escaped = [one.name for one in stolen if not one.right and one.useful]
    spoilt = [one.name for one in stolen if not one.right and not one.useful]
    accused = [one.name for one in independents if one.verdict.decision is Decision.MATCH]
    unclear = sum(one.verdict.decision is Decision.INCONCLUSIVE for one in independents)
    lines = [f"Survives: {'; '.join(caught) or 'none of the thefts that were tried'}."]
    nothing = "no theft that was tried and left an accurate copy"
    lines.append(f"Does not survive: {'; '.join(escaped) or nothing}.")
    if spoilt:
        points = 100 * MARGIN
        lines.append(
            f"Not recognised, but more than {points:g} points less accurate than the model: "
            f"{'; '.join(spoilt)}."
        )
    lines.append(
        f"Independent nets accused: {len(accused)} of {len(independents)}"
        + (f" ({'; '.join(accused)})" if accused else "")
        + (f", {unclear} inconclusive" if unclear else "")
        + "."
    )
    return lines
