"""Servers that mean no good: each ends in one clear line, in time, with bounded memory."""

import gzip
import itertools
import json
import threading
import time
import tracemalloc

import numpy as np
import pytest

from cemfp.suspects import (
    Connection,
    NoAnswer,
    Pace,
    QueryLog,
    Remembered,
    SuspectError,
    answer_labels,
    open_suspect,
)
from tests.suspects.servers import JSON, Raw, Reply, TensorFlowServing, serve
from tests.suspects.test_tf_serving import EXPECTED, FITTING, IMAGES, scores

PLAIN = TensorFlowServing(scores, metadata=False)


def ask(app, *, timeout=5.0, retries=0, images=IMAGES, pauses=None):
    """Labels of a server whose app answers what is posted; or the line that it ends in."""

    def posted(method, path, headers, body):
        if method == "GET":
            raise Reply(404, {"error": "no metadata"})
        app(method, path, headers, body)

    pace = Pace(retries=retries, sleep=(pauses if pauses is not None else []).append)
    with serve(posted) as server:
        connection = Connection(timeout=timeout, pace=pace)
        suspect = open_suspect(
            f"{server.url}/v1/models/m", **FITTING, connection=connection,
            around=lambda made: Remembered(made, None, pace),
        )  # fmt: skip
        return answer_labels(suspect, images, 3), server


def fails(app, *, seconds=5.0, **more):
    start = time.monotonic()
    with pytest.raises(SuspectError) as caught:
        ask(app, **more)
    assert time.monotonic() - start < seconds
    line = str(caught.value)
    assert "\n" not in line and line.isprintable() and len(line) < 500
    return line


def replies(body, status=200, headers=JSON):
    def app(method, path, asked, sent):
        raise Reply(status, body, headers)

    return app


def writes(*parts, pause=0.0):
    """Write the parts, and hold the connection for as long as anybody waits."""

    def write(file):
        for part in parts:
            file.write(part)
            file.flush()
            time.sleep(pause)

    def app(method, path, headers, body):
        raise Raw(write)

    return app


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ROWS = json.dumps({"predictions": scores(IMAGES).tolist()}).encode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><title>Sign in</title><script>x</script>", 'Received: a web page: "Sign in"'),
        (b'{"predictions": [[6e-07.0, 1, 2]]}', "Received: no JSON (Expecting"),
        (b'{"predictions": [[0.1, 0.2, \xff\xfe]]}', "bytes that are no UTF-8"),
        (b"", "Received: no JSON"),
        (b"[" * 200_000, "Received: no JSON"),
        (b'{"predictions": [[%s, 1, 2]]}' % (b"9" * 5_000), "Received: no JSON"),
        ([{"error": "CUDA out of memory"}], 'answers with an error: "CUDA out of memory"'),
        ({"error": {"message": "quota\x1b[2J\r\n", "code": 8}}, r'an error: "quota\x1b[2J"'),
        ({"predictions": [[0.1, 0.2]] * 7}, "scores for 3 classes from the suspect. Received: 2"),
        ({"predictions": [[0.1, 0.2, 0.7]] * 6}, "expected 7 answers from the server. Received: 6"),
        ({"predictions": [[0.1, 0.2, 0.7]] * 6 + [[1]]}, "rows of 1 and 3"),
        ({"predictions": [[0.1, 0.2, 0.7]] * 6 + [[0.1, 0.9]]}, "rows of 2 and 3"),
        ({"predictions": [[0.1, 0.2, float("nan")]] * 7}, "NaN or infinity"),
        ({"predictions": [[0.1, float("inf"), 0.7]] * 7}, "NaN or infinity"),
        ({"predictions": [3] * 7}, "labels from 0 to 2 from the suspect. Received: 3 to 3"),
        ({"predictions": {"a": 1}}, "expected 7 answers"),
        ({"predictions": None}, "expected 7 answers"),
        ({"predictions": [["\u202e" * 999] * 3] * 7}, "names"),
        ({"outputs": 3}, "expected the answer at $.predictions"),
    ],
)
def test_what_is_no_answer(body, message):
    assert message in fails(replies(body))


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (writes(b"", pause=1.5), "no whole answer within 0.5 s (--timeout)"),
        (writes(HEAD, pause=1.5), "no whole answer within 0.5 s"),
        (writes(*[b"H"] * 15, pause=0.1), "no whole answer within 0.5 s"),
        (writes(HEAD, *[b"X-A: b\r\n"] * 15, pause=0.1), "no whole answer within 0.5 s"),
        (writes(HEAD, b"Content-Length: 99\r\n\r\n", *[b"["] * 15, pause=0.1), "no whole answer"),
        (writes(HEAD, b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n[\r\n"] * 15, pause=0.1),
         "no whole answer within 0.5 s"),
    ],
    ids=["silence", "half a head", "dripping status", "dripping head", "dripping body", "chunks"],
)  # fmt: skip
def test_who_takes_too_long_is_cut_off(app, message):
    assert message in fails(app, timeout=0.5, seconds=4.0)


