"""The jobs of the thief's detector and of sample correlation, on linear nets of digits."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from cemfp.engine.jobs import from_json, obtain, to_json
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.from_attack import FromAttack
from cemfp.fingerprint.misclassified import Misclassified
from cemfp.fingerprint.sac import sac_distance
from cemfp.jobs.fingerprint import FINGERPRINT, ROWS, MakeCandidates, MakeFingerprint
from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import Group
from cemfp.models.classifier import Classifier
from cemfp.models.nets import NETS
from cemfp.numerics.metrics import roc_auc
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments.jobs.detection import DetectFingerprint, TrainDetector, noisy
from experiments.jobs.sac import ScoreSAC

RECIPE = Recipe(
    epochs=20, batch_size=50, learning_rate=0.02, flip=False, pad=0, precision="float32"
)
TINY = Net(arguments=(("width", 1), ("depth", 8)))


@pytest.fixture(scope="module", autouse=True)
def quick_net():
    """In place of a ResNet a linear net, which compiles at once."""

    def build(shape, classes, *, width, depth):
        inputs = tf.keras.Input(shape)
        x = tf.keras.layers.Flatten()(inputs)
        return tf.keras.Model(inputs, tf.keras.layers.Dense(classes)(x))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETS, "resnet20", build)
        yield


def job(seed, role, **changes):
    return TrainNet("digits", RECIPE, seed, role, net=TINY, **{"images": 150} | changes)


SOURCE = job(0, "source")


def surrogate(seed, role):
    return job(seed, role, labels_from=SOURCE, labels="soft", images=0)


def group(role, first):
    return Group((surrogate(first, role), surrogate(first + 1, role)), (job(first + 2, role),))


MISTAKES = MakeFingerprint(
    MakeCandidates(Misclassified(), "digits", SOURCE, Group((), ()), count=40), size=20
)
DETECTOR = TrainDetector(
    surrogate(4000, "attacker"), "digits", 0.3, images=12, seed=3, recipe=RECIPE
)
DETECT = DetectFingerprint(DETECTOR, (("mistakes", MISTAKES),), benign=100)
SAC = ScoreSAC(MISTAKES, group("calibration", 2000), group("evaluation", 3000))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def rows(store, task):
    return json.loads((obtain(task, store) / ROWS).read_bytes())


def test_mistakes_are_a_study_method_like_any_other(store):
    made = Fingerprint.load(obtain(MISTAKES, store) / FINGERPRINT)
    source = Classifier.load(store.get(SOURCE.key()))
    assert made.method == "misclassified" and 5 <= len(made) <= 20
    np.testing.assert_array_equal(source.predict_labels(made.inputs), made.keys)
    assert (made.keys != made.true_labels).all()


def test_a_detectors_rows(store):
    row = rows(store, DETECT)
    found = row["fingerprints"]["mistakes"]
    assert found["benign"] == 100 and found["epsilon"] is None
    assert found["interval"][0] <= found["auc"] <= found["interval"][1]
    assert row["own_task"] == row["detector"]["own_task"]
    assert (row["detector"]["epsilon"], row["detector"]["seed"]) == (0.3, 3)
    assert row["surrogate"] == {"net": "resnet20", "role": "attacker"}
    thief = Classifier.load(store.get(DETECTOR.surrogate.key()))
    assert row["detector"]["surrogate_sha256"] == thief.weights_sha256


def test_the_control_is_noise_of_at_most_one_grey_level(store):
    images = np.array([0, 1, 128, 254, 255], np.uint8).repeat(200).reshape(10, 10, 10, 1)
    changes = noisy(images, 0).astype(int) - images
    assert set(np.unique(changes)) == {-1, 0, 1}
    assert abs(changes[images == 128].mean()) < 0.2
    assert rows(store, DETECT)["noise"]["adversarial"] == 100


def test_the_same_detector_again_gives_the_same_rows(store, tmp_path):
    assert rows(Store(tmp_path), DETECT) == rows(store, DETECT)


def test_a_method_that_found_nothing_has_no_detection(store):
    # 0.001 is a quarter of a grey level: rounded, no image moves, and none leaves its class.
    still = dataclasses.replace(MISTAKES.candidates, method=FromAttack("fgm", 0.001))
    asked = (("some", MISTAKES), ("none", MakeFingerprint(still, size=5)))
    found = rows(store, dataclasses.replace(DETECT, fingerprints=asked))["fingerprints"]
    assert found["none"] is None and found["some"]["adversarial"] >= 5


def test_sample_correlation_by_definition(store):
    result = rows(store, SAC)
    made = Fingerprint.load(store.get(MISTAKES.key()) / FINGERPRINT)

    def answers(task):
        logits = Classifier.load(store.get(task.key())).predict_logits(made.inputs)
        return tf.nn.softmax(logits).numpy()

    jobs = [*SAC.calibration.everyone, *SAC.evaluation.everyone]
    expected = [sac_distance(answers(SOURCE), answers(task)) for task in jobs]
    np.testing.assert_allclose([row["distance"] for row in result["models"]], expected, atol=1e-5)
    scores = [1 - distance for distance in expected]
    assert result["evaluation"]["auc"] == roc_auc(scores[3:5], scores[5:])
    assert result["calibration"]["surrogates"]["mean"] == pytest.approx(np.mean(scores[:2]))
    assert result["fingerprint"]["inputs"] == len(made)


def test_copies_are_nearer_to_the_source_than_strangers(store):
    models = rows(store, SAC)["models"]
    near = [row["distance"] for row in models if row["origin"] == "surrogate"]
    far = [row["distance"] for row in models if row["origin"] == "reference"]
    assert max(near) < min(far)


def test_models_of_another_role_are_refused(store):
    swapped = dataclasses.replace(SAC, calibration=SAC.evaluation)
    with pytest.raises(ValueError, match="sample correlation, calibration models"):
        obtain(swapped, store)


@pytest.mark.parametrize("task", [DETECT, SAC], ids=["detect", "sac"])
def test_jobs_travel_and_name_all_they_need(task):
    assert from_json(to_json(task)) == task
    names = {needed.key() for needed in task.dependencies()}
    assert MISTAKES.key() in names
    assert (DETECTOR.surrogate if task is DETECT else SOURCE).key() in names


def test_every_field_of_a_detector_counts_in_its_key():
    others = [
        dataclasses.replace(DETECTOR, **change)
        for change in (
            {"surrogate": surrogate(4001, "attacker")},
            {"epsilon": 0.2},
            {"images": 13},
            {"seed": 4},
            {"recipe": Recipe()},
        )
    ]
    assert len({DETECTOR.key(), *(other.key() for other in others)}) == 6
