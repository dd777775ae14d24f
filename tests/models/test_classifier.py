"""Classifiers on disk, damaged and whole, and a user's own Keras models."""

import dataclasses
import hashlib
import io
import json
import pickle  # noqa: TID251 - to show that a pickle is refused
import shutil

import numpy as np
import pytest
import tensorflow as tf

from cemfp.models.classifier import Classifier, ClassifierConfig, ClassifierError
from cemfp.models.nets import NETS
from cemfp.models.roles import Origin, Role
from tests.small_classifiers import linear

SHAPE, CLASSES = (8, 8, 1), 4
ARGUMENTS = {"width": 2, "depth": 8}


@pytest.fixture(scope="module")
def classifier():
    tf.keras.utils.set_random_seed(0)
    model = NETS["resnet20"](SHAPE, CLASSES, **ARGUMENTS)
    rng = np.random.default_rng(0)
    # Batch-norm statistics, too, differ from a fresh net's.
    model.set_weights([rng.random(w.shape, np.float32) for w in model.get_weights()])
    config = ClassifierConfig(
        "resnet20", SHAPE, CLASSES, ARGUMENTS, Role.DEFENDER, Origin.SURROGATE, {"seed": 3}
    )
    return Classifier(model, config)


@pytest.fixture
def saved(classifier, tmp_path):
    classifier.save(tmp_path)
    return tmp_path


def images(count=5):
    return np.random.default_rng(1).random((count, *SHAPE)).astype(np.float32)


def contents(directory):
    return json.loads((directory / "config.json").read_text())


def edit(directory, **changes):
    """Change entries of the config as somebody would who does not know about its hash."""
    (directory / "config.json").write_text(json.dumps(contents(directory) | changes, indent=2))


def alter(directory, **changes):
    """Change entries of the config as somebody would who knows about its hash."""
    edit(directory, **changes)
    edit(directory, config_sha256=digest(contents(directory)))


def digest(config):
    """The hash of a config as the format defines it."""
    rest = {name: value for name, value in config.items() if name != "config_sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def as_before_the_hash(directory):
    """Make it what earlier versions wrote."""
    config = contents(directory) | {"schema_version": 1}
    del config["config_sha256"]
    (directory / "config.json").write_text(json.dumps(config, indent=2))


def replace_weights(directory, data):
    """Exchange the weights as somebody would who knows about the hash."""
    (directory / "weights.npz").write_bytes(data)
    alter(directory, weights_file_sha256=hashlib.sha256(data).hexdigest())


def npz(*arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **{f"{i:04d}": array for i, array in enumerate(arrays)})
    return buffer.getvalue()


def test_round_trip_is_bit_identical(classifier, saved):
    loaded = Classifier.load(saved)
    assert loaded.config == classifier.config
    for ours, theirs in zip(
        classifier.model.get_weights(), loaded.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.weights_sha256 == classifier.weights_sha256
    np.testing.assert_array_equal(
        loaded.predict_logits(images()), classifier.predict_logits(images())
    )
    assert (loaded.role, loaded.origin, loaded.classes) == ("defender", "surrogate", CLASSES)


def test_only_two_files_are_written_and_neither_holds_a_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "weights.npz"]
    with np.load(saved / "weights.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype == np.float32 for name in arrays.files)


def test_more_than_ten_arrays_keep_their_order(saved, classifier):
    assert len(classifier.model.get_weights()) > 10
    with np.load(saved / "weights.npz") as arrays:
        assert arrays.files == sorted(arrays.files)


@pytest.mark.parametrize("name", ["config.json", "weights.npz"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(ClassifierError, match=rf"expected a classifier directory.*{name}"):
        Classifier.load(saved)


def test_one_flipped_bit_or_a_cut_is_found(saved):
    path = saved / "weights.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    for damaged in (bytes(data), bytes(data[:-1]), b""):
        path.write_bytes(damaged)
        with pytest.raises(ClassifierError, match="hash differs"):
            Classifier.load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"net": "resnet99"},
        {"classes": CLASSES + 1},
        {"arguments": {"width": 4, "depth": 8}},
        {"arguments": {"width": 2, "depth": 14}},
        {"arguments": {"depth": 9}},
        {"arguments": {"widht": 2}},
        {"input_shape": [8, 8, 3]},
    ],
    ids=str,
)
def test_weights_of_another_net_are_refused(saved, changes):
    alter(saved, **changes)
    with pytest.raises(ClassifierError, match="do not fit the net"):
        Classifier.load(saved)


@pytest.mark.parametrize(
    "changes",
    [{"role": "boss"}, {"origin": "elsewhere"}, {"surprise": 1}, {"input_shape": 8}],
    ids=str,
)
def test_a_config_with_strange_entries_is_refused(saved, changes):
    alter(saved, **changes)
    with pytest.raises(ClassifierError, match="not a classifier's config"):
        Classifier.load(saved)


def test_a_config_from_a_later_version_is_refused(saved):
    alter(saved, schema_version=3)
    with pytest.raises(ClassifierError, match=r"schema version 2 or before. Received: 3"):
        Classifier.load(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"net": "resnet20"}', "\xff"])
def test_a_config_that_is_none_is_refused(saved, text):
    (saved / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(ClassifierError, match=r"config.json"):
        Classifier.load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "attacker"},
        {"origin": "reference"},
        {"training": {"seed": 4}},
        {"training": {"seed": 3.0}},
        {"classes": CLASSES + 1},
        {"weights_file_sha256": "0" * 64},
        {"config_sha256": "0" * 64},
        {"config_sha256": None},
    ],
    ids=str,
)
def test_an_edited_config_is_found_and_said_in_one_line(saved, changes):
    edit(saved, **changes)
    with pytest.raises(ClassifierError, match=r"config.json: not what was written") as caught:
        Classifier.load(saved)
    assert "\n" not in str(caught.value)