@pytest.mark.parametrize(
    "app",
    [
        writes(),
        writes(b"HTTP/1.1 200"),
        writes(HEAD, b"Content-Length: 9999\r\n\r\n", ROWS),
        writes(HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"ff\r\n", b'{"pre'),
        writes(b"NONSENSE\r\n\r\n"),
        writes(b"HTTP/1.1 abc OK\r\n\r\n"),
        writes(HEAD, b"X: " + b"y" * 300_000 + b"\r\n\r\n"),
        writes(HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n"),
    ],
    ids=["at once", "in its status", "in its body", "in a chunk", "no HTTP", "no status",
         "endless header", "no chunk"],
)  # fmt: skip
def test_who_closes_in_the_middle_is_asked_again_and_then_given_up(app):
    pauses = []
    line = fails(app, retries=2, pauses=pauses)
    assert "the connection fails" in line and "(3 times)" in line
    assert pauses == [1.0, 2.0]


def test_ten_gigabytes_are_not_read():
    sent = []

    def write(file):
        file.write(HEAD + b"Content-Length: 10000000000\r\n\r\n")
        for _ in range(10_000):
            file.write(b"[" * 1_000_000)
            sent.append(1)

    def app(method, path, headers, body):
        raise Raw(write)

    tracemalloc.start()
    assert "more than 16 MiB; the rest was not read" in fails(app, seconds=30)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert len(sent) < 100


@pytest.mark.parametrize("times", [1, 2])
def test_a_gzip_bomb_is_not_unpacked(times):
    content = gzip.compress(b"[" * 200_000_000, 9)
    if times == 2:  # many of them, one after the other
        content = content * 50
    tracemalloc.start()
    line = fails(replies(content, headers={**JSON, "Content-Encoding": "gzip"}), seconds=30)
    assert "more than 16 MiB" in line
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "coding", "message"),
    [
        (ROWS, "gzip", "says that it is gzip, and is not"),
        (gzip.compress(ROWS)[:-9], "gzip", "ends in the middle of its gzip"),
        (ROWS, "br", 'as "br", which nobody asked'),
        (ROWS, "gzip, gzip", "which nobody asked"),
    ],
    # What gzip writes has the time in it, and tests want one name in every process.
    ids=["no gzip", "cut off", "another coding", "two codings"],
)
def test_packing_that_is_none(content, coding, message):
    assert message in fails(replies(content, headers={**JSON, "Content-Encoding": coding}))


def test_good_gzip():
    labels, server = ask(replies(gzip.compress(ROWS), headers={**JSON, "Content-Encoding": "gzip"}))
    np.testing.assert_array_equal(labels, EXPECTED)
    assert server.asked[-1][2]["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("location", "status", "message"),
    [
        ("http://elsewhere.example/x", 307, 'another place, "http://elsewhere.example"'),
        ("https://127.0.0.1/x", 308, "another place"),
        ("//elsewhere.example/x", 302, "another place"),
        ("ftp://127.0.0.1/x", 307, "another place"),
        ("/v1/models/m:predict", 302, "redirects a question with status 302"),
        ("/v1/models/m:predict", 307, "more than 3 times"),
        ("/v1/models/m:predict", 304, "redirects a question"),
    ],
)
def test_redirects_that_are_not_followed(location, status, message):
    assert message in fails(replies(b"", status, {"Location": location}))


