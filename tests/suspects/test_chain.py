"""A log whose lines hang together: what was done to it afterwards is found, and where."""

import hashlib
import json
import resource
import signal

import numpy as np
import pytest

from cemfp.suspects import LogError, QueryLog, Remembered
from cemfp.suspects.chain import chained, unchained
from cemfp.suspects.record import ASKED, read_log

ABOUT = {"suspect": "any", "fingerprint": "ab" * 32}
IMAGES = np.arange(4 * 4, dtype=np.float32).reshape(4, 2, 2, 1) / 15


@pytest.fixture
def log(tmp_path):
    """A log of a head and eight lines: its path, and its last chain."""
    with QueryLog(tmp_path / "log", ABOUT) as log:
        Remembered(lambda images: np.arange(len(images)), log, batch=2)(IMAGES)
        return tmp_path / "log", log.chain


def test_a_chain_is_the_hash_of_the_chain_before_and_the_line():
    first, one = chained({"a": 1}, "")
    assert one == hashlib.sha256(b'{"a": 1}').hexdigest()
    assert first == f'{{"a": 1, "chain": "{one}"}}\n'.encode()
    second, two = chained({"b": "ü\n"}, one)
    assert two == hashlib.sha256(one.encode() + b'{"b": "\\u00fc\\n"}').hexdigest()
    assert unchained(first, "") == ({"a": 1}, one)
    assert unchained(second, one) == ({"b": "ü\n"}, two)
    assert unchained(second, two) is None and unchained(second, "") is None
    assert json.loads(second) == {"b": "ü\n", "chain": two}


def test_a_whole_log_is_read(log):
    path, chain = log
    head, record = read_log(path.read_bytes())
    assert head == {"format": "cemfp query log 2", **ABOUT}
    assert (record.asked, list(record.answers.values())) == (4, [0, 1, 0, 1])
    assert record.chain == chain
    with QueryLog(path, ABOUT) as again:
        assert again.chain == chain and again.answers == record.answers


def test_a_full_disk_leaves_the_log_as_it_was(log):
    """The kernel writes a part, then nothing: a limit on the size of files does the same."""
    path, chain = log
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with QueryLog(path, ABOUT) as again:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
            with pytest.raises(OSError, match="File too large"):
                again.add(ASKED, ["cd" * 32, "ef" * 32])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert path.read_bytes() == before and (again.chain, again.asked) == (chain, 4)
        again.add(ASKED, ["cd" * 32])
    with QueryLog(path, ABOUT) as third:
        assert third.asked == 5


def changed(lines, place):
    yield "changed", [*lines[:place], lines[place].replace(b"2", b"3", 1), *lines[place + 1 :]]
    yield "spaced", [*lines[:place], b" " + lines[place], *lines[place + 1 :]]
    yield "put in twice", [*lines[: place + 1], *lines[place:]]
    if place + 1 < len(lines):
        yield "taken out", [*lines[:place], *lines[place + 1 :]]
        yield "swapped", [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]


@pytest.mark.parametrize("place", range(1, 9))
def test_the_first_wrong_line_is_named(log, place):
    path, _ = log
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 9
    for what, wrong in changed(lines, place):
        number = place + 2 if what == "put in twice" else place + 1
        path.write_bytes(b"".join(wrong))
        for read in (lambda: QueryLog(path, ABOUT), lambda: read_log(path.read_bytes())):
            with pytest.raises(LogError, match=rf"line {number} is damaged, or does not follow"):
                read()
        assert path.read_bytes() == b"".join(wrong), what


def test_a_changed_head_is_found(log):
    path, _ = log
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"suspect": "any"', b'"suspect": "one"', 1))
    with pytest.raises(LogError, match="a log whose first line was changed"):
        QueryLog(path, {**ABOUT, "suspect": "one"})
    with pytest.raises(LogError, match="a log whose first line was changed"):
        read_log(path.read_bytes())
    # With a hash of its own the head passes, and what follows does not.
    head, _ = chained({"format": "cemfp query log 2", **ABOUT, "suspect": "one"}, "")
    path.write_bytes(head + whole.split(b"\n", 1)[1])
    with pytest.raises(LogError, match="line 2 is damaged, or does not follow"):
        QueryLog(path, {**ABOUT, "suspect": "one"})


def test_who_knows_the_last_hash_sees_that_the_end_was_cut_off(log):
    path, chain = log
    lines = path.read_bytes().splitlines(keepends=True)
    seen = {read_log(b"".join(lines[:count]))[1].chain for count in range(1, 9)}
    assert len(seen) == 8 and chain not in seen


def test_a_log_without_hashes_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "log"
    old = b'{"format": "cemfp query log 1", "suspect": "any"}\n'
    path.write_bytes(old)
    with pytest.raises(LogError, match=r"log 1', whose lines do not hang .* another file with"):
        QueryLog(path, ABOUT)
    assert path.read_bytes() == old


def test_a_key_that_is_there_twice_is_refused():
    content = b'{"a": 1, "a": 2}'
    chain = hashlib.sha256(content).hexdigest()
    assert unchained(content[:-1] + f', "chain": "{chain}"}}\n'.encode(), "") is None


@pytest.mark.parametrize("content", [b"", b"\n", b"[]", b"{}", b"\xff" * 100, b"[" * 100_000])
def test_what_is_no_log_is_refused(content):
    with pytest.raises(LogError, match="Received: another file"):
        read_log(content)


def test_a_line_without_its_end_is_refused_where_nothing_is_repaired(log):
    path, _ = log
    with pytest.raises(LogError, match="line 9"):
        read_log(path.read_bytes()[:-1])
