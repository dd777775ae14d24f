"""What of a fingerprint a commitment covers: a few lines of JSON for each thing one may disclose.

    statement     every plain field that is not empty: method, data, epsilon, the source's hash...
    calibration   the known models' answers and the threshold
    controls      the ordinary images and the answers to them
    input i       the image, its key, and what else belongs to it

Each array stands for itself with its SHA-256; that of an image is the one in a query log.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.storage.files import canonical_json, hash_bytes

STATEMENT, CALIBRATION, CONTROLS = "statement", "calibration", "controls"
BEFORE_INPUTS = (STATEMENT, CALIBRATION, CONTROLS)
# Arrays with one entry for each input.
OF_AN_INPUT = ("inputs", "keys", "originals", "true_labels", "conferrability")


def leaves_of(fingerprint: Fingerprint) -> list[str]:
    """Return the leaves: those of `BEFORE_INPUTS`, then one for each input; canonical JSON."""
    arrays = {
        field.name: value
        for field in dataclasses.fields(fingerprint)
        if (value := getattr(fingerprint, field.name)) is not None and _holds_arrays(field)
    }
    record = fingerprint.calibration
    calibration = {} if record is None else _said(record)
    inputs = {name: arrays.pop(name) for name in OF_AN_INPUT if name in arrays}
    controls = {name: arrays.pop(name) for name in list(arrays) if name.startswith("control")}
    statement = _said(fingerprint)
    statement.pop("calibration", None)
    before = (
        {STATEMENT: {**statement, "inputs": len(fingerprint)}},
        # Whatever else has an array is about known models' answers.
        {CALIBRATION: calibration | {name: _array(array) for name, array in arrays.items()}},
        {CONTROLS: {name: _array(array) for name, array in controls.items()}},
    )
    each = [_input(inputs, index) for index in range(len(fingerprint))]
    return [canonical_json(leaf) for leaf in (*before, *each)]


def _said(record: Any) -> dict[str, Any]:
    """Fields of a dataclass that hold no arrays and something else than their default.

    So a field that a later version adds changes no leaf as long as nothing is in it.
    """
    found = {}
    for field in dataclasses.fields(record):
        value, default = getattr(record, field.name), field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if not _holds_arrays(field) and (default is dataclasses.MISSING or value != default):
            found[field.name] = _said(value) if dataclasses.is_dataclass(value) else value
    return found


def _holds_arrays(field: dataclasses.Field[Any]) -> bool:
    return "ndarray" in str(field.type)


def _input(arrays: dict[str, np.ndarray], index: int) -> dict[str, Any]:
    of_one = {name: array[index] for name, array in arrays.items()}
    said = {name: _array(x) if x.ndim else x.item() for name, x in of_one.items()}
    return {"input": index, "image": said.pop("inputs"), "key": said.pop("keys"), **said}


def _array(array: np.ndarray) -> str | list[Any]:
    """SHA-256 of an image's float32 numbers; of any other array its type and shape, too."""
    plain = np.ascontiguousarray(array)
    digest = hash_bytes(plain.tobytes())
    if plain.dtype == np.float32 and plain.ndim == 3:
        return digest
    return [plain.dtype.name, list(plain.shape), digest]
