"""How a suspect was asked: all that a verdict rests on beside fingerprint and answers, as JSON."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import json
import platform
from collections.abc import Mapping
from typing import Any

from cemfp import __version__
from cemfp.evidence.problem import EvidenceError, expect, fields_of, read_object
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.convention import Convention
from cemfp.storage.files import hash_bytes
from cemfp.suspects import Fed, Relabelled, Remembered, Resize, Resized, Suspect, layers
from cemfp.suspects.record import Record
from cemfp.suspects.resizing import METHODS
from cemfp.suspects.transforms import Transformed
from cemfp.verification import verify

FORMAT = "cemfp asking 1"
_TAKE_PART = ("numpy", "scipy", "pillow")
LARGEST_SIDE, MOST_LAYERS = 1 << 14, 100


@dataclasses.dataclass(frozen=True)
class Asking:
    """What was done to ask.

    Attributes:
        suspect: Its name, as shown to people.
        identity: Its name in the log.
        sha256: Of its file, or of the hashes of its files; "" for one that has none.
        layers: What stood in front of it, the outermost first; see `describe`.
        takes: What it says of itself: `input_shape`, `classes`, `class_names`, null where it does
            not.
        options: Arguments of `verification.verify`.
        limits: Budget, rate and the like, for people.
        log: What is in the log, see `in_log`; times are by the clock of who asked.
        versions: Of what takes part in the numbers.
    """

    suspect: str
    identity: str
    sha256: str
    layers: tuple[dict[str, Any], ...]
    takes: dict[str, Any]
    options: dict[str, Any]
    limits: dict[str, Any]
    log: dict[str, Any]
    versions: dict[str, Any] = dataclasses.field(default_factory=lambda: versions())

    def __post_init__(self) -> None:
        for name in ("suspect", "identity", "sha256"):
            text = getattr(self, name)
            expect(isinstance(text, str) and text.isprintable(), f"{name} as a text", text)
        for name in ("takes", "options", "limits", "log", "versions"):
            value = getattr(self, name)
            expect(isinstance(value, dict), f"{name} as keys", value)
        sound = isinstance(self.layers, tuple) and len(self.layers) <= MOST_LAYERS
        expect(sound, "layers", self.layers)
        fields_of(self.takes, {"input_shape", "classes", "class_names"}, "what it takes")
        fields_of(self.log, set(in_log(Record())), "what is in the log")
        _check_options(self.options)

    def to_bytes(self) -> bytes:
        """The content of `asking.json`."""
        said = {"format": FORMAT, **dataclasses.asdict(self)}
        return (json.dumps(said, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Asking:
        """Read one of unknown origin; raises `EvidenceError` on anything unexpected."""
        names = {field.name for field in dataclasses.fields(cls)}
        what = "how a suspect was asked"
        values = fields_of(read_object(content, what), {"format", *names}, what)
        expect(values.pop("format") == FORMAT, f"the format {FORMAT!r}", "another")
        expect(isinstance(values["layers"], list), "layers", values["layers"])
        return cls(**{**values, "layers": tuple(values["layers"])})


def describe(suspect: Suspect) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Write down what stands in front of a suspect, and what it says of itself.

    Args:
        suspect: With a `Remembered` around what answers.

    Raises:
        EvidenceError: Something in front of it is unknown, or nothing writes its answers down.
    """
    found: list[dict[str, Any]] = []
    for part in layers(suspect):
        if isinstance(part, Remembered):
            shape = part.input_shape
            takes = {
                "input_shape": None if shape is None else list(shape),
                "classes": part.classes,
                "class_names": list(part.class_names),
            }
            return tuple(found), takes
        found.append(_described(part))
    raise EvidenceError("expected a suspect whose answers are kept in a log. Received: another.")


