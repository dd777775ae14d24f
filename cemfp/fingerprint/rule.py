"""Starting images, target labels and seeds that follow from a committed secret.

Who makes a fingerprint by a rule publishes the hash of a secret first, and has nothing left to
choose: which images it starts from, which labels the source shall answer and which random numbers
are drawn follow from HMAC-SHA256 [RFC 2104] of the secret, over a statement and a number. With the
secret anyone draws them again; a key that suits an innocent model cannot be had by choosing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import hmac
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cemfp.fingerprint.archive import FingerprintError
from cemfp.fingerprint.fields import expect, is_count

VERSION = "cemfp rule 1"
# Fewer bytes could be guessed from their hash, which is public.
SECRET_BYTES = (16, 4096)
MAX_STATEMENT = 500
MAX_CANDIDATES = 1_000_000


@dataclasses.dataclass(frozen=True)
class Rule:
    """What draws: a secret, and the public statement that it is bound to.

    Attributes:
        secret: 16 to 4096 bytes that nobody can guess.
        statement: One line for everybody: whose model, which version, when.
        targets: How many labels of an image's ranking count as its key. Of 1 the label is fixed
            before anything is computed; of more the method takes the one that confers best.

    Raises:
        FingerprintError: One of them is not what is said here.
    """

    secret: bytes = dataclasses.field(repr=False)
    statement: str
    targets: int = 3

    def __post_init__(self) -> None:
        least, most = SECRET_BYTES
        sound = least <= len(self.secret) <= most
        expect(sound, f"a secret of {least} to {most} bytes", f"{len(self.secret)} bytes")
        _check_statement(self.statement)
        expect(is_count(self.targets), "one target label or more", self.targets)

    @property
    def secret_sha256(self) -> str:
        """What is published of the secret: what `sha256sum` says of its file."""
        return hashlib.sha256(self.secret).hexdigest()

    def seed(self) -> int:
        """Return the seed of everything else that is random."""
        return int.from_bytes(self._draw("seed")[:4], "big") >> 1

    def images(self, count: int) -> np.ndarray:
        """Return the numbers of `count` images in the rule's order (count,): its candidates."""
        return np.array(self._first(count, range(count), "image"), np.int64)

    def labels(self, image: int, truth: int, classes: int) -> np.ndarray:
        """Return the first `targets` labels of an image's ranking (k,), its true one left out."""
        others = (label for label in range(classes) if label != truth)
        return np.array(self._first(self.targets, others, "label", image), np.int64)

    def _first(self, count: int, numbers: Any, purpose: str, *about: int) -> list[int]:
        """Return the `count` numbers with the smallest draws, smallest first."""
        return heapq.nsmallest(count, numbers, key=lambda n: self._draw(purpose, *about, n))

    def _draw(self, purpose: str, *numbers: int) -> bytes:
        # JSON tells ["image", 1, 23] from ["image", 12, 3], as mere concatenation does not.
        message = json.dumps([VERSION, self.statement, purpose, *numbers])
        return hmac.digest(self.secret, message.encode(), "sha256")


@dataclasses.dataclass(frozen=True)
class RuleRecord:
    """What a fingerprint says of the rule it was made by; with the secret, all of it is checked.

    Attributes:
        statement: See `Rule`.
        secret_sha256: Hash of the secret.
        targets: See `Rule`; 0 for a method from noise, whose seed decides everything.
        tried: Candidates that the method worked on, the first of the rule's order.
        places: Place of each input's candidate in the rule's order, increasing.
        images: Number of its image in the data set's test split; empty for noise.
        record_sha256: Hash of the fingerprint file with all candidates that were tried; empty in
            that file itself.
    """

    statement: str
    secret_sha256: str
    targets: int
    tried: int
    places: tuple[int, ...]
    images: tuple[int, ...] = ()
    record_sha256: str = ""

    def __post_init__(self) -> None:
        _check_statement(self.statement)
        _check_hash("secret_sha256", self.secret_sha256)
        if self.record_sha256:
            _check_hash("record_sha256", self.record_sha256)
        expect(self.targets == 0 or is_count(self.targets), "targets of 0 or more", self.targets)
        sound = is_count(self.tried) and self.tried <= MAX_CANDIDATES
        expect(sound, f"1 to {MAX_CANDIDATES} candidates tried", self.tried)
        for name in ("places", "images"):
            numbers = getattr(self, name)
            sound = isinstance(numbers, tuple) and all(n == 0 or is_count(n) for n in numbers)
            expect(sound, f"{name}: whole numbers", numbers)
        increasing = all(a < b for a, b in zip(self.places, self.places[1:], strict=False))
        expect(increasing, "places in the rule's order", self.places)
        needed = len(self.places) if self.targets else 0
        sound = len(self.images) == len(set(self.images)) == needed
        expect(sound, f"{needed} images, each once", len(self.images))
        sound = bool(self.targets) or max(self.places, default=0) < self.tried
        expect(sound, f"places below {self.tried}", self.places)

    def of(self, chosen: Sequence[int]) -> RuleRecord:
        """Return what is to be said of some of the inputs, in increasing order."""
        places, images = (
            tuple(numbers[i] for i in chosen) if numbers else ()
            for numbers in (self.places, self.images)
        )
        return dataclasses.replace(self, places=places, images=images)

    @classmethod
    def from_dict(cls, values: Any) -> RuleRecord:
        """Rebuild from `dataclasses.asdict` or its JSON, lists becoming tuples."""
        names = {field.name for field in dataclasses.fields(cls)}
        sound = isinstance(values, dict) and values.keys() == names
        expect(sound, f"rule fields {', '.join(sorted(names))}", values)
        tuples: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**tuples)


def read_secret(path: Path) -> bytes:
    """Return the bytes of a secret's file as they are.

    Raises:
        FingerprintError: It cannot be read, or holds too few or too many.
    """
    least, most = SECRET_BYTES
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise FingerprintError(f"{path}: cannot be read: {error.strerror}.") from error
    sound = least <= len(content) <= most
    expect(sound, f"a secret of {least} to {most} bytes in {path}", f"{len(content)} or more")
    return content


def _check_statement(text: Any) -> None:
    # Printed to terminals: nothing that one obeys.
    sound = isinstance(text, str) and 0 < len(text) <= MAX_STATEMENT and text.isprintable()
    expect(sound, f"a statement of up to {MAX_STATEMENT} printable characters in one line", text)


def _check_hash(name: str, value: Any) -> None:
    sound = isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
    expect(sound, f"{name} of 64 hexadecimal digits", value)