def test_the_hash_cannot_just_be_left_out(saved):
    config = contents(saved)
    del config["config_sha256"]
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ClassifierError, match="not what was written"):
        Classifier.load(saved)


def test_a_copy_loads_and_so_does_another_layout_of_the_same_json(saved, classifier, tmp_path):
    copy = shutil.copytree(saved, tmp_path / "copy")
    turned = dict(reversed(contents(copy).items()))
    (copy / "config.json").write_text(json.dumps(turned, separators=(" ,", ":  ")) + "\r\n")
    assert Classifier.load(copy).config == classifier.config
    # Saved again, it is the same file byte by byte.
    Classifier.load(copy).save(tmp_path / "again")
    texts = [(path / "config.json").read_bytes() for path in (saved, tmp_path / "again")]
    assert texts[0] == texts[1]


def test_the_hash_is_that_of_canonical_json(saved):
    assert contents(saved)["config_sha256"] == digest(contents(saved))


def test_what_json_changes_in_a_record_is_no_edit(classifier, tmp_path):
    record = {"sizes": (1, 2), "by class": {3: 0.1}, "spent": float("inf"), "name": "K\u00e4fer"}
    config = dataclasses.replace(classifier.config, training=record)
    Classifier(classifier.model, config).save(tmp_path)
    expected = record | {"sizes": [1, 2], "by class": {"3": 0.1}}
    assert Classifier.load(tmp_path).config.training == expected


def test_a_directory_from_before_the_hash_is_loaded(saved, classifier):
    as_before_the_hash(saved)
    assert Classifier.load(saved).config == classifier.config
    edit(saved, config_sha256=digest(contents(saved)))
    with pytest.raises(ClassifierError, match="not a classifier's config"):
        Classifier.load(saved)


def test_another_role_is_another_directory(saved, classifier, tmp_path):
    Classifier.load(saved).with_role(Role.CALIBRATION).save(tmp_path / "other")
    assert Classifier.load(tmp_path / "other").role == Role.CALIBRATION


class Payload:
    """Sets a flag on being unpickled."""

    ran = False

    def __reduce__(self):
        return setattr, (Payload, "ran", True)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Payload()),
        npz(np.array([Payload()], dtype=object)),
        b"",
        b"PK\x03\x04 no archive",
        b"\x93NUMPY\x01\x00",
        npz(),
        npz(np.zeros(3, np.float32)),
    ],
    ids=["pickle", "pickle in an array", "empty", "no zip", "no npy", "no arrays", "other arrays"],
)
def test_crafted_weights_are_refused_and_run_nothing(saved, data):
    replace_weights(saved, data)
    with pytest.raises(ClassifierError, match="do not fit the net"):
        Classifier.load(saved)
    assert not Payload.ran


def test_eight_bit_images_are_scaled_and_batches_do_not_matter(classifier):
    grey = np.random.default_rng(2).integers(0, 256, (7, *SHAPE), np.uint8)
    floats = grey.astype(np.float32) / np.float32(255)
    whole = classifier.predict_logits(floats)
    np.testing.assert_array_equal(classifier.predict_logits(grey), whole)
    np.testing.assert_allclose(classifier.predict_logits(grey, batch_size=3), whole, rtol=1e-5)
    np.testing.assert_array_equal(classifier.predict_labels(grey), whole.argmax(axis=1))
    assert whole.dtype == np.float32 and classifier.predict_labels(grey).dtype == np.int64
    assert classifier.predict_logits(floats[:0]).shape == (0, CLASSES)


