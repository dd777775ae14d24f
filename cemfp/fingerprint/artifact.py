"""The fingerprint: inputs, the key they should be answered with, and where both came from."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np

from cemfp.fingerprint import archive, fields
from cemfp.fingerprint.archive import FingerprintError
from cemfp.fingerprint.calibration import Calibration, checked_hits
from cemfp.fingerprint.fields import expect, is_count, is_number
from cemfp.fingerprint.rule import RuleRecord
from cemfp.models.convention import Convention
from cemfp.storage.store import write_atomic

__all__ = ["Calibration", "Fingerprint", "FingerprintError"]

# Arrays and fields that a file may lack do not change it: without them its bytes are as before,
# and a program that does not know them refuses them by name.
SCHEMA_VERSION = 3
FORMAT = "cemfp fingerprint"
# Types that each array may have in the file; 8-bit images are stored as such.
_ARRAY_TYPES = {
    "inputs": ("uint8", "float32"),
    "keys": ("int64",),
    "originals": ("uint8", "float32"),
    "true_labels": ("int64",),
    "conferrability": ("float32",),
    "controls": ("uint8", "float32"),
    "control_labels": ("int64",),
    "control_truth": ("int64",),
    "surrogate_hits": ("uint8",),
    "reference_hits": ("uint8",),
}
_IMAGES = ("inputs", "originals", "controls")
# ImageNet's largest release has 21,841; a larger number would only make readers work.
MAX_CLASSES = 100_000


@dataclasses.dataclass(frozen=True, eq=False)
class Fingerprint:
    """Inputs and the key: on each input, a copy of the source should answer the key's label.

    Arrays are copied, checked and made read-only.

    Attributes:
        inputs: Images to ask (n, h, w, c), float32 in [0, 1], or beyond in the domain `signed`.
        keys: Label the source answers on each input (n,), int64.
        classes: Number of classes.
        method: Name of the method that made it.
        parameters: The method's settings, JSON-able; for methods that choose a number format, the
            one that was chosen.
        source_sha256: Hash of the source's weights, 64 hexadecimal digits.
        data: Provenance of the starting images, JSON-able.
        epsilon: L-inf radius on the [0, 1] pixel scale, for methods with one.
        eight_bit: Every input value is k/255, so that an 8-bit image carries it unchanged.
        domain: `image`, or `signed`: inputs of any sign and size, which no image file can carry.
        originals: Starting images, shape of `inputs`, for methods that start from images.
        true_labels: Ground truth of the starting images (n,), int64.
        conferrability: Confer score on the defender's models (n,), float32 in [0, 1].
        controls: Ordinary images (m, h, w, c), float32 in [0, 1], never perturbed, which show
            whether a suspect was asked what it understands; see `verification.asked`.
        control_labels: The source's labels of them (m,), int64.
        control_truth: Their ground truth (m,), int64, where it is known.
        source_input: How the source wants its images, the fields of a `Convention`.
        shortfall: Class -> number of inputs it is short of its share.
        calibration: Scores and threshold of known models, once there are any.
        surrogate_hits: Whether each calibration surrogate answered the key of each input (K, n),
            uint8, 0 or 1; None in files of earlier versions.
        reference_hits: The same of each calibration reference (L, n).
        schema_version: Version of the file's layout.
        class_names: Names of the classes in their order; empty where nobody said them.
        rule: What drew starting images, target labels and seed, if that was a committed secret.

    Raises:
        FingerprintError: A field does not hold what is said above.
    """

    inputs: np.ndarray
    keys: np.ndarray
    classes: int
    method: str
    parameters: dict[str, Any]
    source_sha256: str
    data: dict[str, Any]
    epsilon: float | None = None
    eight_bit: bool = True
    domain: str = "image"
    originals: np.ndarray | None = None
    true_labels: np.ndarray | None = None
    conferrability: np.ndarray | None = None
    controls: np.ndarray | None = None
    control_labels: np.ndarray | None = None
    control_truth: np.ndarray | None = None
    source_input: dict[str, Any] = dataclasses.field(default_factory=dict)
    shortfall: dict[int, int] = dataclasses.field(default_factory=dict)
    calibration: Calibration | None = None
    surrogate_hits: np.ndarray | None = None
    reference_hits: np.ndarray | None = None
    schema_version: int = SCHEMA_VERSION
    class_names: tuple[str, ...] = ()
    rule: RuleRecord | None = None

    def __post_init__(self) -> None:
        self._check_plain_fields()
        for name in ("parameters", "data", "source_input"):
            # Through JSON now, so that a loaded fingerprint equals the saved one.
            object.__setattr__(self, name, fields.plain_json(name, getattr(self, name)))
        inputs = fields.images("inputs", self.inputs, signed=self.domain == "signed")
        self._set("inputs", fields.to_grid(inputs) if self.eight_bit else inputs)
        self._set("keys", fields.labels("keys", self.keys, len(self), self.classes))
        if self.originals is not None:
            originals, shape = fields.images("originals", self.originals), self.inputs.shape
            expect(originals.shape == shape, f"originals of shape {shape}", originals.shape)
            self._set("originals", originals)
        if self.true_labels is not None:
            truth = fields.labels("true_labels", self.true_labels, len(self), self.classes)
            self._set("true_labels", truth)
        if self.conferrability is not None:
            scores = fields.shares("conferrability", self.conferrability, len(self))
            self._set("conferrability", scores)
        self._check_controls()
        if self.calibration is not None:
            queries = self.calibration.queries
            expect(queries == len(self), f"a calibration with {len(self)} queries", queries)
        given = {"surrogate_hits": self.surrogate_hits, "reference_hits": self.reference_hits}
        for name, hits in checked_hits(self.calibration, given, len(self)).items():
            self._set(name, hits)
        if self.rule is not None:
            places = len(self.rule.places)
            expect(places == len(self), f"a rule with {len(self)} places", places)

    def __len__(self) -> int:
        """Number of inputs, n."""
        return len(self.inputs)

    def save(self, path: Path | str) -> None:
        """Write to one file, atomically: a reader sees the old file or the whole new one."""
        write_atomic(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: Path | str) -> Fingerprint:
        """Read a file of unknown origin; every error names the file in one line.

        Raises:
            FingerprintError: The file is missing, damaged, or not a valid fingerprint.
        """
        try:
            with Path(path).open("rb") as file:
                # One byte more than allowed is enough to know that it is too much.
                content = file.read(archive.MAX_FILE_BYTES + 1)
        except OSError as error:
            raise FingerprintError(f"{path}: cannot be read: {error.strerror}.") from error
        try:
            return cls.from_bytes(content)
        except FingerprintError as error:
            raise FingerprintError(f"{path}: {error}") from error

    def to_bytes(self) -> bytes:
        """The file's content; equal fingerprints give equal bytes."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        arrays = {n: a for n in _ARRAY_TYPES if (a := values.pop(n)) is not None}
        for name in _IMAGES:
            if name in arrays and fields.on_grid(arrays[name]):
                arrays[name] = fields.to_levels(arrays[name])
        values["shortfall"] = {str(k): v for k, v in sorted(self.shortfall.items())}
        values["calibration"] = self.calibration and dataclasses.asdict(self.calibration)
        values["rule"] = self.rule and dataclasses.asdict(self.rule)
        for name in ("class_names", "rule"):
            if not values[name]:  # as before there were any
                del values[name]
        return archive.pack({"format": FORMAT, **values}, arrays)

    @classmethod
    def from_bytes(cls, content: bytes) -> Fingerprint:
        """Rebuild from a file's content; raises `FingerprintError` on anything unexpected."""
        manifest, arrays = archive.unpack(content)
        _check_manifest(manifest)
        _check_arrays(arrays)
        manifest.pop("format")
        for name in _IMAGES:
            if name in arrays and arrays[name].dtype == np.uint8:
                arrays[name] = fields.from_levels(arrays[name])
        manifest["shortfall"] = {_class(key): n for key, n in manifest["shortfall"].items()}
        if manifest["calibration"] is not None:
            manifest["calibration"] = Calibration.from_dict(manifest["calibration"])
        if manifest["rule"] is not None:
            manifest["rule"] = RuleRecord.from_dict(manifest["rule"])
        values: dict[str, Any] = {**manifest, **arrays}
        return cls(**values)

    def _set(self, name: str, array: np.ndarray) -> None:
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    def _check_controls(self) -> None:
        labels = self.control_labels
        both = (self.controls is None) == (labels is None)
        expect(both, "controls together with control_labels", "one without the other")
        if self.controls is None or labels is None:
            expect(self.control_truth is None, "control_truth with controls only", "no controls")
            return
        controls, shape = fields.images("controls", self.controls), self.inputs.shape[1:]
        expect(controls.shape[1:] == shape, f"controls of shape {shape}", controls.shape[1:])
        self._set("controls", controls)
        for name, values in (("control_labels", labels), ("control_truth", self.control_truth)):
            if values is not None:
                self._set(name, fields.labels(name, values, len(controls), self.classes))

    @property
    def convention(self) -> Convention:
        """How the source wants its images: what to try first with a copy of it."""
        return Convention.of(self.source_input)

    def _check_plain_fields(self) -> None:
        version = self.schema_version
        expect(version == SCHEMA_VERSION, f"schema version {SCHEMA_VERSION}", version)
        sound = is_count(self.classes) and 2 <= self.classes <= MAX_CLASSES
        expect(sound, f"2 to {MAX_CLASSES} classes", self.classes)
        names = fields.class_names(self.class_names, self.classes)
        object.__setattr__(self, "class_names", names)
        # Printed to terminals: nothing that one obeys.
        sound = (
            isinstance(self.method, str) and re.fullmatch("[ -~]{1,64}", self.method) is not None
        )
        expect(sound, "a method's name of up to 64 plain characters", self.method)
        try:
            Convention.of(self.source_input)
        except (AttributeError, TypeError, ValueError):
            expect(False, "source_input with scale, offset and bgr", self.source_input)
        expect(isinstance(self.eight_bit, bool), "eight_bit true or false", self.eight_bit)
        expect(self.domain in ("image", "signed"), "domain image or signed", self.domain)
        plain = self.domain == "image" or not self.eight_bit
        expect(plain, "no 8-bit inputs in the domain signed", self.eight_bit)
        expect(
            isinstance(self.source_sha256, str)
            and re.fullmatch("[0-9a-f]{64}", self.source_sha256) is not None,
            "source_sha256 of 64 hexadecimal digits",
            self.source_sha256,
        )
        expect(
            self.epsilon is None or (is_number(self.epsilon) and 0 <= self.epsilon <= 1),
            "epsilon in [0, 1] or none",
            self.epsilon,
        )
        expect(
            isinstance(self.shortfall, dict)
            and all(
                isinstance(label, int) and 0 <= label < self.classes and is_count(missing)
                for label, missing in self.shortfall.items()
            ),
            "shortfall: class -> positive count",
            self.shortfall,
        )
        expect(
            self.calibration is None or isinstance(self.calibration, Calibration),
            "a Calibration or none",
            type(self.calibration).__name__,
        )
        sound = self.rule is None or isinstance(self.rule, RuleRecord)
        expect(sound, "a RuleRecord or none", type(self.rule).__name__)


