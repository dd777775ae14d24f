"""Attacks as jobs: what they are given, what is judged, and the cases of a study."""

import dataclasses
import json

import numpy as np
import pytest

from cemfp.data import load
from cemfp.engine.jobs import from_json, obtain, to_json
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import FINGERPRINT, NOTHING, ROWS, MakeCandidates, MakeFingerprint
from cemfp.jobs.remove import JudgeRemoval, JudgeTransform, RemoveFingerprint
from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import FIRST_SEED, Group
from cemfp.models.classifier import Classifier
from cemfp.models.roles import Role
from cemfp.removal import REMOVALS
from cemfp.removal.extraction import Retrain
from cemfp.removal.fine_tuning import FTLL
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments.jobs import cases
from experiments.jobs.curves import FollowTraining
from experiments.profiles import PROFILES

RECIPE = Recipe(epochs=1, batch_size=50, learning_rate=0.02, flip=False, pad=0, precision="float32")
TINY = Net(arguments=(("width", 1), ("depth", 8)))
VICTIM = TrainNet("digits", RECIPE, 0, "source", net=TINY, images=200)


pytestmark = pytest.mark.usefixtures("quick_net")


def removal(attack=None, **changes):
    settings = {"victim": VICTIM, "data": "digits", "recipe": RECIPE, "seed": 4_000, "net": TINY}
    return RemoveFingerprint(attack or Retrain(), **settings | changes)


def made(store, name="cem"):
    """The job of a fingerprint that lies in the store already: 20 test images, keyed as truth."""
    from cemfp.fingerprint.cem import CEM

    epsilon = 0.1 if name == "cem" else 0.2
    empty = Group((), ())
    job = MakeFingerprint(MakeCandidates(CEM(epsilon=epsilon), "digits", VICTIM, empty, 5), 20)
    split = load("digits").test.take(np.arange(20))
    fingerprint = Fingerprint(
        inputs=split.floats(), keys=split.labels, classes=10, method="cem", parameters={},
        source_sha256="0" * 64, data={"name": "digits"}, epsilon=epsilon, eight_bit=False,
    )  # fmt: skip
    with store.write(job.key(), job.description()) as out:
        if name == "cem":
            fingerprint.save(out / FINGERPRINT)
        else:
            (out / NOTHING).write_text('{"missing": "none passed"}')
    return job


def test_travels_to_another_process():
    job = removal(transfer_set="digits", count=30, pretrained=VICTIM)
    assert from_json(to_json(job)).key() == job.key()
    assert removal(count=31).key() != removal(count=30).key()
    assert removal(FTLL(labels="truth")).key() != removal(FTLL()).key()


def test_the_thief_gets_a_random_part_and_its_own_answers(tmp_path):
    store = Store(tmp_path)
    job = removal(count=30)
    summary = json.loads((obtain(job, store) / "summary.json").read_bytes())
    assert summary["queries"] == summary["transfer_images"] == 30
    assert summary["transfer_set"] == "digits" and summary["attack"] == "retrain"
    # The same attack by hand, the victim asked afresh: equal weights only if the recorded answers
    # are those of the chosen images.
    from cemfp.removal import Thief, remove

    victim = Classifier.load(store.get(VICTIM.key()))
    digits = load("digits")
    chosen = np.random.default_rng([4_000, 0]).permutation(1200)[:30]
    thief = Thief(
        victim, digits, RECIPE, 4_000, digits.train.take(chosen), arguments=dict(TINY.arguments)
    )
    alone = remove(Retrain(), thief).classifier
    assert alone.half().weights_sha256 == Classifier.load(store.get(job.key())).weights_sha256


def test_judged_by_its_answers_to_each_fingerprint(tmp_path):
    store = Store(tmp_path)
    job = JudgeRemoval(removal(), (("cem 0.1", made(store)), ("none", made(store, "none"))))
    row = json.loads((obtain(job, store) / ROWS).read_bytes())
    suspect = Classifier.load(store.get(job.removal.key()))
    test = load("digits").test
    expected = np.mean(suspect.predict_labels(test.images[:20]) == test.labels[:20])
    assert row["cae_accuracy"] == {"cem 0.1": pytest.approx(expected), "none": None}
    assert row["test_accuracy"] == pytest.approx(suspect.accuracy(test.images, test.labels))


def test_the_source_behind_a_transform_sees_changed_images(tmp_path):
    store = Store(tmp_path)
    asked = (("cem", made(store)),)
    jobs = (JudgeTransform(VICTIM, name, "digits", 50, asked) for name in ("", "flip"))
    plain, flipped = (json.loads((obtain(job, store) / ROWS).read_bytes()) for job in jobs)
    source = Classifier.load(store.get(VICTIM.key()))
    test = load("digits").test.take(np.arange(50))
    mirrored = source.predict_labels(np.ascontiguousarray(test.images[:, :, ::-1]))
    assert plain["test_accuracy"] == pytest.approx(source.accuracy(test.images, test.labels))
    assert flipped["test_accuracy"] == pytest.approx(np.mean(mirrored == test.labels))
    assert flipped["cae_accuracy"]["cem"] == pytest.approx(
        np.mean(mirrored[:20] == test.labels[:20])
    )


def test_a_training_is_followed_from_first_to_last_step(tmp_path):
    store = Store(tmp_path)
    model = dataclasses.replace(VICTIM, seed=3_500, role="evaluation", images=0)
    job = FollowTraining(model, made(store), points=4)
    row = json.loads((obtain(job, store) / ROWS).read_bytes())
    steps = [point["step"] for point in row["points"]]
    assert steps[0] == 0 and steps[-1] == row["points"][0]["steps"] == 24
    assert not store.has(model.key())  # followed, not kept
    # The last point is the trained model itself, but for the float16 in which it is kept.
    trained = Classifier.load(obtain(model, store))
    test = load("digits").test
    accuracy = np.mean(trained.predict_labels(test.images) == test.labels)
    assert row["points"][-1]["test_accuracy"] == pytest.approx(accuracy, abs=0.01)


@pytest.mark.parametrize("name", PROFILES)
def test_cases_have_attackers_seeds_and_their_own_repeats(name):
    found = cases.cases(PROFILES[name])
    everyone = [job for jobs in found.values() for job in jobs]
    first = FIRST_SEED[Role.ATTACKER]
    for jobs in found.values():
        assert [job.seed - first for job in jobs] == list(range(len(jobs)))
    assert len({job.key() for job in everyone}) == len(everyone)
    for job in everyone:
        if job.pretrained is not None:
            assert job.pretrained.role == Role.ATTACKER and job.pretrained.seed == job.seed


def test_every_attack_of_the_paper_is_a_case():
    attacks = {jobs[0].attack.name for jobs in cases.cases(PROFILES["paper"]).values()}
    assert attacks == set(REMOVALS)
