"""Was the suspect asked what it understands? Right suspects pass; the others get the fix."""

import dataclasses

import numpy as np
import pytest

from cemfp import verification
from cemfp.data import load
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.convention import COMMON, Convention
from cemfp.numerics.agreement import does_task
from cemfp.suspects import Fed, NoAnswer, OutOfBudget, Relabelled, Remembered, SuspectError
from cemfp.suspects.transforms import through
from cemfp.verification import Decision, check_asked, find_convention, verify

CLASSES = 10


def stripes(count, seed=0):
    """Colour images (n, 4, 4, 3), and their classes: tenths of the red channel's mean."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    images = rng.random((count, 4, 4, 3), np.float32)
    images[..., 0] = ((labels + 0.5) / CLASSES)[:, None, None]
    return images, labels


def model(convention=COMMON["[0, 1]"], order=None):
    """A suspect that is right on `stripes` if it is fed as it wants: it undoes the convention."""

    def answer(images):
        scale, offset = np.asarray(convention.scale), np.asarray(convention.offset)
        seen = images[..., ::-1] if convention.bgr else images
        red = ((seen - offset) / scale)[..., 0].mean(axis=(1, 2))
        labels = np.clip(np.floor(red * CLASSES), 0, CLASSES - 1).astype(np.int64)
        return labels if order is None else np.array(order)[labels]

    return answer


def asked(suspect):
    images, labels = stripes(50)
    return check_asked(suspect, images, labels, CLASSES)


def fingerprint():
    images, labels = stripes(50)
    inputs, keys = stripes(40, seed=1)
    return Fingerprint(
        inputs, keys, CLASSES, "cem", {}, "a" * 64, {}, eight_bit=False,
        controls=images, control_labels=labels, control_truth=labels,
    )  # fmt: skip


@pytest.mark.parametrize("name", COMMON)
def test_each_common_convention_is_found_and_proposed(name):
    convention = COMMON[name]
    right = Fed(model(convention), convention)
    assert asked(right).problem == "" and asked(right).queries == 50
    for other in COMMON.values():
        found = asked(Fed(model(convention), other))
        if found.problem:
            assert found.convention == convention and found.advice == f"add {convention}"
        else:
            assert found.agreeing == 50
    suspect, found = find_convention(fingerprint(), Fed(model(convention)))
    assert verify(fingerprint(), suspect, threshold=0.5).decision is Decision.MATCH
    assert np.mean(suspect(stripes(50)[0]) == stripes(50)[1]) == 1 and isinstance(found, Convention)


def test_the_wrong_scale_is_never_no_match():
    suspect = Fed(model(COMMON["[0, 255]"]))
    verdict = verify(fingerprint(), suspect, threshold=0.5)
    assert verdict.decision is Decision.INCONCLUSIVE and "add --scale 255" in verdict.reason
    assert verdict.cae_accuracy is None and verdict.to_dict()["asked"]["problem"]
    blind = verify(fingerprint(), suspect, threshold=0.5, controls=0)
    assert blind.decision is Decision.NO_MATCH and "No control images were asked" in blind.reason


def test_what_stands_in_front_of_a_suspect_stays_there():
    suspect = through(Fed(model(COMMON["[0, 255]"])), "bit-depth=5")
    found = asked(suspect)
    assert found.convention == COMMON["[0, 255]"] and "it is fed otherwise" in found.problem


def test_another_order_of_the_classes_is_found():
    order = [3, 1, 2, 0, 4, 5, 6, 9, 8, 7]
    found = asked(Fed(model(order=order)))
    assert found.problem.endswith("if its classes are in another order")
    proposed = tuple(map(int, found.advice.removeprefix("add --labels ").split(",")))
    verdict = verify(fingerprint(), Relabelled(model(order=order), proposed), threshold=0.5)
    assert verdict.decision is Decision.MATCH


def test_folders_sorted_as_strings():
    """0, 1, 10, 11, 2, ...: two of twelve classes keep their places (vision#714)."""
    rng = np.random.default_rng(0)
    labels, images = rng.integers(0, 12, 50), np.zeros((50, 2, 2, 1), np.float32)
    names = sorted(map(str, range(12)))
    answers = np.array([names.index(str(label)) for label in labels])
    found = check_asked(lambda _: answers, images, labels, 12)
    assert found.advice == "add --labels 0,1,10,11,2,3,4,5,6,7,8,9"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda images: np.full(len(images), 4), "it answers 4 to every one of 50"),
        (lambda images: np.full((len(images), CLASSES), np.nan), "NaN or infinity"),
        (lambda images: np.ones((len(images), CLASSES)), "the same for all"),
        (lambda images: np.arange(len(images)) % CLASSES, "hardly more than chance"),
    ],
)
def test_answers_that_mean_nothing(answer, problem):
    for suspect in (answer, Fed(answer)):
        found = asked(suspect)
        assert problem in found.problem and found.advice
        verdict = verify(fingerprint(), suspect, threshold=0.5)
        assert verdict.decision is Decision.INCONCLUSIVE and verdict.queries == 0


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
def test_a_weak_but_honest_suspect_passes(share):
    """400 random suspects that are right on `share` of the images: at most 1 % are stopped."""
    rng, alarms = np.random.default_rng(0), 0
    images, labels = stripes(50)
    for _ in range(400):
        wrong = rng.random(50) >= share
        answers = np.where(wrong, rng.integers(0, CLASSES, 50), labels)
        alarms += bool(check_asked(lambda _, a=answers: a, images, labels, CLASSES).problem)
    assert alarms <= 4


