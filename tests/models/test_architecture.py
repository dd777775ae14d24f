"""Keras models as classifier directories: the same model again; no code of a stranger's runs."""

import json
import time

import numpy as np
import pytest
import tensorflow as tf

from cemfp.models import rebuilding
from cemfp.models.architecture import ArchitectureError, check
from cemfp.models.classifier import Classifier, ClassifierError
from cemfp.removal.attack import Removal
from tests.models.test_classifier import alter, contents
from tests.models.test_kinds_of_keras import CLASSES, IMAGES, KINDS, SHAPE, L, conv, stacked

CAFFE = {"scale": 255.0, "offset": (-103.9, -116.8, -123.7), "bgr": True}


def shared():
    """One layer called twice, and a model twice."""
    inputs, layer = tf.keras.Input(SHAPE), conv(3)
    body = stacked(conv(), head=None)
    x = layer(layer(inputs))
    return tf.keras.Model(inputs, body(x) + body(inputs))


def not_built():
    """A sequential model without an input of its own, inside another."""
    return stacked(tf.keras.Sequential([conv(), tf.keras.Sequential([conv(), L.MaxPooling2D()])]))


def functions():
    """Constants first, several results, slices, shapes."""

    def body(x):
        left, right = tf.split(1.0 - x * [1.0, 2.0, 3.0], [1, 2], axis=-1)
        x = tf.concat([tf.nn.gelu(left), right[:, ::2, :, :1]], axis=1)
        x = tf.pad(tf.transpose(x, [0, 2, 1, 3]), [[0, 0], [1, 1], [0, 0], [0, 0]])
        return tf.reshape(tf.cast(x > 0.1, tf.float32) * x**2 / 3.0, (-1, 14, 18, 1))

    return stacked(body, conv())


def patches():
    """Patches that look at each other, as in a vision transformer."""
    inputs = tf.keras.Input(SHAPE)
    x = L.Reshape((36, 12))(L.Conv2D(12, 2, 2)(inputs))
    y = L.MultiHeadAttention(2, 6, dropout=0.1)(y := L.LayerNormalization(epsilon=1e-6)(x), y)
    y = L.EinsumDense("abc,cd->abd", (None, 24), bias_axes="d")(L.Add()([x, y]))
    y = L.Dense(12)(L.Dropout(0.1)(L.Activation(tf.nn.gelu)(y)))
    return tf.keras.Model(inputs, L.Dense(CLASSES)(L.GlobalAveragePooling1D()(x + y)))


def adapted():
    """Mean and variance from data: they are weights."""
    layer = L.Normalization()
    layer.adapt(IMAGES * 255)
    return stacked(layer, conv())


def convnext():
    from keras.src.applications.convnext import ConvNeXt

    settings = {"depths": (1, 1, 1, 1), "projection_dims": (4, 8, 8, 8), "drop_path_rate": 0.1}
    return ConvNeXt(**settings, weights=None, input_shape=(32, 32, 3), classes=CLASSES)


MORE = {
    "shared": shared,
    "not built": not_built,
    "functions": functions,
    "patches": patches,
    "adapted": adapted,
    "ConvNeXt of Keras": convnext,
    "MobileNetV3 of Keras": lambda: tf.keras.applications.MobileNetV3Small(
        (32, 32, 3), alpha=0.35, minimalistic=True, weights=None, classes=CLASSES
    ),
    "regularised": lambda: stacked(
        conv(kernel_regularizer="l2", kernel_initializer="he_normal", bias_constraint="non_neg")
    ),
}


def images(count, shape):
    return np.random.default_rng(3).random((count, *shape), np.float32)


LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in MORE if "of Keras" in name]
SMALL = [name for name in (*KINDS, *MORE) if "of Keras" not in name]


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_a_directory_is_the_same_model(name, tmp_path):
    tf.keras.utils.set_random_seed(1)
    source = Classifier.from_keras((KINDS | MORE)[name](), **CAFFE)
    source.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "weights.npz"}
    again = Classifier.load(tmp_path)
    shown = images(5, source.input_shape)
    ours, theirs = (np.asarray(x(tf.constant(shown))) for x in (again, source))
    np.testing.assert_array_equal(ours, theirs)
    assert again.convention == source.convention and again.weights_sha256 == source.weights_sha256


