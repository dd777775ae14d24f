"""Merkle trees as RFC 6962, section 2.1, defines them, with SHA-256.

A leaf is hashed behind a zero byte, a node behind a one, so that no leaf can pass for a node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(content: bytes) -> bytes:
    """Hash of a leaf, 32 bytes."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of a node above two others, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Hash of the tree over hashes of leaves (n,), n > 0, in their order."""
    if len(leaves) == 1:
        return leaves[0]
    middle = _split(len(leaves))
    return node_hash(root(leaves[:middle]), root(leaves[middle:]))


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from a leaf to the root, from below [RFC 6962, 2.1.1].

    Args:
        leaves: Hashes of all leaves (n,).
        index: Which leaf, from 0.
    """
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        return [*path(leaves[:middle], index), root(leaves[middle:])]
    return [*path(leaves[middle:], index - middle), root(leaves[:middle])]


def root_of(leaf: bytes, index: int, count: int, beside: Sequence[bytes]) -> bytes | None:
    """The root to which a leaf and its path lead [RFC 9162, 2.1.3.2]; None if the path is none.

    Args:
        leaf: Its hash.
        index: Its place, from 0.
        count: Leaves of the tree.
        beside: As `path` returns them.
    """
    if not 0 <= index < count:
        return None
    place, last, found = index, count - 1, leaf
    for other in beside:
        if last == 0:
            return None
        if place % 2 or place == last:
            found = node_hash(other, found)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = node_hash(found, other)
        place, last = place // 2, last // 2
    return found if last == 0 else None


def _split(count: int) -> int:
    """The largest power of two below a count of at least 2."""
    return 1 << (count - 1).bit_length() - 1