def rebuild(described: tuple[dict[str, Any], ...], answers: Suspect) -> Suspect:
    """Put the same layers in front of another suspect.

    Raises:
        EvidenceError: They are none.
        ValueError: They have settings that no such layer has.
    """
    for layer in reversed(described):
        expect(isinstance(layer, dict), "a layer", layer)
        kind = layer.get("layer")
        expect(isinstance(kind, str) and kind in _REBUILD, "a layer that is known", kind)
        assert isinstance(kind, str)
        answers = _REBUILD[kind]({k: v for k, v in layer.items() if k != "layer"}, answers)
    return answers


def versions() -> dict[str, str]:
    """Versions of what takes part in the numbers."""
    found = {"cemfp": __version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in _TAKE_PART}


def hash_of_questions(fingerprint: Fingerprint) -> str:
    """SHA-256 of what is asked and what it should be answered; a calibration changes neither."""
    parts = [fingerprint.inputs, fingerprint.keys, fingerprint.controls]
    return hash_bytes(b"".join(a.tobytes() for a in parts if a is not None))


def in_log(record: Record) -> dict[str, Any]:
    """What `Asking.log` says of a log: the last hash, counts of queries, and when it was."""
    counts = {"asked": record.asked, "answered": len(record.answers)}
    return {"chain": record.chain, **counts, "began": record.began, "ended": record.ended}


def _described(part: Any) -> dict[str, Any]:
    if isinstance(part, Transformed):
        return {"layer": "through", "name": part.name, "strength": part.strength, "seed": part.seed}
    if isinstance(part, Relabelled):
        return {"layer": "relabelled", "labels": [int(label) for label in part.labels]}
    if isinstance(part, Resized):
        return {"layer": "resized", "shape": list(part.shape), "method": part.resize.method}
    if isinstance(part, Fed):
        return {"layer": "fed", **dataclasses.asdict(part.convention)}
    raise EvidenceError(f"expected a known layer. Received: {type(part).__name__}.")


def _through(values: dict[str, Any], inner: Suspect) -> Suspect:
    read = fields_of(values, {"name", "strength", "seed"}, "a transform")
    expect(isinstance(read["name"], str), "a transform", read["name"])
    numbers = isinstance(read["strength"], int | float) and isinstance(read["seed"], int)
    expect(numbers and 0 <= read["seed"] < 1 << 32, "strength and seed", read)
    return Transformed(inner, read["name"], read["strength"], seed=read["seed"])


def _relabelled(values: dict[str, Any], inner: Suspect) -> Suspect:
    labels = fields_of(values, {"labels"}, "an order of classes")["labels"]
    sound = isinstance(labels, list) and all(type(label) is int for label in labels)
    expect(sound, "an order of classes", labels)
    return Relabelled(inner, tuple(labels))


def _resized(values: dict[str, Any], inner: Suspect) -> Suspect:
    read = fields_of(values, {"shape", "method"}, "a size")
    shape, method = read["shape"], read["method"]
    sound = isinstance(shape, list) and len(shape) == 3 and method in METHODS
    sound = sound and all(type(side) is int and 0 < side <= LARGEST_SIDE for side in shape)
    expect(sound, f"a size of at most {LARGEST_SIDE} and a filter", read)
    return Resized(inner, tuple(shape), Resize((shape[0], shape[1]), method))


def _fed(values: dict[str, Any], inner: Suspect) -> Suspect:
    return Fed(inner, Convention.of(fields_of(values, {"scale", "offset", "bgr"}, "a scale")))


_REBUILD = {"through": _through, "relabelled": _relabelled, "resized": _resized, "fed": _fed}


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse arguments that `verify` has not, or that are no plain numbers, words or nothing."""
    known = inspect.signature(verify).parameters
    names = {n for n, p in known.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    unknown = sorted(options.keys() - names)
    expect(not unknown, f"options among {', '.join(sorted(names))}", ", ".join(unknown))
    for name, value in options.items():
        plain = value is None or (isinstance(value, int | float | str) and value == value)
        expect(plain, f"{name} as a number or a word", value)