def test_chance_is_what_the_shares_of_the_classes_give():
    labels = np.repeat([0, 1], [90, 10])
    assert not does_task(np.zeros(100, int), labels)  # 90 % right, and knows nothing
    assert does_task(labels, labels)


def test_no_acquittal_where_another_convention_matches():
    """Made for [-1, 1]; read as [0, 1] it errs on 4 ordinary images of 50, and on all queries."""
    made = fingerprint()
    inputs, keys = stripes(40, seed=1)
    inputs[..., 2] *= 0.1
    rare = [image.tobytes() for image in np.asarray(made.controls)[:4]]

    def suspect(images):
        if images.min() < 0:
            return model(COMMON["[-1, 1]"])(images)
        errs = np.array([i[..., 2].mean() < 0.2 or i.tobytes() in rare for i in images])
        return np.where(errs, 0, model()(images))

    made = dataclasses.replace(made, inputs=inputs, keys=keys)
    verdict = verify(made, Fed(suspect), threshold=0.5)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert "40 of 40 answers are the key's; add --scale 2 --offset -1" in verdict.reason
    # What does not match in any way is acquitted, as before.
    others = dataclasses.replace(made, keys=(keys + 1) % CLASSES)
    assert verify(others, Fed(suspect), threshold=0.5).decision is Decision.NO_MATCH


def test_without_controls_auto_says_so():
    bare = dataclasses.replace(
        fingerprint(), controls=None, control_labels=None, control_truth=None
    )
    with pytest.raises(SuspectError, match="expected a fingerprint with control images"):
        find_convention(bare, Fed(model()))
    assert find_convention(bare, model())[1] == COMMON["[0, 1]"]


def test_models_that_do_their_task_are_asked_properly(tiny_zoo):
    """Of all models of the small zoo none is called 'not asked what it understands'."""
    test, source = load("digits").test.sample(50, seed=3), tiny_zoo.load("source")
    labels = source.predict_labels(test.images)
    for path in sorted(tiny_zoo.root.iterdir()):
        suspect = tiny_zoo.load(path.name)
        assert check_asked(suspect, test.floats(), labels, CLASSES).problem == "", path.name
    assert verification.Asked(0).problem == ""


def weak(images):
    """Right on three of four control images, and never on an input."""
    labels = model()(images)
    ordinary = np.isin(images[:, 0, 0, 1], stripes(50)[0][:, 0, 0, 1])
    return np.where(ordinary & (images[:, 0, 0, 1] < 0.75), labels, (labels + 1) % CLASSES)


def test_a_budget_that_ends_while_conventions_are_tried_shows_in_the_verdict():
    remembered = Remembered(weak, budget=90 + 60)
    remembered(fingerprint().inputs)
    verdict = verify(fingerprint(), Fed(remembered), threshold=0.5)
    assert verdict.decision is Decision.NO_MATCH and verdict.asked.untried
    assert "before the budget was spent" in verdict.reason
    free = verify(fingerprint(), Fed(Remembered(weak)), threshold=0.5)
    assert free.decision is Decision.NO_MATCH and not free.asked.untried
    assert "before the budget" not in free.reason


def test_a_suspect_that_cannot_be_reached_is_no_verdict():
    with pytest.raises(OutOfBudget):
        find_convention(fingerprint(), Fed(Remembered(weak, budget=60)))

    def gone(images):
        raise NoAnswer("gone")

    with pytest.raises(NoAnswer, match=r"^gone$"):
        verify(fingerprint(), Fed(gone), threshold=0.5)
    with pytest.raises(NoAnswer):
        find_convention(fingerprint(), Fed(gone))
