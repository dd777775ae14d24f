"""Public weights to start from: which layers they reach, in each form of file."""

import h5py
import numpy as np
import pytest
import tensorflow as tf

from cemfp.models.classifier import Classifier
from cemfp.models.start import StartError, begin_from, read_start, share_of


def backbone(seed):
    """Three layers, as a published net without its head; random, but not as if untrained."""
    tf.keras.utils.set_random_seed(seed)
    inputs = tf.keras.Input((8, 8, 1))
    x = tf.keras.layers.Conv2D(8, 3, name="first")(inputs)
    x = tf.keras.layers.BatchNormalization(name="norm")(x)
    x = tf.keras.layers.DepthwiseConv2D(3, name="depth")(x)
    model = tf.keras.Model(inputs, x, name="published")
    rng = np.random.default_rng(seed)
    model.set_weights([rng.random(w.shape) for w in model.get_weights()])
    return model


def owners(classes=10):
    """A net as owners make it: the published one as a layer, a head of one's own."""
    inputs = tf.keras.Input((8, 8, 1))
    x = tf.keras.layers.Rescaling(2.0, -1.0)(inputs)
    x = tf.keras.layers.GlobalAveragePooling2D()(backbone(5)(x))
    return tf.keras.Model(inputs, tf.keras.layers.Dense(classes, name="head")(x))


def same(model, published):
    """Whether the layers of `published` have its weights in `model`."""
    inner = model.get_layer("published")
    pairs = zip(inner.get_weights(), published.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("form", ["weights", "nested weights", "model", "whole", "directory"])
def test_every_form_of_file_reaches_its_layers(tmp_path, form):
    published = backbone(1)
    path = tmp_path / "start.h5"
    if form == "weights":
        published.save_weights(path)
    elif form == "model":  # an .h5 of the model, too: only its arrays are read
        with pytest.warns(UserWarning, match="HDF5"):
            published.save(path)
    else:
        whole = owners(classes=7)  # trained for another task: its head does not fit
        whole.get_layer("published").set_weights(published.get_weights())
        if form == "nested weights":
            whole.save_weights(path)
        else:
            path = tmp_path / "start.keras"
            whole.save(path)
        if form == "directory":
            Classifier.from_keras(path).save(tmp_path / "start")
            path = tmp_path / "start"
    model = owners()
    head = model.get_layer("head").get_weights()
    share = begin_from(model, read_start(path))
    assert same(model, published)
    assert np.array_equal(model.get_layer("head").get_weights()[0], head[0])
    assert share == pytest.approx(published.count_params() / model.count_params())


def test_numbered_names_mislead_nobody():
    """Keras numbers layers without a name as they are made: the same net has others later."""

    def net():
        inputs = tf.keras.Input((8, 8, 1))
        x = inputs
        for _ in range(3):
            x = tf.keras.layers.Conv2D(1, 3, padding="same")(x)
        return tf.keras.Model(inputs, x)

    tf.keras.backend.clear_session()
    first, second = net(), net()
    named = {layer.name: layer.get_weights() for layer in first.layers if layer.weights}
    shifted = {f"conv2d_{number + 2}": own for number, own in enumerate(named.values())}
    assert begin_from(second, shifted) == 1.0
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_weights_of_another_net_are_refused(tmp_path):
    other = tf.keras.Sequential([tf.keras.layers.Dense(4, name="other", input_shape=(3,))])
    other.save_weights(tmp_path / "other.h5")
    with pytest.raises(StartError, match="0% of it; name the file that the model started from"):
        share_of(read_start(tmp_path / "other.h5"), owners(), "other.h5")


def test_what_is_no_weights_file_is_refused(tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(StartError, match="expected weights to start from"):
        read_start(path)
    path.write_bytes(b"not HDF5")
    with pytest.raises(StartError, match="a damaged file, or one of another form"):
        read_start(path)
    backbone(1).save_weights(tmp_path / "new.weights.h5")  # Keras 3 has another form
    with pytest.raises(StartError, match="of another form"):
        read_start(tmp_path / "new.weights.h5")
    published = backbone(1)
    published.get_layer("depth").set_weights([np.full((3, 3, 8, 1), np.nan), np.zeros(8)])
    published.save_weights(tmp_path / "nan.h5")
    with pytest.raises(StartError, match="NaN or infinity"):
        read_start(tmp_path / "nan.h5")
    with h5py.File(tmp_path / "objects.h5", "w") as file:
        group = file.create_group("layer")
        group.create_dataset("words", data=[b"code"])
        group.attrs["weight_names"], file.attrs["layer_names"] = [b"words"], [b"layer"]
    with pytest.raises(StartError, match="an array of"):
        read_start(tmp_path / "objects.h5")
    with pytest.raises(StartError, match="no such file"):
        read_start(tmp_path / "nothing")
