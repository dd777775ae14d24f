"""The report of a bundle: facts that follow from its parts, and what the reporting person adds."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping
from typing import Any

from cemfp import __version__
from cemfp.evidence import bundle as names
from cemfp.evidence.alternatives import alternatives
from cemfp.evidence.asking import Asking
from cemfp.evidence.commitment import Commitment
from cemfp.evidence.problem import EvidenceError, expect, fields_of, read_object
from cemfp.fingerprint.artifact import Calibration, Fingerprint
from cemfp.numerics import metrics

FORMAT = "cemfp report 1"
MOST_TEXTS = 1_000
CLAIMS = {
    "match": "By its answers the suspect is derived from the source: they are those that copies of "
    "the source give, and that models trained without it do not.",
    "no match": "By its answers the suspect is not derived from the source.",
    "inconclusive": "It was not found out whether the suspect is derived from the source.",
}
UNSUPPORTED = (
    "The suspect gives the key's answers more often than a threshold that was given, not measured. "
    "Without a calibration nothing says that models trained without the source do not."
)
SCOPE = (
    "Derived from: trained on the source's answers, or made from its weights. Not: stolen. Who did "
    "it, how, when and whether they were allowed to is no question of numbers.",
    "The answers are those in the log. That the suspect gave them is said by who asked; whoever "
    "doubts it asks again.",
    "The rates are those of the models that were tried, see below; a model of another kind may "
    "answer otherwise.",
)


@dataclasses.dataclass(frozen=True)
class Given:
    """What a person adds to the facts.

    Attributes:
        made: When the report was made.
        bundle: Name of the bundle's file.
        case: What it is about.
        parties: (role, name) each.
        limits: What the fingerprint is known to survive and not to survive, a line each.
        models: What is known of source and references, see `provenance.of_classifier`.
        started: Whether the references began from the source's pre-trained weights.
        version: Of this package.
    """

    made: str
    bundle: str
    case: str = ""
    parties: tuple[tuple[str, str], ...] = ()
    limits: tuple[str, ...] = ()
    models: tuple[dict[str, Any], ...] = ()
    started: bool | None = None
    version: str = __version__

    def __post_init__(self) -> None:
        texts = [self.made, self.bundle, self.case, self.version, *self.limits]
        texts += [text for party in self.parties for text in party]
        sound = len(texts) <= MOST_TEXTS and all(isinstance(text, str) for text in texts)
        expect(sound, "texts in what was added to a report", "something else")
        expect(self.started in (True, False, None), "started true, false or null", self.started)

    @classmethod
    def from_dict(cls, values: Any) -> Given:
        """Rebuild from the JSON of `dataclasses.asdict`."""
        known = {field.name for field in dataclasses.fields(cls)}
        read = dict(fields_of(values, known, "what was added to a report"))
        for name in ("parties", "limits", "models"):
            expect(isinstance(read[name], list), f"{name} as a list", read[name])
        for party in read["parties"]:
            expect(isinstance(party, list) and len(party) == 2, "a role and a name", party)
        read["parties"] = tuple(map(tuple, read["parties"]))
        return cls(**{**read, "limits": tuple(read["limits"]), "models": tuple(read["models"])})


def given(bundle: str, **added: Any) -> Given:
    """What a person adds now."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Given(now, bundle, **added)


def facts(parts: Mapping[str, bytes], added: Given) -> dict[str, Any]:
    """Return the report, JSON-able: all of it follows from a bundle's parts and what was added.

    Raises:
        EvidenceError, FingerprintError: A part is damaged.
    """
    fingerprint = Fingerprint.from_bytes(parts[names.FINGERPRINT])
    asking = Asking.from_bytes(parts[names.ASKING])
    verdict = read_object(parts[names.VERDICT], "a verdict")
    decision = verdict.get("decision")
    expect(isinstance(decision, str) and decision in CLAIMS, "a decision", decision)
    assert isinstance(decision, str)
    record = fingerprint.calibration
    content = parts.get(names.COMMITMENT)
    return {
        "format": FORMAT,
        "given": json.loads(json.dumps(dataclasses.asdict(added))),
        "claim": UNSUPPORTED if decision == "match" and record is None else CLAIMS[decision],
        "scope": list(SCOPE),
        "suspect": {
            "name": asking.suspect,
            "sha256": asking.sha256,
            "changes": list(asking.layers),
            "takes": asking.takes,
            "limits": asking.limits,
            "log": asking.log,
        },
        "fingerprint": {
            "inputs": len(fingerprint),
            "method": fingerprint.method,
            "parameters": fingerprint.parameters,
            "epsilon": fingerprint.epsilon,
            "data": fingerprint.data,
            "source_sha256": fingerprint.source_sha256,
        },
        "verdict": verdict,
        "calibration": None if record is None else json.loads(json.dumps(vars(record))),
        "rates": None if record is None else rates(record),
        "alternatives": _alternatives(fingerprint, added),
        "commitment": None if content is None else _commitment(Commitment.from_bytes(content)),
        "recheck": f"cemfp recheck {added.bundle}",
    }


def rates(record: Calibration) -> dict[str, Any]:
    """How often the threshold was wrong on the calibration models, which also set it.

    Bounds are one-sided, 95 %, exact [Clopper and Pearson 1934]; over models, not over queries.
    """
    accused = sum(score >= record.threshold for score in record.reference_scores)
    missed = sum(score < record.threshold for score in record.surrogate_scores)
    found = {}
    for name, wrong, scores in (
        ("accused", accused, record.reference_scores),
        ("missed", missed, record.surrogate_scores),
    ):
        bound = metrics.clopper_pearson(wrong, len(scores), 0.9).high
        found[name] = {"models": len(scores), "wrong": wrong, "bound": bound}
    return found


def to_bytes(report: Mapping[str, Any]) -> bytes:
    """The content of `report.json`."""
    return (json.dumps(report, indent=2) + "\n").encode()


def _alternatives(fingerprint: Fingerprint, added: Given) -> list[dict[str, str]]:
    try:
        return alternatives(fingerprint, added.models, added.started)
    except (AttributeError, KeyError, TypeError):
        raise EvidenceError("expected what is known of models. Received: something else.") from None


def _commitment(made: Commitment) -> dict[str, Any]:
    signed, stamped = made.signature, made.timestamp
    return {
        "root": made.root,
        "parts": dict(made.parts),
        "made": made.made,
        "public_key": None if signed is None else signed.public_key,
        "authority": None if stamped is None else stamped.authority,
        "time": None if stamped is None else stamped.says(),
    }