def test_images_of_another_shape_are_refused(classifier):
    with pytest.raises(ClassifierError, match=r"\(8, 8, 1\). Received: \(9, 8, 1\)"):
        classifier.predict_logits(np.zeros((2, 9, 8, 1), np.float32))


def test_accuracy_by_hand():
    # Label 0 wherever the first pixel is the larger one: images 0 and 2.
    pixels = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.5], [0.1, 0.3]], np.float32)
    classifier = linear(np.eye(2))
    assert classifier.predict_labels(pixels.reshape(4, 1, 1, 2)).tolist() == [0, 1, 0, 1]
    assert classifier.accuracy(pixels.reshape(4, 1, 1, 2), np.array([0, 0, 0, 1])) == 0.75


def test_calling_uses_inference_mode_and_keeps_batch_norm_as_it_is(classifier):
    before = classifier.weights_sha256
    x = tf.constant(images())
    np.testing.assert_allclose(classifier(x), classifier.predict_logits(images()), rtol=1e-5)
    np.testing.assert_allclose(classifier(x)[:1], classifier(x[:1]), rtol=1e-4)
    assert classifier.weights_sha256 == before


def test_the_hash_sees_values_and_shapes():
    kernel = np.arange(4.0).reshape(2, 2)
    first = linear(kernel).weights_sha256
    assert first == linear(kernel).weights_sha256
    assert first != linear(kernel + 1e-6).weights_sha256
    assert first != linear(kernel.T).weights_sha256


def test_another_role_leaves_the_classifier_as_it_is(classifier):
    other = classifier.with_role(Role.SOURCE, Origin.SOURCE)
    assert (other.role, other.origin) == ("source", "source") and other.model is classifier.model
    assert (classifier.role, classifier.origin) == ("defender", "surrogate")
    assert classifier.with_role(Role.ATTACKER).origin == Origin.SURROGATE


# A user's own Keras models.

layers = tf.keras.layers


def bare(*end):
    """A small convolutional net with two batch-norm layers, and `end` after its features."""
    tf.keras.utils.set_random_seed(0)
    body = [
        layers.Input(SHAPE),
        layers.Conv2D(3, 3, activation="relu"),
        layers.BatchNormalization(),
    ]
    return tf.keras.Sequential([*body, layers.Flatten(), *end])


def functional_softmax():
    model = bare(layers.Dense(CLASSES))
    return tf.keras.Model(model.input, tf.nn.softmax(model.output))


def nested():
    tf.keras.utils.set_random_seed(0)
    return tf.keras.Sequential([layers.Input(SHAPE), bare(layers.Dense(CLASSES, "softmax"))])


def branches_listed_after_the_end():
    """The softmax is the output, whatever place Keras gives its layer in the list."""
    x = tf.keras.Input(SHAPE)
    flat = layers.Flatten()(x)
    total = layers.Add()([layers.Dense(CLASSES)(flat), layers.Dense(CLASSES, "tanh")(flat)])
    return tf.keras.Model(x, layers.Softmax()(total))


class OwnSoftmax(layers.Layer):
    def call(self, x):
        exponentials = tf.exp(x - tf.reduce_max(x, axis=-1, keepdims=True))
        return exponentials / tf.reduce_sum(exponentials, axis=-1, keepdims=True)


PROBABILITIES = {
    "dense": lambda: bare(layers.Dense(CLASSES, "softmax")),
    "dense without bias": lambda: bare(layers.Dense(CLASSES, "softmax", use_bias=False)),
    "activation": lambda: bare(layers.Dense(CLASSES), layers.Activation("softmax")),
    "layer": lambda: bare(layers.Dense(CLASSES), layers.Softmax()),
    "function": functional_softmax,
    "nested": nested,
    "branches": branches_listed_after_the_end,
    "own layer": lambda: bare(layers.Dense(CLASSES), OwnSoftmax()),
}


@pytest.mark.parametrize("form", PROBABILITIES)
def test_a_softmax_at_the_end_is_taken_off_in_each_form(form):
    model = PROBABILITIES[form]()
    before = [w.copy() for w in model.get_weights()]
    wrapped = Classifier.from_keras(model)
    logits = wrapped(tf.constant(images()))
    np.testing.assert_allclose(tf.nn.softmax(logits), model(images()), atol=1e-6)
    assert not np.allclose(tf.reduce_sum(logits, axis=1), 1.0)
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (wrapped.classes, wrapped.input_shape) == (CLASSES, SHAPE)


