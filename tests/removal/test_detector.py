"""The thief's detector: what it learns, what it may see, and what it finds."""

import dataclasses

import numpy as np
import pytest

from cemfp.attacks import ATTACKS
from cemfp.data import Split
from cemfp.models.classifier import Classifier
from cemfp.models.roles import Origin, Role, RoleError
from cemfp.removal import detector as evasion
from cemfp.removal.detector import Detector, EvasionError, as_served, check_thief, train_detector
from cemfp.training.recipe import Recipe
from tests.small_classifiers import linear

EPSILON = 0.05  # 12.75 grey levels
RECIPE = Recipe(epochs=40, batch_size=20, learning_rate=0.05, pad=0, precision="float32")


def net(seed, role=Role.ATTACKER, origin=Origin.SURROGATE):
    """Four classes, decided by noise: a step of one grey level takes smooth images to another."""
    kernel = np.random.default_rng(seed).normal(0, 5, (64, 4))
    return linear(kernel - kernel.mean(axis=0), shape=(8, 8, 1), role=role, origin=origin)


def smooth(count, seed):
    """Grey wedges (n, 8, 8, 1) uint8 with whole steps, so that any other step is a trace.

    Up to 80 of them are all different.
    """
    rng = np.random.default_rng(seed)
    level, (across, down) = 90 + rng.permutation(count) % 80, rng.integers(-5, 6, (2, count))
    place = np.arange(8)
    wedge = across[:, None, None] * place + down[:, None, None] * place[:, None]
    return (level[:, None, None] + wedge).astype(np.uint8)[..., None]


def split(count, seed=0):
    return Split(smooth(count, seed), np.zeros(count, np.int64))


@pytest.fixture(scope="module")
def learnt():
    """A detector trained on 80 images, and what its training was given."""

    def spy(build, images, targets, *rest, **options):
        seen.append((images, targets))
        return train(build, images, targets, *rest, **options)

    seen, train = [], evasion.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evasion, "train", spy)
        detector = train_detector(net(0), split(80), epsilon=EPSILON, recipe=RECIPE, seed=1)
    return detector, *seen[0]


def test_it_masters_its_own_task_on_images_that_it_never_saw(learnt):
    own = learnt[0].own_task
    assert own.auc > 0.95 and own.interval.low <= own.auc <= own.interval.high
    assert (own.adversarial, own.benign) == (40, 40)


def test_it_recognises_adversarial_examples_of_another_net(learnt):
    other, images = net(5), smooth(60, seed=9).astype(np.float32) / 255
    made = ATTACKS["fgm"](images, other.predict_labels(images), other, EPSILON, 0)
    assert learnt[0].detect(made, smooth(60, seed=10)).auc > 0.95


def test_images_of_the_same_kind_are_told_apart_by_chance(learnt):
    found = learnt[0].detect(smooth(300, seed=11), smooth(300, seed=12))
    assert found.interval.low - 0.02 <= 0.5 <= found.interval.high + 0.02
    assert abs(found.auc - 0.5) < 0.1


def test_higher_scores_mean_adversarial(learnt):
    noise = np.random.default_rng(0).choice([-12, 12], (20, 8, 8, 1))
    benign = smooth(20, seed=13)
    assert learnt[0].score(benign + noise).mean() > 0 > learnt[0].score(benign).mean()


def test_training_sees_half_of_the_images_with_an_adversarial_example_each(learnt):
    _, images, targets = learnt
    benign, adversarial = images[targets == 0].astype(int), images[targets == 1].astype(int)
    assert images.dtype == np.uint8 and len(benign) == len(adversarial) == 40
    distance = np.abs(benign - adversarial).max(axis=(1, 2, 3))
    # 12.75 grey levels, rounded inside the ball: not 13. CW (the third) needs fewer.
    assert distance.min() >= 1 and distance.max() == 12
    assert 10 <= (distance < 12).sum() <= 18


def test_the_held_out_half_is_no_part_of_the_training(learnt):
    """Of 80 different images 40 are learnt; the rest are those that the own task is judged on."""
    _, images, targets = learnt
    known = {image.tobytes() for image in images[targets == 0]}
    mine = {image.tobytes() for image in smooth(80, 0)}
    assert len(mine) == 80 and len(known) == 40 and known < mine


def test_a_detector_is_a_classifier_that_is_saved_and_loaded(learnt, tmp_path):
    learnt[0].classifier.save(tmp_path)
    again, images = Detector(Classifier.load(tmp_path)), smooth(5, 3)
    assert again.own_task == learnt[0].own_task
    np.testing.assert_array_equal(again.score(images), learnt[0].score(images))
    told = again.classifier.config
    assert (told.role, told.classes) == ("attacker", 2)
    assert told.training["surrogate_sha256"] == net(0).weights_sha256
    assert told.training["detects"] == ["fgm", "pgd", "cw"]
    assert told.training["recipe"] == dataclasses.asdict(RECIPE)


def test_rounding_is_what_a_service_would_see():
    pixels = np.float32([0.0, 0.4, 0.6, 1.0]).reshape(1, 2, 2, 1) / np.float32([[[[1]]]])
    assert as_served(pixels).ravel().tolist() == [0, 102, 153, 255]
    # Half a grey level more or less is the same image, and gets the same score.
    assert as_served(pixels * 0.999 + 0.0005).ravel().tolist() == [0, 102, 153, 255]
    whole = smooth(2, 0)
    assert as_served(whole) is whole


@pytest.mark.parametrize("role", [Role.SOURCE, Role.DEFENDER, Role.CALIBRATION])
def test_a_thief_has_none_of_the_defenders_models(role):
    with pytest.raises(RoleError, match=f"thief's surrogate.*{role}"):
        train_detector(net(0, role), split(20), epsilon=EPSILON, seed=0)


def test_a_reference_is_no_surrogate():
    with pytest.raises(RoleError, match=r"thief's surrogate.*reference"):
        train_detector(net(0, origin=Origin.REFERENCE), split(20), epsilon=EPSILON, seed=0)


def test_the_source_under_another_role_is_found_out():
    source = net(0, Role.SOURCE, Origin.SOURCE)
    with pytest.raises(EvasionError, match="the fingerprint's own source"):
        check_thief(source.with_role(Role.ATTACKER, Origin.SURROGATE), source.weights_sha256)
    check_thief(net(1), source.weights_sha256)


@pytest.mark.parametrize(
    ("count", "epsilon", "words"),
    [
        (11, 0.1, "at least 12 images"),
        (20, 0.0, r"epsilon in \(0, 1\]"),
        (20, np.nan, r"epsilon in \(0, 1\]"),
        (20, 0.002, "below one grey level"),
    ],
)
def test_what_cannot_be_learnt_is_refused(count, epsilon, words):
    with pytest.raises(EvasionError, match=words):
        train_detector(net(0), split(count), epsilon=epsilon, seed=0)


def test_progress_names_each_attack_and_the_training():
    seen = []
    quick = dataclasses.replace(RECIPE, epochs=1)
    train_detector(
        net(0), split(12), epsilon=EPSILON, recipe=quick, seed=0,
        progress=lambda *report: seen.append(report),
    )  # fmt: skip
    assert [text.split()[0] for _, _, text in seen] == ["fgm", "pgd", "cw", "loss"]
