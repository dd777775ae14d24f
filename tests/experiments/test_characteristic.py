"""The second paper's jobs: who is asked, what the scores are, which frequencies matter."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from cemfp.engine.jobs import from_json, obtain, plan, to_json
from cemfp.jobs.fingerprint import ROWS
from cemfp.jobs.train import Net, TrainNet
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.roles import Role, RoleError
from cemfp.numerics import ops
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments.jobs import base_models
from experiments.jobs.base_models import cnn1_setting, fingerprints, forms, imagenet_setting, pruned
from experiments.jobs.characteristic import (
    AskModels,
    ShowExamples,
    frequency_saliency,
    uniqueness_rows,
)
from experiments.profiles import PROFILES

RECIPE = Recipe(epochs=1, batch_size=50, learning_rate=0.02, flip=False, pad=0, precision="float32")
TINY = Net(arguments=(("width", 1), ("depth", 8)))
BASE = TrainNet("digits", RECIPE, 0, "source", net=TINY, images=200)


pytestmark = pytest.mark.usefixtures("quick_net")


@pytest.fixture
def setting():
    """One variant, one pruned copy at two ratios, few steps."""
    return dataclasses.replace(
        cnn1_setting(PROFILES["demo"]),
        base=BASE,
        variants=(dataclasses.replace(BASE, seed=3_500, role="evaluation"),),
        pruning=RECIPE,
        ratios=(0.5, 0.9),
        repeats=1,
        deltas=(0.01,),
        bands=(2,),
        size=12,
        steps=30,
    )


def ask(setting, *names):
    made = fingerprints(setting)
    models = [("base", setting.base), ("variant", setting.variants[0])]
    models += [(f"pruned {ratio:g}", jobs[0]) for ratio, jobs in pruned(setting).items()]
    return AskModels(tuple(models), tuple((name, made[name]) for name in names))


def test_every_model_answers_every_fingerprint(setting, tmp_path):
    store = Store(tmp_path)
    job = ask(setting, "c 0 | 0", "ltrc k2 image 0.01 | 0", "ltrc k2 signed 0 | 0")
    row = json.loads((obtain(job, store, lambda text: None) / ROWS).read_bytes())
    groups = [model["group"] for model in row["models"]]
    assert groups == ["base", "variant", "pruned 0.5", "pruned 0.9"]
    by_group = {model["group"]: model for model in row["models"]}
    assert set(by_group["base"]["cae_accuracy"]) == {name for name, _ in job.fingerprints}
    assert set(by_group["base"]["cae_accuracy"].values()) == {1.0}  # what it failed is left out
    assert by_group["pruned 0.9"]["sparsity"] == pytest.approx(0.9, abs=1e-3)
    facts = row["fingerprints"]
    assert facts["ltrc k2 signed 0 | 0"]["domain"] == "signed"
    assert facts["c 0 | 0"]["data"]["name"] == "none"
    shown = ShowExamples(job.fingerprints, count=3)
    examples = json.loads((obtain(shown, store, lambda text: None) / ROWS).read_bytes())
    levels = examples["examples"]["c 0 | 0"]
    assert set(levels) <= {"0", "1", "2"}
    assert {np.shape(image) for image in levels.values()} == {(8, 8, 1)}


def test_a_model_of_the_defender_is_not_asked(setting, tmp_path):
    defender = dataclasses.replace(BASE, seed=1_500, role="defender")
    job = AskModels((("defender", defender),), ask(setting, "c 0 | 0").fingerprints)
    with pytest.raises(RoleError, match="defender"):
        obtain(job, Store(tmp_path), lambda text: None)


def test_uniqueness_by_hand():
    """Two pruned copies 0.9 and 0.7, two variants 0.4 and 0.2, two fingerprints each."""
    answers = {"pruned": (0.9, 0.7), "variant": (0.4, 0.2)}
    models = [
        {"group": group, "cae_accuracy": {"a": value, "b": value, "other": 0.0}}
        for group, values in answers.items()
        for value in values
    ]
    found = uniqueness_rows({"models": models}, ["a", "b"], ["pruned"], "variant")
    # Means 0.8 and 0.3; each deviation is that of (x, x, y, y) with |x - y| = 0.2:
    # sqrt(4 * 0.01 / 3) = 0.11547; together sqrt(2) times as much.
    assert found["pruned"]["mean"] == pytest.approx(0.8)
    assert found["uniqueness pruned"]["mean"] == pytest.approx(0.5)
    assert found["uniqueness pruned"]["std"] == pytest.approx(np.sqrt(2) * 0.11547, rel=1e-4)
    assert found["uniqueness pruned"]["n"] == 4


def test_saliency_is_the_gradient_in_the_coefficients():
    """Against a tape through the inverse transform, image by image."""
    inputs = tf.keras.Input((4, 6, 2))
    x = tf.keras.layers.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    logits = tf.keras.layers.Dense(3)(tf.keras.layers.Flatten()(x))
    model = Classifier(tf.keras.Model(inputs, logits), ClassifierConfig("keras", (4, 6, 2), 3))
    rng = np.random.default_rng(0)
    images, labels = rng.random((5, 4, 6, 2), np.float32), rng.integers(3, size=5)
    sizes = []
    for image, label in zip(images, labels, strict=True):
        coefficients = ops.dct(tf.constant(image[np.newaxis]))
        with tf.GradientTape() as tape:
            tape.watch(coefficients)
            scores = model(ops.idct(coefficients))
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits([label], scores)
        sizes.append(np.abs(tape.gradient(loss, coefficients)[0]))
    found = frequency_saliency(model, images, labels, batch_size=2)
    np.testing.assert_allclose(found, np.mean(sizes, axis=0), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_makers_never_see_who_judges(profile):
    setting = cnn1_setting(profile)
    judges = {variant.key() for variant in setting.variants}
    judges |= {job.key() for own in pruned(setting).values() for job in own}
    makers = {job.key() for made in fingerprints(setting).values() for job in plan([made])}
    assert not judges & makers
    assert {variant.role for variant in setting.variants} == {Role.EVALUATION}
    assert len({variant.seed for variant in setting.variants} | {setting.base.seed}) == 1 + len(
        setting.variants
    )


def test_the_paper_profile_is_the_papers():
    setting = cnn1_setting(PROFILES["paper"])
    assert len(setting.variants) == 20 and setting.repeats == 5 and setting.size == 100
    assert setting.ratios == (0.8, 0.9, 0.95) and setting.deltas == (0.01, 0.03, 0.05, 0.07)
    names = set(forms(setting))
    wanted = {f"ltrc k{k} signed {d:g}" for k in (1, 2, 3) for d in (0, 0.01, 0.03, 0.05, 0.07)}
    assert wanted < names and {"c 0", "rc 0.01", "rc-gm 0.07", "ltrc k2 image 0.03"} < names
    assert "ltrc k1 image 0.01" not in names  # the mean stays: nothing is filtered
    imagenet = imagenet_setting()
    assert imagenet.ratios == (0.4, 0.5, 0.6, 0.7, 0.8) and imagenet.bands == (20,)
    assert imagenet.deltas == (0.001, 0.003, 0.005, 0.007)
    job = pruned(imagenet)[0.8][4]
    assert from_json(to_json(job)).key() == job.key()
    assert base_models.forms(imagenet)["rc-gm 0.001"].draws == 10