@pytest.mark.parametrize("form", [f for f in PROBABILITIES if f not in ("function", "own layer")])
def test_without_the_softmax_even_a_certain_model_has_a_gradient(form):
    model = PROBABILITIES[form]()
    model.set_weights([w * 100 if w.ndim == 2 else w for w in model.get_weights()])
    x = tf.constant(images(1))
    wrapped = Classifier.from_keras(model)
    with tf.GradientTape() as tape:
        tape.watch(x)
        least = tf.reduce_min(wrapped(x))
    assert float(tf.reduce_max(tf.abs(tape.gradient(least, x)))) > 1.0


def test_logits_stay_logits():
    model = bare(layers.Dense(CLASSES))
    np.testing.assert_allclose(
        Classifier.from_keras(model).predict_logits(images()), model(images()), rtol=1e-5
    )


def test_batch_norm_of_a_wrapped_model_never_learns():
    model = bare(layers.Dense(CLASSES))
    wrapped = Classifier.from_keras(model)
    before = wrapped.weights_sha256
    wrapped(tf.constant(images()))
    wrapped.model(images(), training=True)
    assert wrapped.weights_sha256 == before


def test_scale_and_offset_feed_what_the_model_wants():
    model = bare(layers.Dense(CLASSES))
    wrapped = Classifier.from_keras(model, scale=255.0, offset=-127.5)
    np.testing.assert_allclose(
        wrapped.predict_logits(images()), model(images() * 255 - 127.5), rtol=1e-4, atol=1e-4
    )
    assert wrapped.config.arguments == {"scale": 255.0, "offset": -127.5, "bgr": False}


class OfItsOwn(tf.keras.Model):
    """A model class with a `call` of its own: not a graph of layers."""

    def __init__(self):
        super().__init__()
        self.head = tf.keras.layers.Dense(3)

    def call(self, x):
        return self.head(tf.reshape(x, (-1, 4)))


def test_a_model_class_inside_a_functional_model_is_taken_as_it_is():
    inputs = tf.keras.Input((2, 2, 1))
    model = tf.keras.Model(inputs, OfItsOwn()(inputs))
    images = np.random.default_rng(0).random((5, 2, 2, 1), np.float32)
    np.testing.assert_allclose(
        Classifier.from_keras(model).predict_logits(images), model(images), rtol=1e-6
    )


def test_a_keras_file_gives_the_same_answers(tmp_path):
    model = bare(layers.Dense(CLASSES, "softmax"))
    model.save(tmp_path / "mine.keras")
    wrapped = Classifier.from_keras(tmp_path / "mine.keras")
    np.testing.assert_allclose(
        tf.nn.softmax(wrapped.predict_logits(images())), model(images()), atol=1e-6
    )


def test_an_h5_file_is_refused_unread(tmp_path):
    (tmp_path / "old.h5").write_bytes(b"anything")
    with pytest.raises(ClassifierError, match=r"expected a .keras file.*\.h5.*save with"):
        Classifier.from_keras(tmp_path / "old.h5")


def test_a_keras_file_with_code_in_it_is_refused(tmp_path):
    model = bare(layers.Dense(CLASSES), layers.Lambda(lambda x: x * 2))
    model.save(tmp_path / "code.keras")
    with pytest.raises(ClassifierError, match=r"code.keras: Keras cannot load it"):
        Classifier.from_keras(tmp_path / "code.keras")


@pytest.mark.parametrize("data", [None, b"", b"nonsense"])
def test_a_missing_or_broken_keras_file_is_named_in_one_line(tmp_path, data):
    path = tmp_path / "broken.keras"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ClassifierError) as caught:
        Classifier.from_keras(path)
    what = "no such file" if data is None else "another file, or part of one"
    assert str(caught.value) == f"{path}: expected a .keras file, a ZIP archive. Received: {what}"


def two_outputs():
    x = tf.keras.Input(SHAPE)
    flat = layers.Flatten()(x)
    return tf.keras.Model(x, [layers.Dense(CLASSES)(flat), layers.Dense(CLASSES)(flat)])


class Unbuilt(tf.keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    "model",
    [
        lambda: tf.keras.Sequential([layers.Input(3), layers.Dense(2)]),
        lambda: tf.keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3)]),
        lambda: tf.keras.Sequential([layers.Input((None, None, 1)), layers.GlobalMaxPool2D()]),
        lambda: tf.keras.Sequential([layers.Dense(2)]),
        two_outputs,
        Unbuilt,
    ],
    ids=["no images", "no classes", "open size", "not built", "two outputs", "subclass"],
)
def test_what_is_no_classifier_of_images_is_refused(model):
    with pytest.raises(ClassifierError, match=r"expected a Keras model"):
        Classifier.from_keras(model())
