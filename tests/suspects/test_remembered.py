"""No input is asked twice, no budget exceeded, and no damage of a log goes unnoticed."""

import json
import os

import numpy as np
import pytest

from cemfp.suspects import (
    LogError,
    NoAnswer,
    OutOfBudget,
    Pace,
    QueryLog,
    Remembered,
    SuspectError,
    TryAgain,
    answer_labels,
)

IMAGES = np.arange(6 * 4, dtype=np.float32).reshape(6, 2, 2, 1) / 23
ABOUT = {"suspect": "python:any:function", "fingerprint": "ab" * 32}


class Counting:
    """Answers scores that follow from the image; counts, and fails where it is told to."""

    input_shape, classes = (2, 2, 1), 3

    def __init__(self, failures=()):
        self.seen, self.sizes, self.failures = [], [], list(failures)

    def __call__(self, images):
        self.sizes.append(len(images))
        self.seen += [image.tobytes() for image in images]
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return np.stack([images.sum(axis=(1, 2, 3)), images[:, 0, 0, 0], images[:, 1, 1, 0]], 1)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now, self.pauses = 0.0, []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def pace(self, **bounds):
        return Pace(clock=lambda: self.now, sleep=self.sleep, **bounds)


def test_answers_are_those_of_the_suspect_and_are_asked_once():
    suspect = Counting()
    remembered = Remembered(suspect, batch=4)
    assert (remembered.input_shape, remembered.classes) == ((2, 2, 1), 3)
    twice = np.concatenate([IMAGES, IMAGES[::-1]])
    np.testing.assert_array_equal(remembered(twice), Counting()(twice))
    np.testing.assert_array_equal(remembered(IMAGES), Counting()(IMAGES))
    assert suspect.sizes == [4, 2] and len(set(suspect.seen)) == 6
    assert remembered(IMAGES[:0]).shape == (0,)


@pytest.mark.parametrize(
    "answer",
    [
        np.array([2, 0, 1, 1, 2, 0], np.uint8),
        np.eye(3)[[0, 1, 2, 0, 1, 2]] > 0,
        np.full((6, 3), np.nan),
        [[0.1, np.inf, -np.inf]] * 6,
        np.full((6, 3), 1 / 3, np.float32),
    ],
    ids=["labels", "one-hot", "nan", "inf", "float32"],
)
def test_any_answer_comes_back_from_the_file_as_it_was(tmp_path, answer):
    path = tmp_path / "log"
    with QueryLog(path, ABOUT) as log:
        Remembered(lambda images: answer, log)(IMAGES)
    with QueryLog(path, ABOUT) as log:
        again = Remembered(lambda images: 1 / 0, log)(IMAGES)
    np.testing.assert_array_equal(again, np.asarray(answer))
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)  # plain JSON has no NaN


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    path, first, second = tmp_path / "log", Counting([None, None, KeyboardInterrupt()]), Counting()
    with pytest.raises(KeyboardInterrupt), QueryLog(path, ABOUT) as log:
        Remembered(first, log, batch=1)(IMAGES)
    with QueryLog(path, ABOUT) as log:
        assert (len(log.answers), log.asked) == (2, 3)
        np.testing.assert_array_equal(Remembered(second, log, batch=1)(IMAGES), Counting()(IMAGES))
        assert log.asked == 7
    assert second.seen == [image.tobytes() for image in IMAGES[2:]]


def test_a_last_line_cut_at_any_place_is_repaired(tmp_path):
    path = tmp_path / "log"
    with QueryLog(path, ABOUT) as log:
        Remembered(Counting(), log, batch=1)(IMAGES[:2])
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        with QueryLog(path, ABOUT) as log:
            assert (len(log.answers), log.repaired) == (1, end > last)
            Remembered(Counting(), log)(IMAGES[:2])
        lines = path.read_text().splitlines()
        assert len(lines) == 1 + 4 + 1 and all(map(json.loads, lines))


def test_a_first_line_that_was_cut_off_is_written_again(tmp_path):
    path = tmp_path / "log"
    QueryLog(path, ABOUT).close()
    whole = path.read_bytes()
    for end in (0, 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        QueryLog(path, ABOUT).close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "damage",
    [b"", b"nonsense", b"[" * 100_000, b"3", b"\xff", b'{"input": "xy", "status": "asked"}',
     b'{"input": "%s", "status": "answered", "answer": "cat"}' % (b"ab" * 32),
     b'{"input": "%s", "status": "answered"}' % (b"ab" * 32)],
)  # fmt: skip
def test_other_damage_is_refused_and_left_as_it_is(tmp_path, damage):
    path = tmp_path / "log"
    with QueryLog(path, ABOUT) as log:
        Remembered(Counting(), log)(IMAGES)
    lines = path.read_bytes().splitlines()
    lines[3] = damage
    path.write_bytes(b"\n".join(lines) + b"\n")
    before = path.read_bytes()
    with pytest.raises(LogError, match=r"log: line 4 is damaged"):
        QueryLog(path, ABOUT)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"my notes", b"{}\n", b"[1]\n{}\n", b'{"format": "cemfp'])
