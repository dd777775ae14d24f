"""A commitment: published, it fixes a fingerprint before a suspect is known, and discloses nothing.

It is the root of a Merkle tree over salted leaves, see `leaves`. Whoever gets a leaf with its salt
and its path sees that it was committed to; the other leaves stay hidden.
"""

from __future__ import annotations

import dataclasses
import datetime
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from cemfp import __version__
from cemfp.evidence import merkle
from cemfp.evidence.leaves import BEFORE_INPUTS, leaves_of
from cemfp.evidence.problem import (
    EvidenceError,
    expect,
    fields_of,
    hexadecimal,
    is_index,
    read_object,
)
from cemfp.evidence.signing import Signature
from cemfp.evidence.timestamp import Timestamp
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.storage.files import canonical_json

FORMAT, SALTS_FORMAT = "cemfp commitment 1", "cemfp salts 1"
PUBLIC, RESERVE = "public", "reserve"
MOST_INPUTS = 1 << 20
_HASH_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Commitment:
    """What is published.

    Attributes:
        root: Of the tree, 64 hexadecimal digits.
        parts: Name of each fingerprint in it -> number of its inputs, in their order.
        made: When, by the owner's own clock.
        version: Of this package.
        signature: Of `body`, if there is one.
        timestamp: Of `signed`, if there is one.

    Raises:
        EvidenceError: A field does not hold what is said here.
    """

    root: str
    parts: Mapping[str, int]
    made: str
    version: str
    signature: Signature | None = None
    timestamp: Timestamp | None = None

    def __post_init__(self) -> None:
        hexadecimal(self.root, "a root", _HASH_BYTES)
        parts = self.parts
        expect(isinstance(parts, dict) and set(parts) <= {PUBLIC, RESERVE}, "parts", parts)
        sound = PUBLIC in parts and all(is_index(n, MOST_INPUTS) and n for n in parts.values())
        expect(sound, "the number of inputs of each part", parts)
        for text in (self.made, self.version):
            sound = isinstance(text, str) and text.isprintable() and len(text) <= 100
            expect(sound, "a date and a version", text)
        expect(_is_date(self.made), "a date with its time zone", self.made)

    @property
    def body(self) -> bytes:
        """What is signed."""
        said = {"format": FORMAT, "root": self.root, "parts": list(self.parts.items())}
        return canonical_json({**said, "made": self.made, "version": self.version}).encode()

    @property
    def signed(self) -> bytes:
        """What is stamped: the body with its signature."""
        value = "" if self.signature is None else canonical_json(vars(self.signature))
        return self.body + value.encode()

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return sum(len(BEFORE_INPUTS) + count for count in self.parts.values())

    def first(self, part: str) -> int:
        """Place of a part's first leaf."""
        expect(part in self.parts, f"a part among {', '.join(self.parts)}", part)
        return 0 if part == PUBLIC else len(BEFORE_INPUTS) + self.parts[PUBLIC]

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    def to_bytes(self) -> bytes:
        """The file's content."""
        return (json.dumps(self.to_dict(), indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Commitment:
        """Read a file of unknown origin; raises `EvidenceError` on anything unexpected."""
        return cls.from_dict(read_object(content, "a commitment"))

    @classmethod
    def from_dict(cls, values: Any) -> Commitment:
        """Rebuild from `to_dict`; raises `EvidenceError` on anything unexpected."""
        names = {field.name for field in dataclasses.fields(cls)}
        read = dict(fields_of(values, {"format", *names}, "a commitment"))
        expect(read.pop("format") == FORMAT, f"the format {FORMAT!r}", values["format"])
        for name, rebuild in (
            ("signature", Signature.from_dict),
            ("timestamp", Timestamp.from_dict),
        ):
            if read[name] is not None:
                read[name] = rebuild(read[name])
        return cls(**read)


@dataclasses.dataclass(frozen=True)
class Salts:
    """What the owner keeps to himself until he opens a leaf.

    Attributes:
        seed: Of all salts, 64 hexadecimal digits.
        hashes: Of all leaves, so that paths can be made without the other parts.
    """

    seed: str
    hashes: tuple[str, ...]

    def __post_init__(self) -> None:
        hexadecimal(self.seed, "a seed", _HASH_BYTES)
        expect(
            isinstance(self.hashes, tuple) and len(self.hashes) > 0, "hashes of leaves", self.hashes
        )
        for text in self.hashes:
            hexadecimal(text, "the hash of a leaf", _HASH_BYTES)

    def salt(self, index: int) -> str:
        """The salt of a leaf: HMAC-SHA256 of its place, 64 hexadecimal digits."""
        return hmac.digest(bytes.fromhex(self.seed), index.to_bytes(8, "big"), "sha256").hex()

    def path(self, index: int) -> list[str]:
        """The path of a leaf, see `merkle.path`."""
        return [x.hex() for x in merkle.path([bytes.fromhex(h) for h in self.hashes], index)]

    def to_bytes(self) -> bytes:
        """The file's content."""
        said = {"format": SALTS_FORMAT, "seed": self.seed, "hashes": self.hashes}
        return (json.dumps(said, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Salts:
        """Read a file; raises `EvidenceError` on anything unexpected."""
        read = read_object(content, "the salts of a commitment")
        fields_of(read, {"format", "seed", "hashes"}, "the salts of a commitment")
        expect(read["format"] == SALTS_FORMAT, f"the format {SALTS_FORMAT!r}", read["format"])
        expect(isinstance(read["hashes"], list), "hashes of leaves", read["hashes"])
        return cls(read["seed"], tuple(read["hashes"]))


def commit(parts: Mapping[str, Fingerprint], seed: str | None = None) -> tuple[Commitment, Salts]:
    """Commit to a fingerprint, or to a public part and a reserve.

    Args:
        parts: `PUBLIC`, and `RESERVE` if there is one.
        seed: Of the salts, 64 hexadecimal digits; drawn if it is left out.

    Returns:
        The commitment, neither signed nor stamped, and what to keep secret.
    """
    ordered = {name: parts[name] for name in (PUBLIC, RESERVE) if name in parts}
    leaves = [leaf for part in ordered.values() for leaf in leaves_of(part)]
    salts = Salts(seed or secrets.token_hex(_HASH_BYTES), ("00" * _HASH_BYTES,))
    hashes = [salted(leaf, salts.salt(index)) for index, leaf in enumerate(leaves)]
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    counts = {name: len(part) for name, part in ordered.items()}
    root = merkle.root(hashes).hex()
    return (
        Commitment(root, counts, made, __version__),
        Salts(salts.seed, tuple(x.hex() for x in hashes)),
    )


def salted(leaf: str, salt: str) -> bytes:
    """Hash of a leaf behind its salt, which has a fixed size."""
    return merkle.leaf_hash(hexadecimal(salt, "a salt", _HASH_BYTES) + leaf.encode())


def places(part: str, commitment: Commitment, inputs: Iterable[int] | None = None) -> list[int]:
    """Places of a part's leaves in the tree.

    Args:
        part: Which.
        commitment: Says where it begins.
        inputs: Only these inputs; None for all of the part.
    """
    first, count = commitment.first(part), commitment.parts[part]
    start = first + len(BEFORE_INPUTS)
    if inputs is None:
        return list(range(first, start + count))
    wanted = sorted(set(inputs))
    if any(not is_index(i, count) for i in wanted):
        raise EvidenceError(f"expected inputs from 0 to {count - 1}. Received: {wanted}.")
    return [start + index for index in wanted]


def _is_date(text: str) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
