"""The verdict once more, from the answers in a log: nobody is asked, and every number compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cemfp.evidence.asking import Asking, rebuild
from cemfp.evidence.problem import EvidenceError, expect
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.suspects import OutOfBudget, Suspect, SuspectError, layers
from cemfp.suspects.record import Record
from cemfp.suspects.remembered import digest, together
from cemfp.verification import Verdict, verify

BATCH = 512  # images at once, as `verify` has them
SAME = 1e-9  # relative; other versions of a library may round otherwise


class Logged:
    """A suspect that answers what a log says it answered; a suspect itself.

    Attributes:
        record: The log.
        input_shape, classes, class_names: What the suspect said of itself.
    """

    def __init__(self, record: Record, takes: dict[str, Any]) -> None:
        shape, classes, names = (takes[n] for n in ("input_shape", "classes", "class_names"))
        sound = shape is None or (isinstance(shape, list) and all(map(_is_side, shape)))
        expect(sound, "an input's shape", shape)
        expect(classes is None or type(classes) is int, "a number of classes", classes)
        sound = isinstance(names, list) and all(isinstance(name, str) for name in names)
        expect(sound, "names of classes", names)
        self.record, self.classes, self.class_names = record, classes, tuple(names)
        self.input_shape = None if shape is None else tuple(shape)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the answers on images (n, h, w, c), float32.

        Raises:
            OutOfBudget: One was never asked.
            SuspectError: One was asked, and not answered.
        """
        digests = [digest(image) for image in images]
        for key in digests:
            if key not in self.record.answers:
                if key in self.record.refused:
                    raise SuspectError(f"the log has no answer to the input {key[:16]}.")
                raise OutOfBudget(f"the log has no question about the input {key[:16]}")
        return together([self.record.answers[key] for key in digests])


def reopen(asking: Asking, record: Record) -> Suspect:
    """Return the suspect of a log, with the same layers in front of it.

    Raises:
        EvidenceError: They cannot be put there.
    """
    return rebuild(asking.layers, Logged(record, asking.takes))


def replay(fingerprint: Fingerprint, asking: Asking, record: Record) -> Verdict:
    """Judge the answers of a log again.

    Raises:
        EvidenceError: No verdict follows from them.
    """
    try:
        suspect = reopen(asking, record)
        _check_size(suspect, fingerprint, asking.options.get("batch_size", BATCH))
        return verify(fingerprint, suspect, **asking.options)
    except EvidenceError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, MemoryError) as error:
        text = " ".join(str(error).split())[:200]
        raise EvidenceError(f"no verdict follows from the log: {text}") from error


def differences(stated: Any, found: Any, where: str = "") -> Iterator[str]:
    """Say where two JSON values differ, a line each; numbers may by `SAME` of their size."""
    if isinstance(stated, dict) and isinstance(found, dict):
        for key in sorted(stated.keys() | found.keys()):
            below = f"{where}.{key}" if where else key
            if key not in stated or key not in found:
                yield f"{below}: {'not stated' if key in found else 'stated, but nowhere found'}"
            else:
                yield from differences(stated[key], found[key], below)
    elif isinstance(stated, list) and isinstance(found, list) and len(stated) == len(found):
        for place, pair in enumerate(zip(stated, found, strict=True)):
            yield from differences(*pair, f"{where}[{place}]")
    elif not _same(stated, found):
        yield f"{where}: {_short(stated)} is stated, {_short(found)} follows"


def _same(stated: Any, found: Any) -> bool:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (stated, found))
    if numbers and isinstance(found, float):
        try:
            return math.isclose(stated, found, rel_tol=SAME, abs_tol=1e-12)
        except OverflowError:
            return False
    return type(stated) is type(found) and stated == found


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _is_side(value: Any) -> bool:
    return value is None or type(value) is int


def _check_size(suspect: Suspect, fingerprint: Fingerprint, batch: Any) -> None:
    """Refuse layers that would make images, `batch` at once, so large that they fill the memory."""
    expect(type(batch) is int and batch > 0, "images at once, a number", batch)
    sizes = [np.prod(part.shape, dtype=float) for part in layers(suspect) if hasattr(part, "shape")]
    shown = [x for x in (fingerprint.inputs, fingerprint.controls) if x is not None]
    images = min(batch, max(len(x) for x in shown))
    expect(4 * images * max(sizes, default=0) <= 1 << 31, "images of at most 2 GiB", sizes)
