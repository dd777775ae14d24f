"""A source that only answers: what its answers mean, asked once, by several processes in turn."""

import multiprocessing

import numpy as np
import pytest

from cemfp.models.convention import Convention
from cemfp.suspects import Fed, SuspectError
from cemfp.suspects.source import SURE, AskedSource, as_logits

IMAGES = np.random.default_rng(0).random((12, 2, 2, 1)).astype(np.float32)


def brightest(images):
    """Label 0, 1 or 2 by the mean of pixels from 0 to 255."""
    return np.digitize(images.mean(axis=(1, 2, 3)), [100.0, 140.0])


def asked(opener=lambda: brightest, **settings):
    given = {"input_shape": (2, 2, 1), "classes": 3, "sha256": "0" * 64}
    return AskedSource("mine", opener, **given, convention=Convention(255.0), **settings)


def test_labels_probabilities_and_logits():
    assert as_logits(np.array([1, 0]), 3).tolist() == [[0, SURE, 0], [SURE, 0, 0]]
    shares = np.array([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]])
    logits = as_logits(shares, 3)
    np.testing.assert_allclose(np.exp(logits), shares, atol=1e-6)
    assert np.isfinite(logits).all()
    raw = np.array([[1.0, -2.0, 0.5]])
    np.testing.assert_array_equal(as_logits(raw, 3), raw)


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
@pytest.mark.parametrize("step", [1 / 256, 0.01, 0.001])
def test_rounded_probabilities_are_still_probabilities(classes, step):
    raw = np.exp(np.random.default_rng(0).normal(0, 3, (256, classes)))
    true = raw / raw.sum(axis=1, keepdims=True)
    found = np.exp(as_logits(np.rint(true / step) * step, classes))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.abs(found.max(axis=1) - true.max(axis=1)).mean() < 0.06
    np.testing.assert_array_equal(as_logits(raw, classes), raw.astype(np.float32))


def test_one_strange_row_does_not_make_logits_of_all():
    shares = np.tile([0.9, 0.05, 0.05], (300, 1))
    shares[7] = 0.0
    source = asked(lambda: lambda images: shares[np.rint(images[:, 0, 0, 0]).astype(int)])
    rows = np.arange(300, dtype=np.float32)
    images = np.broadcast_to((rows / 255)[:, None, None, None], (300, 2, 2, 1))
    found = np.exp(source.predict_logits(images))
    np.testing.assert_allclose(found[:7], shares[:7], atol=1e-6)
    np.testing.assert_allclose(found[-40:], shares[-40:], atol=1e-6)


@pytest.mark.parametrize("wrapped", [False, True])
def test_it_is_fed_as_it_wants_whoever_opened_it(wrapped):
    source = asked(lambda: Fed(brightest, Convention(255.0)) if wrapped else brightest)
    np.testing.assert_array_equal(source.predict_labels(IMAGES), brightest(255 * IMAGES))
    eight_bit = np.rint(255 * IMAGES).astype(np.uint8)
    np.testing.assert_array_equal(source.predict_labels(eight_bit), brightest(eight_bit))


def test_answers_outlive_the_process_and_the_model(tmp_path):
    log = tmp_path / "log.jsonl"
    first = asked(log=log).predict_labels(IMAGES)

    def gone():
        raise AssertionError("nobody has to be asked")

    again = asked(gone, log=log)
    np.testing.assert_array_equal(again.predict_labels(IMAGES[::-1]), first[::-1])
    assert again.queries == len(IMAGES)


def test_labels_that_are_none(tmp_path):
    strange = asked(lambda: lambda images: np.full(len(images), 7), log=tmp_path / "log.jsonl")
    with pytest.raises(SuspectError, match="labels from 0 to 2"):
        strange.predict_labels(IMAGES)
    assert asked().accuracy(IMAGES, brightest(255 * IMAGES)) == 1.0


def _ask_in_turn(log, rows):
    asked(log=log).predict_labels(IMAGES[rows])


def test_several_processes_take_turns(tmp_path):
    log = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("spawn")
    parts = [slice(0, 8), slice(4, 12), slice(0, 12)]
    workers = [context.Process(target=_ask_in_turn, args=(log, rows)) for rows in parts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert asked(log=log).queries == len(IMAGES)
