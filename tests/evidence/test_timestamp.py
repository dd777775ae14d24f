"""Timestamps of a real server, and those that do not hold."""

import datetime

import pytest

from cemfp.evidence import timestamp
from cemfp.evidence.problem import EvidenceError
from cemfp.suspects import SuspectError
from cemfp.suspects.network.connection import Connection
from tests.evidence.authority import Authority
from tests.suspects.servers import Reply, serve

CONTENT = b"a commitment"


@pytest.fixture
def roots(authority):
    return timestamp.read_roots(authority.root)


@pytest.fixture
def stamped(authority, roots):
    with authority.serve() as server:
        return timestamp.stamp(CONTENT, f"{server.url}/tsr?key=x", roots, Connection())


def test_the_time_is_the_authoritys(authority, roots, monkeypatch):
    moment = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    moment -= datetime.timedelta(hours=5)
    monkeypatch.setattr(authority, "time", moment)
    with authority.serve() as server:
        made = timestamp.stamp(CONTENT, f"{server.url}/tsr", roots, Connection())
    assert made.check(CONTENT, roots) == moment
    # Only a hash went out.
    assert CONTENT not in server.questions[0]


def test_no_key_of_an_address_is_kept(stamped):
    assert stamped.authority.endswith("/tsr")


def test_it_is_of_this_content_alone(stamped, roots):
    with pytest.raises(EvidenceError, match="does not hold: 'Mismatch between messages"):
        stamped.check(CONTENT + b".", roots)


def test_another_root_does_not_vouch_for_it(stamped):
    with pytest.raises(EvidenceError, match="does not hold: 'Error while verifying"):
        stamped.check(CONTENT, timestamp.read_roots(Authority().root))


def test_a_changed_answer_does_not_hold(stamped, roots):
    answer = bytearray(stamped.response())
    where = answer.index(b"Z", answer.index(b"\x18\x0f"))  # the end of its time, YYYYMMDDhhmmssZ
    answer[where - 1] ^= 1
    with pytest.raises(EvidenceError, match="does not hold"):
        timestamp.check_response(bytes(answer), CONTENT, roots)


def test_answers_of_a_former_question_are_refused(authority, stamped, roots):
    def replays(*_):
        raise Reply(200, stamped.response(), {"Content-Type": timestamp.REPLY})

    with serve(replays) as server, pytest.raises(EvidenceError, match="Nonce mismatch"):
        timestamp.stamp(CONTENT, server.url, roots, Connection())


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>Welcome</html>", "does not hold"),
        (200, b"", "does not hold"),
        # SEQUENCE { SEQUENCE { INTEGER 2 } }: rejection, without a token.
        (200, bytes.fromhex("30053003020102"), "stamps nothing"),
        (200, b"\x30" * (timestamp.MOST_BYTES + 1), "at most 65536 bytes"),
    ],
)
def test_what_is_no_timestamp_is_refused(roots, status, body, words):
    def answers(*_):
        raise Reply(status, body, {"Content-Type": timestamp.REPLY})

    with serve(answers) as server, pytest.raises(EvidenceError, match=words):
        timestamp.stamp(CONTENT, server.url, roots, Connection())


def test_a_server_that_says_no_is_named(roots):
    def refuses(*_):
        raise Reply(403, b"no", {})

    with serve(refuses) as server, pytest.raises(SuspectError, match=f"{server.url}: .* 403"):
        timestamp.stamp(CONTENT, server.url, roots, Connection())


def test_roots_are_certificates():
    with pytest.raises(EvidenceError, match="certificates in a PEM file"):
        timestamp.read_roots(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(EvidenceError, match="certificates in a PEM file"):
        timestamp.read_roots(b"")