def test_a_redirect_within_the_place_is_followed():
    def app(method, path, headers, body):
        if "moved" not in path:
            raise Reply(308, b"", {"Location": path.replace("models", "moved/models")})
        PLAIN(method, path.replace("moved/", ""), headers, body)

    np.testing.assert_array_equal(ask(app)[0], EXPECTED)


@pytest.mark.parametrize(
    ("status", "body", "headers", "wait"),
    [
        (503, {"error": "loading", "estimated_time": 20.5}, JSON, 20.5),
        (503, b"overloaded", {"Content-Type": "text/plain"}, 1.0),
        (429, b"", {"Retry-After": "3"}, 3.0),
        (429, b"", {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 1.0),
        (503, b"", {"Retry-After": "soon"}, 1.0),
        (503, b"", {"Retry-After": "-5"}, 1.0),
        (503, {"estimated_time": "NaN"}, JSON, 1.0),
        (502, b"<html>Bad gateway</html>", {}, 1.0),
    ],
)
def test_what_passes_is_waited_for(status, body, headers, wait):
    pauses, failures = [], iter([1])

    def app(method, path, asked, sent):
        if next(failures, None):
            raise Reply(status, body, headers)
        PLAIN(method, path, asked, sent)

    labels, _ = ask(app, retries=1, pauses=pauses)
    np.testing.assert_array_equal(labels, EXPECTED)
    assert pauses == [wait]


def test_a_model_that_loads_for_ever_ends_at_the_deadline():
    line = fails(replies({"error": "loading", "estimated_time": 9e8}, 503))
    assert 'answers 503: "loading"; the next question' in line and "deadline" in line


def test_who_answers_otherwise_each_time_is_asked_once(tmp_path):
    turn = itertools.count()

    def app(method, path, headers, body):
        images = json.loads(body)["instances"]
        raise Reply(200, {"predictions": [next(turn) % 3 for _ in images]})

    labels, server = ask(app, images=np.concatenate([IMAGES, IMAGES]))
    np.testing.assert_array_equal(labels[:7], labels[7:])
    assert len(server.questions) == 1


def test_requests_never_come_at_the_same_time():
    now, most, lock = [0], [0], threading.Lock()

    def app(method, path, headers, body):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        PLAIN(method, path, headers, body)

    ask(app)
    assert most == [1]


def test_a_server_that_fails_and_is_killed_half_way_is_asked_nothing_twice(tmp_path):
    """A fifth of all requests fails in some way; a second run goes on where the first gave up."""
    about, path, answered, turn = {"suspect": "any"}, tmp_path / "log", [], itertools.count()
    closing = writes()
    failing = (
        closing, replies(b"", 429, {"Retry-After": "0"}), replies(b"", 429),
        replies(b"busy", 503, {"Retry-After": "1"}), replies(b"", 500),
    )  # fmt: skip

    def app(method, path, headers, body):
        place = next(turn)
        if method == "POST" and place % 5 == 4:
            failing[place // 5 % 5](method, path, headers, body)
        if method == "POST":
            answered.append(body)
        PLAIN(method, path, headers, body)

    images = np.random.default_rng(3).random((60, 2, 2, 1), np.float32)

    def run(address, some):
        pace = Pace(retries=2, sleep=lambda seconds: None)
        with QueryLog(path, about) as log:
            suspect = open_suspect(
                address, **FITTING, connection=Connection(pace=pace),
                around=lambda made: Remembered(made, log, pace, batch=1),
            )  # fmt: skip
            try:
                return answer_labels(suspect, some, 3), log
            finally:
                assert log.asked == path.read_text().count('"asked"')

    with serve(app) as server:
        run(f"{server.url}/v1/models/m", images[:30])
        address = f"{server.url}/v1/models/m"
        first = len(server.questions)
    with pytest.raises(NoAnswer, match="connection fails"):
        run(address, images)
    with serve(app) as server:
        labels, log = run(f"{server.url}/v1/models/m", images)
        assert log.asked == first + len(server.questions)
    np.testing.assert_array_equal(labels, scores(images).argmax(axis=1))
    assert len(answered) == len(set(answered)) == 60
