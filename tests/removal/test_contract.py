"""What holds for every removal attack, whatever else it does."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from cemfp.data import load
from cemfp.models.classifier import Classifier
from cemfp.removal import REMOVALS, Removal, Thief, remove
from cemfp.suspects import answer_labels, open_suspect
from cemfp.training.recipe import Recipe
from tests.removal.conftest import untrained

SHORT = Recipe(
    epochs=1, batch_size=16, learning_rate=0.05, flip=False, pad=0, precision="float32"
)  # fmt: skip
IMAGES, TEST, SHAPE = 60, 40, (8, 8, 1)
NET = ("one-convolution", {"width": 4})

# Hyper-parameters that the small numbers above need; and the number of queries they then cost.
PARAMETERS = {
    "knockoff": {"budget": 20},
    "papernot": {"budget": 50},
    "ground-truth": {"share": 0.3},
    "advtrain": {"steps": 2, "robust_images": 20},
    "tflite-int8": {"samples": 5},
}
QUERIES = {
    "knockoff": 20,
    "papernot": 48,  # 12, doubled twice
    "ground-truth": 42,  # (1 - 0.3) 60
}
# DP-SGD needs group norm, which this net has not.
NETS = {"dp-sgd": ("resnet20", {"width": 2, "depth": 8})}

KEYS = {
    "attack", "family", "parameters", "net", "arguments", "seed", "recipe", "precision", "data",
    "transfer_set", "transfer_images", "victim_sha256", "test_accuracy", "victim_accuracy",
    "agreement", "queries", "seconds", "facts",
}  # fmt: skip


class Victim(Classifier):
    """Counts the images that it is asked for."""

    asked = 0

    def predict_logits(self, images, batch_size=500):
        """Answer as ever."""
        self.asked += len(images)
        return super().predict_logits(images, batch_size)


@dataclasses.dataclass
class Case:
    """One attack that has been run."""

    name: str
    thief: Thief
    before: str
    asked: int
    removal: Removal


def make_thief(name, *, seed):
    digits = load("digits")
    net, arguments = NETS.get(name, NET)
    victim = untrained(NET[0], SHAPE, 10, **NET[1])
    return Thief(
        victim=Victim(victim.model, victim.config),
        dataset=dataclasses.replace(digits, test=digits.test.take(np.arange(TEST))),
        recipe=SHORT,
        seed=seed,
        images=digits.train.take(np.arange(IMAGES)),
        net=net,
        arguments=arguments,
        pretrained=untrained(net, SHAPE, 10, seed=5, **arguments),
    )


def run(name, *, seed):
    if name == "dp-sgd":
        pytest.importorskip("tensorflow_privacy")
    thief = make_thief(name, seed=seed)
    before = thief.victim.weights_sha256
    removal = remove(REMOVALS[name](**PARAMETERS.get(name, {})), thief)
    return Case(name, thief, before, thief.victim.asked, removal)


@pytest.fixture(scope="module", params=REMOVALS)
def case(request):
    return run(request.param, seed=1)


def content(removal):
    """Hash of the weights; of a file, in which names change, of its scores."""
    model = removal.classifier
    if isinstance(model, Classifier):
        return model.weights_sha256
    return hashlib.sha256(model(load("digits").test.images).tobytes()).hexdigest()


def test_the_attack_says_what_it_is(case):
    attack = REMOVALS[case.name]
    assert attack.name == case.name and attack.__doc__.splitlines()[0].endswith((".", "]."))
    assert attack.family in ("modification", "extraction", "adapted")
    assert set(attack.needs) <= {"weights", "queries", "labels", "images", "pretrained"}
    assert ("weights" in attack.needs) == attack.like_victim
    assert ("weights" in attack.needs) != ("queries" in attack.needs)
    assert attack.recipe is None or isinstance(attack.recipe, Recipe)
    assert hash(attack()) == hash(attack())  # frozen, and made without arguments


def test_the_victim_stays_as_it_was(case):
    assert case.thief.victim.weights_sha256 == case.before
    assert case.removal.summary["victim_sha256"] == case.before


def test_victim_and_loot_share_no_variable(case):
    if not isinstance(case.removal.classifier, Classifier):
        return  # a file
    models = (case.removal.classifier.model, case.thief.victim.model)
    assert not set.intersection(*({id(v) for v in model.variables} for model in models))
    assert content(case.removal) != case.before


def test_the_loot_answers_and_can_be_saved_and_opened(case, tmp_path):
    images = case.thief.dataset.test.images
    labels = case.removal.classifier.predict_labels(images)
    assert labels.shape == (TEST,) and labels.dtype.kind == "i"
    case.removal.save(tmp_path / "loot")
    opened = open_suspect(str(tmp_path / "loot"), input_shape=SHAPE, classes=10)
    np.testing.assert_array_equal(answer_labels(opened, images, 10), labels)
    saved = json.loads((tmp_path / "loot" / "summary.json").read_text())
    assert saved == json.loads(json.dumps(case.removal.summary))


def test_the_loot_is_an_attackers_surrogate(case):
    if not isinstance(case.removal.classifier, Classifier):
        return  # a file has no role
    config = case.removal.classifier.config
    assert (config.role, config.origin) == ("attacker", "surrogate")
    assert config.training["attack"] == case.name
    if REMOVALS[case.name].like_victim:
        assert (config.net, config.arguments) == NET


def test_the_summary_has_all_of_it(case):
    summary, test = case.removal.summary, case.thief.dataset.test
    assert set(summary) >= KEYS
    json.dumps(summary, allow_nan=False)
    mine = case.removal.classifier.predict_labels(test.images)
    victims = case.thief.victim.predict_labels(test.images)
    assert summary["test_accuracy"] == pytest.approx(np.mean(mine == test.labels))
    assert summary["victim_accuracy"] == pytest.approx(np.mean(victims == test.labels))
    assert summary["agreement"] == pytest.approx(np.mean(mine == victims))
    assert summary["transfer_images"] == IMAGES and summary["seed"] == 1
    trains = REMOVALS[case.name].recipe is not None
    assert summary["recipe"] == (dataclasses.asdict(SHORT) if trains else None)
    assert summary["facts"] or case.name in ("retrain", "black-box", "jagielski", "label-smoothing")


def test_queries_are_counted_to_the_image(case):
    summary = case.removal.summary
    if "weights" in REMOVALS[case.name].needs:
        assert summary["queries"] == 0
        return
    assert summary["queries"] == QUERIES.get(case.name, IMAGES)
    # Besides, the accuracy and the agreement are measured with one look at each test image.
    assert case.asked == summary["queries"] + TEST


def test_the_seed_decides(case):
    assert content(run(case.name, seed=1).removal) == content(case.removal)
    drawn = content(run(case.name, seed=2).removal) != content(case.removal)
    assert drawn is (case.name != "quantize")
