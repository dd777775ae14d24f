"""No parser of a stranger's file raises anything but its own error, whatever it is fed."""

import pytest

from benchmarks import fuzzing
from cemfp.evidence import timestamp
from cemfp.suspects.network.connection import Connection

PARSERS = (
    *("fingerprint", "query log", "commitment", "opening", "bundle", "API description"),
    "timestamp",
)


@pytest.fixture(scope="session")
def targets(authority, tmp_path_factory):
    roots = timestamp.read_roots(authority.root)
    with authority.serve() as server:
        stamped = timestamp.stamp(b"content", server.url, roots, Connection())
    folder = tmp_path_factory.mktemp("fuzzing")
    return fuzzing.targets(folder, (stamped.response(), authority.root))


def test_each_parser_is_there_and_takes_what_is_valid(targets):
    assert targets.keys() == set(PARSERS)
    assert all(target.check(target.valid) for target in targets.values())


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_raises_its_own_error_only(targets, name):
    fuzzing.run(targets[name], 40, 1)


def test_a_parser_that_fails_otherwise_or_grows_is_found(targets):
    def fails(content):
        raise KeyError(content[:1])

    target = targets["commitment"]
    broken = fuzzing.Target(fails, target.error, target.valid, target.inner)
    with pytest.raises(KeyError):
        fuzzing.run(broken, 5, 1)
    grows = fuzzing.Target(
        lambda x: bytearray(fuzzing.MOST_BYTES), target.error, target.valid, target.inner
    )
    with pytest.raises(AssertionError, match="bytes of memory"):
        fuzzing.run(grows, 5, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_for_longer(targets, name):
    # All other parsers read a part of a bundle: one costs as much as many of theirs.
    fuzzing.run(targets[name], 200 if name == "bundle" else 1_000, 2)
