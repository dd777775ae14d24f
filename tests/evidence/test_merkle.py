"""Trees against values worked by hand, and against every way of forging a path."""

import hashlib

import pytest

from cemfp.evidence import merkle


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def test_a_tree_of_three_leaves_is_the_one_of_rfc_6962():
    # Split below three is at two: H(1 | H(1 | a | b) | c), with x = H(0 | content).
    a, b, c = (merkle.leaf_hash(x) for x in (b"a", b"b", b"c"))
    assert a == sha(b"\x00a")
    ab = sha(b"\x01", a, b)
    assert merkle.root([a, b, c]) == sha(b"\x01", ab, c)
    assert merkle.path([a, b, c], 0) == [b, c]
    assert merkle.path([a, b, c], 2) == [ab]


def test_roots_are_those_of_the_test_vectors_of_certificate_transparency():
    # google/certificate-transparency, merkletree tests: the leaves and the root of all eight.
    leaves = [
        *("", "00", "10", "2021", "3031", "40414243"),
        *("5051525354555657", "606162636465666768696a6b6c6d6e6f"),
    ]
    hashes = [merkle.leaf_hash(bytes.fromhex(text)) for text in leaves]
    assert merkle.root(hashes).hex() == (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    )


@pytest.mark.parametrize("count", range(1, 20))
def test_each_path_leads_to_the_root_and_no_other_does(count):
    leaves = [merkle.leaf_hash(bytes([i])) for i in range(count)]
    root = merkle.root(leaves)
    for index, leaf in enumerate(leaves):
        path = merkle.path(leaves, index)
        assert merkle.root_of(leaf, index, count, path) == root
        others = {merkle.root_of(leaf, place, count, path) for place in range(count + 2)} - {None}
        assert (root in others) and len(others) <= count
        wrong = [place for place in range(count) if place != index]
        assert all(merkle.root_of(leaf, place, count, path) != root for place in wrong)
        assert merkle.root_of(leaf, index, count, [*path, leaf]) != root
        assert not path or merkle.root_of(leaf, index, count, path[:-1]) != root
        assert merkle.root_of(merkle.leaf_hash(b"other"), index, count, path) != root


def test_places_outside_the_tree_lead_nowhere():
    leaf = merkle.leaf_hash(b"")
    assert merkle.root_of(leaf, 1, 1, []) is None
    assert merkle.root_of(leaf, -1, 1, []) is None
