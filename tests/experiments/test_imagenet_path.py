"""Table 1 from beginning to end, on small images and VGG nets with random weights."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from cemfp import data
from cemfp.data import Split, make_dataset
from cemfp.engine.jobs import obtain
from cemfp.jobs.fingerprint import ROWS
from cemfp.jobs.train import ImportNet
from cemfp.models.nets import NETS
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe
from experiments import characteristic
from experiments.common import CHARACTERISTIC
from experiments.jobs.base_models import imagenet_setting

SHAPE, CLASSES = (32, 32, 3), 4


@pytest.fixture
def images(monkeypatch):
    """A data set by the name of ImageNet: 24 random images."""
    rng = np.random.default_rng(0)

    def split(count):
        levels = rng.integers(0, 256, (count, *SHAPE), dtype=np.uint8)
        return Split(levels, np.arange(count) % CLASSES)

    made = make_dataset("imagenet224", split(16), split(8), tuple("abcd"), stand_in=True)
    monkeypatch.setitem(data.DATASETS, "imagenet224", lambda: made)
    data._load.cache_clear()
    yield
    data._load.cache_clear()


def weights(name, path):
    """A file of random weights in Keras' form."""
    tf.keras.utils.set_random_seed(len(name))
    model = NETS[f"imagenet-{name}"](SHAPE, CLASSES)
    # Of unit gain from layer to layer, so that random weights tell images apart.
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(tf.keras.initializers.HeNormal(seed=1)(layer.kernel.shape))
    model.save_weights(path)
    return ImportNet(
        name,
        "source" if name == "vgg16" else "evaluation",
        data="imagenet224",
        weights=str(path),
        input_shape=SHAPE,
        classes=CLASSES,
    )


@pytest.mark.slow
def test_table_1_and_its_figures_from_weights_files(images, tmp_path):
    setting = dataclasses.replace(
        imagenet_setting(),
        base=weights("vgg16", tmp_path / "vgg16.h5"),
        variants=(weights("vgg19", tmp_path / "vgg19.h5"),),
        pruning=Recipe(epochs=1, batch_size=8, learning_rate=1e-4, flip=False, pad=0),
        ratios=(0.4,),
        repeats=1,
        deltas=(0.001,),
        bands=(3,),
        size=8,
        steps=2,
    )
    store, rows = Store(tmp_path / "store"), {}
    for name, job in characteristic.jobs(setting).items():
        rows[name] = json.loads((obtain(job, store, lambda text: None) / ROWS).read_bytes())
    groups = {model["group"]: model for model in rows["answers"]["models"]}
    assert set(groups) == {"base", "pruned 0.4", "variant"}
    assert groups["pruned 0.4"]["sparsity"] == pytest.approx(0.4, abs=1e-4)
    assert groups["variant"]["net"] == "imagenet-vgg19"
    made = [facts for facts in rows["answers"]["fingerprints"].values() if facts["inputs"]]
    assert made
    published = CHARACTERISTIC["table1_imagenet_vgg16"]
    figures = tmp_path / "results" / "figures"
    characteristic.draw(rows, setting, published, "abcd", figures, "table1", "Table 1")
    table = (tmp_path / "results" / "table1.md").read_text()
    assert "40% pruned" in table and "sensitive samples" in table
    drawn = {path.name for path in figures.iterdir()}
    assert {
        "table1_fig1_gallery.png",
        "table1_fig2a_saliency.pdf",
        "table1_fig3_tradeoff.png",
    } <= drawn