def test_a_file_of_something_else_is_never_changed(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content + b" of mine")
    with pytest.raises(LogError, match="Received: another file"):
        QueryLog(path, ABOUT)
    assert path.read_bytes() == content + b" of mine"
    with pytest.raises(OSError, match="directory"):
        QueryLog(tmp_path, ABOUT)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LogError, match="no regular file"):
        QueryLog(tmp_path / "pipe", ABOUT)


@pytest.mark.parametrize("key", ["suspect", "fingerprint"])
def test_the_log_of_another_is_refused(tmp_path, key):
    QueryLog(tmp_path / "log", ABOUT).close()
    with pytest.raises(LogError, match=f"the log of this {key}"):
        QueryLog(tmp_path / "log", {**ABOUT, key: "another"})


def test_one_log_has_one_writer(tmp_path):
    with (
        QueryLog(tmp_path / "log", ABOUT),
        pytest.raises(LogError, match="another verification"),
    ):
        QueryLog(tmp_path / "log", ABOUT)


def test_only_the_owner_reads_the_log(tmp_path):
    QueryLog(tmp_path / "log", ABOUT).close()
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_the_budget_counts_every_query_and_those_before(tmp_path):
    path = tmp_path / "log"
    busy = Counting([TryAgain("busy"), None, TryAgain("busy")])
    with QueryLog(path, ABOUT) as log:
        remembered = Remembered(busy, log, Clock().pace(), batch=1, budget=5)
        with pytest.raises(OutOfBudget, match=r"budget of 5 queries leaves 0.* 3 inputs"):
            remembered(IMAGES)
    assert len(busy.seen) == 5
    with QueryLog(path, ABOUT) as log:
        suspect = Counting()
        remembered = Remembered(suspect, log, batch=2, budget=7)
        with pytest.raises(OutOfBudget):
            remembered(IMAGES)
        assert len(remembered(IMAGES[:5])) == 5 and suspect.sizes == [2]
    text = path.read_text()
    assert text.count('"asked"') == 7 and text.count('"busy"') == 2


def test_what_passes_is_waited_for():
    clock = Clock()
    suspect = Counting([TryAgain("busy"), TryAgain("busy"), TryAgain("wait", after=30.0)])
    Remembered(suspect, None, clock.pace())(IMAGES)
    assert clock.pauses == [1.0, 2.0, 30.0]


def test_what_does_not_pass_is_given_up():
    clock = Clock()
    with pytest.raises(NoAnswer, match=r"busy \(6 times\)"):
        Remembered(Counting([TryAgain("busy")] * 9), None, clock.pace())(IMAGES)
    assert clock.pauses == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_who_asks_for_patience_gets_it_until_the_deadline():
    clock = Clock()
    suspect = Counting([TryAgain("loading", after=0.0)] * 99)
    with pytest.raises(NoAnswer, match=r"loading; the next .* deadline of 300 s"):
        Remembered(suspect, None, clock.pace(deadline=300.0))(IMAGES)
    # 1 + 2 + ... + 32 = 63, then each minute: nobody is asked every second.
    assert clock.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    with pytest.raises(NoAnswer, match="in 90000 s"):
        Remembered(Counting([TryAgain("later", after=9e4)]), None, clock.pace())(IMAGES)


def test_nothing_is_asked_after_the_deadline():
    clock, suspect = Clock(), Counting()
    pace = clock.pace(deadline=5.0)
    clock.now = 5.0
    with pytest.raises(NoAnswer, match="deadline of 5 s is over"):
        Remembered(suspect, None, pace)(IMAGES)
    assert suspect.sizes == []


def test_the_rate_is_kept():
    clock, suspect = Clock(), Counting()
    Remembered(suspect, None, clock.pace(rate=0.5), batch=1)(IMAGES)
    assert clock.pauses == [2.0] * 5


def test_a_failure_that_does_not_pass_is_not_repeated():
    suspect = Counting([ValueError("no")])
    remembered = Remembered(suspect)
    with pytest.raises(ValueError, match="no"):
        remembered(IMAGES)
    assert suspect.sizes == [6] and remembered.log.answers == {} and remembered.log.asked == 6


@pytest.mark.parametrize("answers", [[3, [0.1, 0.9]], [[0.1, 0.9], [0.1, 0.2, 0.7]]])
def test_answers_of_two_kinds_are_refused(answers):
    answers = iter(answers)
    remembered = Remembered(lambda images: np.array([next(answers)]), batch=1)
    with pytest.raises(SuspectError, match="answers of one kind"):
        answer_labels(remembered, IMAGES[:2], 3)
