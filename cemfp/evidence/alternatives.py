"""Why else might a suspect answer like a copy? Which reasons the references test, and which not.

A reference that shares something with the source, and does not answer the key, speaks against that
as the reason. What no known reference shares was not tested, and is called so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cemfp.fingerprint.artifact import Fingerprint

TESTED, NOT_TESTED = "tested", "not tested"
Model = Mapping[str, Any]


def alternatives(
    fingerprint: Fingerprint, models: Sequence[Model], started: bool | None
) -> list[dict[str, str]]:
    """Return each reason with whether the calibration references tested it, and how many.

    Args:
        fingerprint: With a calibration, whose references are counted; none are without.
        models: What `provenance.of_classifier` says of some of them, and of the source.
        started: Whether the references began from the source's pre-trained weights; None: unknown.
    """
    record = fingerprint.calibration
    hashes = () if record is None else record.reference_sha256
    known = {one["weights_sha256"]: one for one in models}
    references = [known[digest] for digest in hashes if digest in known]
    source = known.get(fingerprint.source_sha256)

    def row(reason: str, shares: Callable[[Model], bool], shared: str) -> dict[str, str]:
        count = sum(map(shares, references))
        unknown = len(hashes) - len(references)
        text = f"{count} of {len(hashes)} references {shared}"
        if unknown:
            text += f"; of {unknown} it is not known"
        return {"reason": reason, "status": TESTED if count else NOT_TESTED, "text": text}

    began = {"reason": "the same pre-trained start", "status": NOT_TESTED}
    began["text"] = "it is not known what the references began from"
    if started is not None:
        began["text"] = "the references began from fresh weights"
    if started:
        began |= {"status": TESTED, "text": "the references began from the same public weights"}
    return [
        row("the same data", lambda x: _same_data(x, fingerprint.data), "learned the same data"),
        began,
        row(
            "the same architecture",
            lambda x: source is not None and _net(x) == _net(source),
            "have the source's architecture",
        ),
        row(
            "the same wrong labels",
            lambda x: source is not None and _taught(x) == _taught(source),
            "learned the labels that the source learned, with their mistakes",
        ),
    ]


def _same_data(model: Model, data: Mapping[str, Any]) -> bool:
    own = model["data"]
    known = isinstance(own, dict) and isinstance(own.get("sha256"), str)
    return known and own["sha256"] == data.get("sha256")


def _net(model: Model) -> Any:
    return model["net"], model["arguments"]


def _taught(model: Model) -> Any:
    own = model["data"] if isinstance(model["data"], dict) else {}
    return own.get("sha256"), model["labels"], model["images"]
