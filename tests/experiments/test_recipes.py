"""Recipes and variants of the images: jobs on small nets of digits, tables by hand."""

import json

import numpy as np
import pytest
import tensorflow as tf

from cemfp.engine.jobs import plan
from cemfp.jobs.train import Net, TrainNet
from cemfp.models.nets import NETS
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments import image_variants, recipes
from experiments.jobs.recipes import MeasureRecipe, Tricks, _Average, whitening_filters

RECIPE = Recipe(epochs=2, batch_size=50, flip=False, pad=0, precision="float32", optimizer="muon")
NET = Net(arguments=(("width", 4), ("depth", 8)))


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    job = MeasureRecipe(
        TrainNet("digits", RECIPE, 3, "source", net=NET, images=0),
        Tricks(whiten=True, identity=True, average=0.5, statistics=0.8),
    )
    out = tmp_path_factory.mktemp("recipe")
    job.run(Store(out / "store"), out, lambda text: None)
    return json.loads((out / "rows.json").read_text())


def test_a_row_says_what_was_trained_and_what_it_took(row):
    assert 0.0 <= row["test_accuracy"] <= 1.0
    assert row["core_seconds"] > 0 and row["flops"] > 0 and row["seed"] == 3
    assert row["recipe"]["optimizer"] == "muon" and row["tricks"]["whiten"]


def test_the_net_is_trained_once():
    some = next(iter(recipes.jobs(None).values()))
    assert plan([some]) == [some]


def test_whitened_patches_are_uncorrelated():
    rng = np.random.default_rng(0)
    smooth = tf.nn.avg_pool(rng.uniform(0, 255, (200, 20, 20, 3)), 3, 1, "SAME").numpy()
    kernel = whitening_filters(smooth.astype(np.uint8), (3, 3, 3, 8))
    assert np.array_equal(kernel[..., 4:], -kernel[..., :4])
    images = smooth.astype(np.uint8).astype(np.float32) / 255
    outputs = tf.nn.conv2d(images, kernel[..., :4], 1, "VALID").numpy().reshape(-1, 4)
    covariance = np.cov(outputs.T)
    assert np.allclose(covariance, np.diag(np.diag(covariance)), atol=0.05)
    assert np.allclose(np.diag(covariance), 1.0, atol=0.15)


def test_the_average_of_the_weights_by_hand():
    net = NETS["resnet20"]((8, 8, 1), 2, width=1, depth=8)
    average = _Average(0.5)
    for done, value in enumerate((0.0, 4.0, 8.0)):
        net.set_weights([np.full_like(weight, value) for weight in net.get_weights()])
        average(done, 2, net)
    # 0, then (0 + 4) / 2 = 2, then (2 + 8) / 2.
    assert all(np.allclose(weight, 5.0) for weight in net.get_weights())


def test_trials_are_gathered_over_their_seeds(tmp_path):
    names = [name for name in recipes.jobs(None) if name.startswith("muon |")]
    assert names == ["muon | 0", "muon | 1"]
    facts = {"core_seconds": 100.0, "flops": 1e14, "precision": "float32"}
    facts["data"] = {"name": "cifar10", "note": "copy", "train_size": 50_000}
    rows = {
        name: {"test_accuracy": accuracy, **facts}
        for name, accuracy in zip(names, (0.80, 0.82), strict=True)
    }
    recipes.draw(rows | {"sgd | 0": {"missing": "not run yet"}}, None, tmp_path / "figures")
    assert "| muon | 2 | 81.00% | 80.00% to 82.00% |" in (tmp_path / "recipes.md").read_text()
    assert (tmp_path / "figures" / "recipes.png").is_file()


def test_the_table_of_variants(tmp_path):
    seen = {"auc": 1.0, "interval": [1.0, 1.0]}
    row = {
        "test_accuracy": 0.8, "test_accuracy_behind_jpeg": 0.7, "grey_levels_changed_by_jpeg": 2.5,
        "noise_seen_by_noise_detector": seen, "noise_seen_by_fgm_detector": seen,
        "fgm_seen_by_fgm_detector": seen, "recipe": {"epochs": 4},
    }  # fmt: skip
    image_variants.draw({"cifar10-noise1": row}, None, tmp_path / "figures")
    text = (tmp_path / "image_variants.md").read_text()
    assert "| cifar10-noise1 | 80.00% | 70.00% | 2.50 | 1.000 [1.000, 1.000] |" in text