def _check_manifest(manifest: dict[str, Any]) -> None:
    found = manifest.get("format")
    expect(found == FORMAT, f"a file of format {FORMAT!r}", found)
    manifest.setdefault("class_names", [])
    manifest.setdefault("rule", None)
    version = manifest.get("schema_version")
    if version == 1:  # before there were domains
        manifest["domain"] = "image"
    if version in (1, 2):  # before there were control images
        version = SCHEMA_VERSION
        manifest |= {"schema_version": version, "source_input": {}}
    expect(version == SCHEMA_VERSION, f"schema version {SCHEMA_VERSION}", version)
    names = {field.name for field in dataclasses.fields(Fingerprint)} - _ARRAY_TYPES.keys()
    missing = sorted((names | {"format"}) ^ manifest.keys())
    expect(not missing, "exactly the manifest's fields", missing)
    expect(isinstance(manifest["shortfall"], dict), "shortfall by class", manifest["shortfall"])


def _check_arrays(arrays: dict[str, np.ndarray]) -> None:
    needed_and_known = {"inputs", "keys"} <= arrays.keys() <= _ARRAY_TYPES.keys()
    expect(needed_and_known, f"arrays out of {', '.join(_ARRAY_TYPES)}", sorted(arrays))
    for name, array in arrays.items():
        types = _ARRAY_TYPES[name]
        expect(array.dtype.name in types, f"{name} of type {' or '.join(types)}", array.dtype.name)


def _class(key: str) -> int:
    expect(re.fullmatch("[0-9]{1,9}", key) is not None, "a class number", key)
    return int(key)