def test_half_of_a_keras_model_is_a_keras_model_again(tmp_path):
    source = Classifier.from_keras(stacked(conv(), L.BatchNormalization()), **CAFFE)
    half = source.half()
    half.save(tmp_path / "half")
    source.save(tmp_path / "whole")
    sizes = [(tmp_path / x / "weights.npz").stat().st_size for x in ("half", "whole")]
    assert sizes[0] < sizes[1] and half.convention == source.convention
    np.testing.assert_allclose(
        Classifier.load(tmp_path / "half").predict_logits(IMAGES),
        source.predict_logits(IMAGES),
        rtol=0.05,
        atol=0.05,
    )


def test_the_description_depends_on_the_layers_alone():
    """Not on how many layers of the same kind the process had built before."""

    def described():
        inputs = tf.keras.Input(SHAPE, name="pixels")
        x = L.Dense(CLASSES, name="head")(L.Flatten(name="flat")(inputs))
        model = tf.keras.Model(inputs, x, name="mine")
        return rebuilding.describe(Classifier.from_keras(model, scale=2.0, offset=-1.0).model)

    assert described() == described()


class Own(L.Layer):
    def call(self, x):
        return 2 * x


@pytest.mark.parametrize(
    "layer",
    [L.Lambda(lambda x: x), Own(), L.LSTM(3), lambda x: tf.einsum("abcd,abcd->abcd", x, x)],
    ids=["lambda", "custom", "not known", "Keras loses a part"],
)
def test_what_no_directory_can_describe_keeps_its_keras_file(layer, tmp_path):
    inputs = tf.keras.Input(SHAPE)
    x = L.Reshape((12, 36))(inputs) if isinstance(layer, L.LSTM) else inputs
    x = L.Flatten()(layer(x))
    source = Classifier.from_keras(tf.keras.Model(inputs, L.Dense(CLASSES)(x)))
    with pytest.raises(ClassifierError, match=r"keep its \.keras file") as caught:
        source.save(tmp_path)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
    if not callable(getattr(layer, "numpy", layer)) or isinstance(layer, L.Layer):
        Removal(source, {}).save(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "summary.json"}


@pytest.fixture
def saved(tmp_path):
    Classifier.from_keras(stacked(conv(), L.BatchNormalization(), head=None)).save(tmp_path / "net")
    return tmp_path / "net"


def named(raw, name):
    """The first thing of a class, anywhere in a description."""
    parts = raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ()
    if isinstance(raw, dict) and raw.get("class_name") == name:
        return raw
    return next(filter(None, (named(part, name) for part in parts)), None)


def deep(raw):
    for _ in range(100):
        inner = {"name": "a", "layers": [raw], "trainable": True}
        raw = {"module": "keras", "class_name": "Sequential", "config": inner}
        raw["registered_name"] = None
    return raw


def change(name, **fields):
    """Return a function that changes fields of a layer, or settings with the prefix `config_`."""

    def changed(raw):
        layer = named(raw, name)
        for key, value in fields.items():
            place = layer["config"] if key.startswith("config_") else layer
            place[key.removeprefix("config_")] = value
        return raw

    return changed


def without_module(raw):
    del named(raw, "Conv2D")["module"]
    return raw


def circle(raw):
    """A layer that waits for itself, for which Keras waits without end."""
    layer = named(raw, "Conv2D")
    layer["inbound_nodes"] = [[[layer["name"], 0, 0, {}]]]
    return raw


def no_such_result(raw):
    layer = named(raw, "Conv2D")
    place = layer["inbound_nodes"][0][0]
    layer["inbound_nodes"] = [[[*place[:3], {"mask": [place[0], 0, 99]}]]]
    return raw


