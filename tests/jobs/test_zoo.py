"""The job that trains a net, and the profiles that say how many there are."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from cemfp import data
from cemfp.engine.jobs import from_json, obtain, plan, to_json
from cemfp.jobs.train import LabelImages, Net, TrainNet
from cemfp.jobs.zoo import FIRST_SEED, REFERENCE_OFFSET, make_zoo
from cemfp.models.classifier import Classifier
from cemfp.models.nets import NETS
from cemfp.models.roles import Origin, Role
from cemfp.storage.store import Store
from cemfp.training import from_scratch
from cemfp.training.recipe import Recipe
from experiments.profiles import PROFILES

RECIPE = Recipe(epochs=1, batch_size=50, learning_rate=0.02, flip=False, pad=0, precision="float32")
TINY = Net(arguments=(("width", 1), ("depth", 8)))


@pytest.fixture(autouse=True)
def quick_net(monkeypatch):
    """In place of a ResNet a linear net, which compiles at once."""

    def build(shape, classes, *, width, depth):
        inputs = tf.keras.Input(shape)
        x = tf.keras.layers.Flatten()(inputs)
        return tf.keras.Model(inputs, tf.keras.layers.Dense(classes)(x))

    monkeypatch.setitem(NETS, "resnet20", build)


def job(seed=0, role=Role.SOURCE.value, **changes):
    return TrainNet("digits", RECIPE, seed, role, net=TINY, **{"images": 100} | changes)


def surrogate(labels, **changes):
    options = {"seed": 1_000, "labels_from": job(), "labels": labels}
    return job(role="defender", **options | changes)


def test_keys_stay_as_they_are():
    """Another key means that hours of training are done again: change these only on purpose."""
    source = TrainNet("cifar10", Recipe(), 0, "source")
    stolen = TrainNet("cifar10", Recipe(), 7, "attacker", labels_from=source, labels="top1")
    assert source.key() == "631cf5cc20f3ea5b9d82f72a295204091263dfce76765cbdbccac5eb197a5bdd"
    assert stolen.key() == "11c427a441566a500de89100a1dffeaadbf216f2efadbb9b9b057884ecb73767"


def test_every_field_counts_in_the_key():
    others = [
        job(seed=1),
        job(role="attacker"),
        job(images=101),
        dataclasses.replace(job(), data="cifar10"),
        dataclasses.replace(job(), net=Net(arguments=(("width", 2), ("depth", 8)))),
        dataclasses.replace(job(), recipe=dataclasses.replace(RECIPE, epochs=2)),
        surrogate("soft"),
        surrogate("top1"),
        dataclasses.replace(surrogate("soft"), labels_from=job(seed=1)),
    ]
    assert len({job().key(), *(other.key() for other in others)}) == len(others) + 1


def test_a_job_travels_to_another_process():
    assert from_json(to_json(surrogate("soft"))) == surrogate("soft")


def test_a_surrogate_needs_the_source_and_its_answers():
    task = surrogate("soft", images=0)
    assert task.dependencies() == (job(), LabelImages("digits", job()))
    assert job().dependencies() == ()
    assert plan([task, surrogate("top1", seed=1_001)])[:2] == [*task.dependencies()]


@pytest.mark.parametrize(
    ("labels", "source"), [("truth", job()), ("soft", None), ("top1", None)], ids=str
)
def test_labels_without_their_source_are_refused(labels, source):
    with pytest.raises(ValueError, match="expected labels 'truth' without a source"):
        job(labels=labels, labels_from=source)


@pytest.mark.parametrize(
    ("task", "origin"),
    [
        (job(), Origin.SOURCE),
        (job(role="defender"), Origin.REFERENCE),
        (job(role="evaluation"), Origin.REFERENCE),
        (surrogate("soft"), Origin.SURROGATE),
        (surrogate("top1"), Origin.SURROGATE),
    ],
)
def test_origin(task, origin):
    assert task.origin == origin
    assert origin in task.label() and f"seed {task.seed}" in task.label()


@pytest.fixture
def learnt(monkeypatch):
    """What each training was given: images, targets, seed; the nets stay untrained."""

    def train(build, images, targets, recipe, *, seed, progress, watch):
        calls.append((images, targets, seed))
        return build(images.shape[1:])

    calls = []
    monkeypatch.setattr(from_scratch, "train", train)
    return calls


def test_an_owner_has_its_seeds_own_images(learnt, tmp_path):
    store = Store(tmp_path)
    for seed in (0, 3):
        obtain(job(seed), store)
    for images, targets, seed in learnt:
        own = data.load("digits").train.sample(100, seed=seed)
        np.testing.assert_array_equal(images, own.images)
        np.testing.assert_array_equal(targets, own.labels)
    assert not np.array_equal(learnt[0][0], learnt[1][0])


def test_without_a_number_all_images_are_taken(learnt, tmp_path):
    obtain(job(images=0), Store(tmp_path))
    np.testing.assert_array_equal(learnt[0][0], data.load("digits").train.images)


@pytest.mark.parametrize("labels", ["soft", "top1"])
def test_a_surrogate_learns_the_sources_answers(labels, learnt, tmp_path):
    store = Store(tmp_path)
    directory = obtain(surrogate(labels, images=0), store)
    source = Classifier.load(store.get(job().key()))
    images, targets, seed = learnt[-1]
    logits = source.predict_logits(images).astype(np.float64)
    np.testing.assert_array_equal(images, data.load("digits").train.images)
    if labels == "top1":
        np.testing.assert_array_equal(targets, logits.argmax(axis=1))
    else:
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(targets, expected, atol=1e-6)
    made = Classifier.load(directory)
    assert (seed, made.role, made.origin) == (1_000, "defender", "surrogate")
    assert made.config.training["source_sha256"] == source.weights_sha256
    assert made.config.training["labels"] == labels


def test_a_surrogate_of_some_images_learns_the_answers_to_these(learnt, tmp_path):
    """The answers are kept for the whole split: rows must not be mixed up."""
    store = Store(tmp_path)
    obtain(surrogate("soft", images=30), store)
    source = Classifier.load(store.get(job().key()))
    images, targets, _ = learnt[-1]
    assert len(images) == len(targets) == 30
    np.testing.assert_array_equal(source.predict_labels(images), targets.argmax(axis=1))


def test_a_trained_classifier_says_where_it_came_from(tmp_path):
    seen = []
    made = Classifier.load(obtain(job(), Store(tmp_path), seen.append))
    digits, training = data.load("digits"), made.config.training
    assert training["data"] == dataclasses.asdict(digits.provenance)
    assert training["recipe"] == dataclasses.asdict(RECIPE)
    assert (training["seed"], training["images"], training["labels"]) == (0, 100, "truth")
    assert training["source_sha256"] is None and training["precision"] == "float32"
    accuracy = made.accuracy(digits.test.images, digits.test.labels)
    assert training["test_accuracy"] == pytest.approx(accuracy)
    assert (made.role, made.origin, made.config.arguments) == (
        "source",
        "source",
        {"width": 1, "depth": 8},
    )
    assert any(line.startswith("step 2/2, loss ") for line in seen)


# Profiles


@pytest.fixture(params=PROFILES)
def profile(request):
    return PROFILES[request.param]


def test_no_two_models_share_a_seed_and_roles_keep_to_their_range(profile):
    zoo = make_zoo(profile)
    seeds = [model.seed for model in zoo.everyone]
    assert len(seeds) == len(set(seeds))
    for model in zoo.everyone:
        first = FIRST_SEED[Role(model.role)]
        assert first <= model.seed < first + 1_000
    starts = sorted(FIRST_SEED.values())
    assert all(b - a == 1_000 for a, b in itertools.pairwise(starts))
    assert max(profile.defender, profile.calibration, profile.evaluation) <= REFERENCE_OFFSET


def test_a_zoo_has_the_numbers_of_its_profile(profile):
    zoo = make_zoo(profile)
    for role in ("defender", "calibration", "evaluation"):
        group, count = getattr(zoo, role), getattr(profile, role)
        assert len(group.surrogates) == len(group.references) == count
        assert {model.role for model in group.everyone} == {role}
        assert {model.origin for model in group.surrogates} == {Origin.SURROGATE}
        assert {model.origin for model in group.references} == {Origin.REFERENCE}
    assert (zoo.source.role, zoo.source.origin) == ("source", "source")
    assert len(zoo.everyone) == 1 + 2 * (
        profile.defender + profile.calibration + profile.evaluation
    )


def test_surrogates_learn_from_the_one_source_and_references_never_do(profile):
    zoo = make_zoo(profile)
    for group in (zoo.defender, zoo.calibration, zoo.evaluation):
        assert all(model.labels_from == zoo.source for model in group.surrogates)
        assert all(model.labels == "soft" for model in group.surrogates)
        assert all(model.recipe == profile.surrogate_recipe for model in group.surrogates)
        assert all(model.labels_from is None for model in group.references)
    references = [*zoo.defender.references, *zoo.calibration.references, *zoo.evaluation.references]
    assert all(model.images == profile.owner_images for model in (zoo.source, *references))
    assert all(model.recipe == profile.recipe for model in references)
    assert zoo.source.recipe == profile.source_recipe


def test_a_zoo_is_made_in_its_own_order_and_asks_the_source_once(profile):
    zoo = make_zoo(profile)
    source, answers, *others = plan(zoo.everyone)
    assert answers == LabelImages(profile.data, zoo.source)
    assert [source, *others] == list(zoo.everyone)


def test_the_studys_sizes_fit_together(profile):
    assert profile.name in PROFILES and profile.data in data.DATASETS
    assert profile.epsilon in profile.epsilons
    assert profile.candidates >= profile.size
    # What a study has to have at least, beside those of digits and a study's first pairs.
    if profile.name == "strong-first":
        assert profile.defender == profile.calibration == profile.evaluation == 1
    elif profile.data != "digits":
        assert min(profile.defender, 8) == 8 and min(profile.calibration, 4) == 4
        assert min(profile.evaluation, 5) == 5 and profile.owner_images == 0
