"""An opening: leaves of a commitment with all that shows that they were committed to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from cemfp.evidence import merkle
from cemfp.evidence.commitment import PUBLIC, Commitment, Salts, places, salted
from cemfp.evidence.leaves import BEFORE_INPUTS, leaves_of
from cemfp.evidence.problem import (
    EvidenceError,
    expect,
    fields_of,
    hexadecimal,
    is_index,
    read_object,
)
from cemfp.fingerprint.artifact import Fingerprint

FORMAT = "cemfp opening 1"
_DEEPEST = 32


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One leaf.

    Attributes:
        index: Its place in the tree.
        salt: 64 hexadecimal digits.
        text: What it says, canonical JSON; see `leaves`.
        path: Hashes beside its way to the root, from below.
    """

    index: int
    salt: str
    text: str
    path: tuple[str, ...]

    def __post_init__(self) -> None:
        expect(is_index(self.index), "the place of a leaf", self.index)
        expect(isinstance(self.text, str), "the text of a leaf", self.text)
        hexadecimal(self.salt, "a salt", 32)
        expect(isinstance(self.path, tuple) and len(self.path) <= _DEEPEST, "a path", self.path)
        for text in self.path:
            hexadecimal(text, "a hash of a path", 32)

    def root(self, count: int) -> str | None:
        """Where it leads in a tree of `count` leaves."""
        beside = [bytes.fromhex(text) for text in self.path]
        try:
            leaf = salted(self.text, self.salt)
        except UnicodeEncodeError:  # JSON may hold half of a surrogate pair
            return None
        found = merkle.root_of(leaf, self.index, count, beside)
        return None if found is None else found.hex()


@dataclasses.dataclass(frozen=True)
class Opening:
    """Leaves of one part, with the commitment.

    Attributes:
        commitment: As published.
        part: Which part they are of.
        leaves: In the order of the tree.
    """

    commitment: Commitment
    part: str
    leaves: tuple[Leaf, ...]

    def to_bytes(self) -> bytes:
        """The file's content."""
        leaves = [dataclasses.asdict(leaf) for leaf in self.leaves]
        head = {"format": FORMAT, "commitment": self.commitment.to_dict(), "part": self.part}
        said = {**head, "leaves": leaves}
        return (json.dumps(said, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Opening:
        """Read a file of unknown origin; raises `EvidenceError` on anything unexpected."""
        names = {"format", "commitment", "part", "leaves"}
        read = fields_of(read_object(content, "an opening"), names, "an opening")
        expect(read["format"] == FORMAT, f"the format {FORMAT!r}", read["format"])
        commitment = Commitment.from_dict(read["commitment"])
        expect(read["part"] in list(commitment.parts), "a part of the commitment", read["part"])
        expect(isinstance(read["leaves"], list), "leaves", read["leaves"])
        return cls(commitment, read["part"], tuple(map(_leaf, read["leaves"])))

    def check(self) -> None:
        """Raise `EvidenceError` naming the first leaf that was not committed to."""
        count = self.commitment.leaves
        for leaf in self.leaves:
            if leaf.root(count) != self.commitment.root:
                raise EvidenceError(f"{self.name(leaf)} was not committed to.")

    def name(self, leaf: Leaf) -> str:
        """What a leaf is, by its place: the statement, input 3."""
        place = leaf.index - self.commitment.first(self.part)
        if 0 <= place < len(BEFORE_INPUTS):
            return f"the {BEFORE_INPUTS[place]}"
        return f"input {place - len(BEFORE_INPUTS)}"

    def compare(self, fingerprint: Fingerprint) -> list[str]:
        """Return the names of a fingerprint's leaves that are not opened here, or are different."""
        first, opened = self.commitment.first(self.part), {x.index: x.text for x in self.leaves}
        count = self.commitment.parts[self.part]
        if len(fingerprint) != count:
            return [f"the number of inputs, {len(fingerprint)} instead of {count}"]
        own = enumerate(leaves_of(fingerprint), start=first)
        return [
            self.name(Leaf(place, "00" * 32, text, ()))
            for place, text in own
            if opened.get(place) != text
        ]


def open_leaves(
    commitment: Commitment,
    salts: Salts,
    fingerprint: Fingerprint,
    *,
    part: str = PUBLIC,
    inputs: Iterable[int] | None = None,
) -> Opening:
    """Open a part, or some inputs of it.

    Args:
        commitment: Which.
        salts: Of it.
        fingerprint: The part.
        part: Its name.
        inputs: Which; None for all leaves of the part.

    Raises:
        EvidenceError: The salts or the fingerprint are not the commitment's.
    """
    count = commitment.leaves
    expect(len(salts.hashes) == count, f"salts of {count} leaves", len(salts.hashes))
    texts, first = leaves_of(fingerprint), commitment.first(part)
    own = commitment.parts[part] == len(fingerprint)
    expect(own, f"a fingerprint of {commitment.parts[part]} inputs", len(fingerprint))
    leaves = [
        Leaf(place, salts.salt(place), texts[place - first], tuple(salts.path(place)))
        for place in places(part, commitment, inputs)
    ]
    opening = Opening(commitment, part, tuple(leaves))
    opening.check()
    return opening


def _leaf(read: object) -> Leaf:
    values: dict[str, Any] = dict(fields_of(read, {"index", "salt", "text", "path"}, "a leaf"))
    expect(isinstance(values["path"], list), "a path", values["path"])
    return Leaf(**{**values, "path": tuple(values["path"])})