CODE = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
FUNCTION = {"module": "os", "class_name": "function", "config": "system", "registered_name": "x"}
HOSTILE = {
    "lambda": change("Conv2D", class_name="Lambda"),
    "lambda with its code": change("Conv2D", class_name="Lambda", config={"function": CODE}),
    "custom": change("Conv2D", registered_name="Custom>Own"),
    "module os": change("Conv2D", module="os", class_name="system"),
    "known name of module os": change("Conv2D", module="os"),
    "another module of Keras": change("Conv2D", module="keras.utils"),
    "without a module": without_module,
    "function type": change("Conv2D", config_function_type="lambda", config_function=["4wEA"]),
    "function of a module": change("Conv2D", config_activation=FUNCTION),
    "code for an activation": change("Conv2D", config_activation=CODE),
    "unknown activation": change("Conv2D", config_activation="__import__"),
    "code for an initializer": change("Conv2D", config_kernel_initializer=CODE),
    "initializer of a module": change("Conv2D", config_kernel_initializer=FUNCTION),
    "initializer by name": change("Conv2D", config_kernel_initializer="zeros"),
    "function of TensorFlow": change(
        "Activation",
        class_name="TFOpLambda",
        module="keras.src.layers.core.tf_op_layer",
        config={"name": "a", "function": "io.read_file"},
    ),
    "a tensor": change("Conv2D", config_filters={"class_name": "__tensor__", "config": {}}),
    "compiled": change("Functional", compile_config={"optimizer": "adam"}),
    "built": change("Conv2D", build_config={"input_shape": [None, 4]}),
    "many filters": change("Conv2D", config_filters=2**40),
    "more weights than the file": change("Conv2D", config_filters=2**22),
    "a large image": change("InputLayer", config_batch_input_shape=[None, 2**23, 2**23, 3]),
    "NaN": change("BatchNormalization", config_epsilon=float("nan")),
    "infinity": change("BatchNormalization", config_momentum=float("inf")),
    "models in models": deep,
    "a thousand lists": change("Conv2D", config_strides=json.loads("[" * 500 + "]" * 500)),
    "many layers": lambda raw: raw["config"].update(layers=raw["config"]["layers"] * 1_000) or raw,
    "circle": circle,
    "no such result": no_such_result,
    "no layers": change("Functional", config_layers=[]),
    "another shape": change("InputLayer", config_batch_input_shape=[None, 9, 9, 3]),
    "nothing": lambda raw: {},
    "a list": lambda raw: [raw],
    "a text": lambda raw: "Functional",
    "none": lambda raw: None,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_directory_is_one_line_at_once(name, saved):
    alter(saved, architecture=HOSTILE[name](contents(saved)["architecture"]))
    start = time.perf_counter()
    with pytest.raises(ClassifierError) as caught:
        Classifier.load(saved)
    assert time.perf_counter() - start < 5
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_no_code_of_a_directory_runs(saved, tmp_path, monkeypatch):
    """A module that the description names would be imported by Keras' own loader."""
    marker = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Conv2D: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    architecture = change("Conv2D", module="evil", registered_name="Own")(
        contents(saved)["architecture"]
    )
    alter(saved, architecture=architecture)
    with pytest.raises(ClassifierError, match="Conv2D of Keras itself"):
        Classifier.load(saved)
    assert not marker.exists()


def test_lists_in_lists_without_end(saved):
    text = (saved / "config.json").read_text()
    nested = "[" * 100_000 + "]" * 100_000
    (saved / "config.json").write_text(text.replace('"training": {}', f'"training": {nested}'))
    with pytest.raises(ClassifierError) as caught:
        Classifier.load(saved)
    assert "\n" not in str(caught.value)


def test_only_keras_nets_have_an_architecture(saved):
    alter(saved, net="resnet20", arguments={})
    with pytest.raises(ClassifierError, match="an architecture of 'keras' alone"):
        Classifier.load(saved)


def test_what_is_no_json_is_refused_as_well():
    for value in (float("nan"), {1: 2}, object(), {"class_name": ["Functional"]}):
        with pytest.raises(ArchitectureError):
            check(value)


def test_nothing_is_allocated_beyond_what_is_allowed():
    made = rebuilding.describe(stacked(conv()))
    with pytest.raises(ArchitectureError, match="at most 10 weights"):
        rebuilding.build(made, most=10)
    assert rebuilding.build(made, most=10_000).count_params() == 3 * 9 * 6 + 6 + 6 * 4 + 4
