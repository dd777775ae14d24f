"""Whatever a suspect answers becomes labels or one clear line."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from cemfp.suspects import SuspectError, answer_labels, check_fits

IMAGES = np.linspace(0, 1, 5 * 4, dtype=np.float32).reshape(5, 2, 2, 1)
LABELS = [2, 0, 1, 1, 2]


def constant(answer):
    return lambda images: answer


@pytest.mark.parametrize(
    "answer",
    [
        LABELS,
        np.array(LABELS, np.uint8),
        np.array(LABELS, np.float32),
        np.eye(3)[LABELS],
        np.log(np.eye(3)[LABELS] + 1e-9),
    ],
    ids=["list", "uint8", "whole floats", "probabilities", "logits"],
)
def test_labels_and_scores_become_labels(answer):
    labels = answer_labels(constant(answer), IMAGES, 3)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batches_keep_the_order(batch_size):
    sizes = []

    def suspect(images):
        sizes.append(len(images))
        return (images[:, 0, 0, 0] > 0.5).astype(int)

    labels = answer_labels(suspect, IMAGES, 2, batch_size)
    np.testing.assert_array_equal(labels, [0, 0, 0, 1, 1])
    assert sum(sizes) == 5 and max(sizes) <= batch_size


def test_a_suspect_that_scribbles_on_its_images_changes_nothing():
    def suspect(images):
        images[:] = 0
        return LABELS

    before = IMAGES.copy()
    answer_labels(suspect, IMAGES, 3)
    np.testing.assert_array_equal(IMAGES, before)


def scores(value):
    answer = np.eye(3)[LABELS]
    answer[1, 1] = value
    return answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (scores(np.nan), "NaN or infinity"),
        (scores(np.inf), "NaN or infinity"),
        ([0, 1, np.nan, 1, 1], "NaN or infinity"),
        (LABELS[:4], "expected 5 answers"),
        (np.eye(3), "expected 5 answers"),
        (0, "expected 5 answers"),
        (np.zeros((5, 3, 1)), "expected 5 answers"),
        (np.zeros((5, 2)), "scores for 3 classes from the suspect. Received: 2"),
        (np.full((5, 1), 0.5), "whole numbers as labels from the suspect. Received: 0.5"),
        (np.ones((5, 3)), "scores that differ between classes. Received: the same for all"),
        ([0, 1, 1.5, 0, 0], "whole numbers as labels from the suspect. Received: 1.5"),
        ([0, 1, 2, 3, 0], "labels from 0 to 2 from the suspect. Received: 0 to 3"),
        ([0, 1, -1, 2, 0], "labels from 0 to 2 from the suspect. Received: -1 to 2"),
        (np.array([0, 1, 2, 2**64 - 1, 0], np.uint64), "labels from 0 to 2"),
        (["cat"] * 5, "expected numbers"),
        (None, "expected numbers"),
        ([True] * 5, "expected numbers"),
        ([[1], [1, 2], [1], [1], [1]], "failed to answer: ValueError"),
    ],
)
def test_unusable_answers_are_one_clear_line(answer, message):
    with pytest.raises(SuspectError) as caught:
        answer_labels(constant(answer), IMAGES, 3)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def raise_with(error):
    def suspect(images):
        raise error

    return suspect


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("first\nsecond"), "RuntimeError: first"),
        (KeyError(), "KeyError"),
        (SystemExit(0), "SystemExit: 0"),
    ],
)
def test_a_suspect_that_raises(error, text):
    with pytest.raises(SuspectError) as caught:
        answer_labels(raise_with(error), IMAGES, 3)
    assert str(caught.value) == f"the suspect failed to answer: {text}"


def test_a_suspect_that_exits_with_success_is_no_verdict():
    with pytest.raises(SuspectError):
        answer_labels(lambda images: sys.exit(0), IMAGES, 3)


def test_an_interrupt_is_the_users():
    with pytest.raises(KeyboardInterrupt):
        answer_labels(raise_with(KeyboardInterrupt()), IMAGES, 3)


def test_batch_size_is_checked():
    with pytest.raises(ValueError, match="batch_size"):
        answer_labels(constant(LABELS), IMAGES, 3, 0)


def test_check_fits():
    check_fits(lambda images: images, (2, 2, 1), 3)
    check_fits(SimpleNamespace(input_shape=(2, 2, 1), classes=3), (2, 2, 1), 3)
    check_fits(SimpleNamespace(input_shape=(None, None, 1)), (2, 2, 1), 3)
    for shape in [(2, 2, 3), (2, 2), (None, 3, 1)]:
        with pytest.raises(SuspectError, match="inputs of shape"):
            check_fits(SimpleNamespace(input_shape=shape), (2, 2, 1), 3)
    with pytest.raises(SuspectError, match="3 classes"):
        check_fits(SimpleNamespace(classes=10), (2, 2, 1), 3)


@pytest.mark.parametrize(
    "answer",
    [
        [[0], [1], [2], [1], [0]],  # labels, each in a row of its own
        np.eye(3)[[0, 1, 2, 1, 0]] > 0,  # one-hot truth values
        np.eye(3, dtype=np.int8)[[0, 1, 2, 1, 0]],
    ],
)
def test_answers_whose_meaning_is_plain(answer):
    np.testing.assert_array_equal(answer_labels(constant(answer), IMAGES, 3), [0, 1, 2, 1, 0])
