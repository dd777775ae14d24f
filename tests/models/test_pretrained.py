"""Published weights, with random ones of a small net in their place."""

import inspect

import numpy as np
import pytest
import tensorflow as tf
from keras.src.applications import vgg16, vgg19

from cemfp.models import pretrained
from cemfp.models.classifier import Classifier
from cemfp.models.pretrained import PRETRAINED, PretrainedError, load_pretrained
from cemfp.storage.files import hash_file

SHAPE, CLASSES = (32, 32, 3), 10
SMALL = {"input_shape": SHAPE, "classes": CLASSES}


@pytest.fixture(scope="module")
def keras_net():
    """Keras' own VGG16 of small images."""
    tf.keras.utils.set_random_seed(0)
    return tf.keras.applications.VGG16(
        weights=None, input_shape=SHAPE, classes=CLASSES, classifier_activation=None
    )


@pytest.fixture(scope="module")
def file(keras_net, tmp_path_factory):
    """Its weights in a file as Keras distributes them."""
    path = tmp_path_factory.mktemp("weights") / "random.h5"
    keras_net.save_weights(path)
    return path


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """An empty home, and no way out."""

    def offline(request, timeout):
        raise OSError("no network\nat all")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def refusal(*arguments, **changes):
    with pytest.raises(PretrainedError) as caught:
        load_pretrained(*arguments, **SMALL | changes)
    message = str(caught.value)
    assert "\n" not in message and "expected" in message and "Received" in message
    return message


def test_a_weights_file_of_keras_gives_keras_logits(keras_net, file, tmp_path):
    classifier = load_pretrained("vgg16", weights=file, **SMALL)
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    grey = tf.keras.applications.vgg16.preprocess_input(images.astype(np.float32))
    expected = keras_net(grey).numpy()
    tolerance = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(classifier.predict_logits(images), expected, atol=tolerance)
    config = classifier.config
    assert (config.net, config.role, config.origin) == ("imagenet-vgg16", "source", "source")
    assert config.training == {
        "pretrained": "vgg16",
        "weights_file": "random.h5",
        "weights_file_sha256": hash_file(file),
        "seed": None,
        "test_accuracy": None,
    }
    classifier.save(tmp_path / "saved")
    loaded = Classifier.load(tmp_path / "saved")
    assert loaded.config == config and loaded.weights_sha256 == classifier.weights_sha256


def test_any_other_role_makes_a_reference(file):
    classifier = load_pretrained("vgg16", weights=file, role="evaluation", **SMALL)
    assert (classifier.role, classifier.origin) == ("evaluation", "reference")


def test_keras_own_file_is_taken_from_where_keras_keeps_it(file, no_network, monkeypatch):
    published = PRETRAINED["vgg16"]
    assert published.cached.parent == no_network / ".keras" / "models"
    published.cached.parent.mkdir(parents=True)
    published.cached.symlink_to(file)
    # The random weights are not what Keras published.
    assert "no network" in refusal("vgg16")
    changed = pretrained.Published(published.net, published.url, pretrained._md5(file))
    monkeypatch.setitem(PRETRAINED, "vgg16", changed)
    assert load_pretrained("vgg16", **SMALL).config.training["weights_file"].startswith("vgg16_")


def test_without_file_and_network_the_message_says_what_is_missing(no_network):
    message = refusal("vgg19")
    assert PRETRAINED["vgg19"].url in message and str(no_network / ".keras" / "models") in message
    assert "no network" in message and "--weights" in message


def test_files_that_cannot_be_weights_are_refused(tmp_path):
    other = tmp_path / "weights.npz"
    other.write_bytes(b"PK")
    assert "no such file" in refusal("vgg16", weights=tmp_path / "absent.h5")
    assert "something else" in refusal("vgg16", weights=other)
    assert "something else" in refusal("vgg16", weights=tmp_path)


def test_a_damaged_file_is_refused(file, tmp_path):
    half, text = tmp_path / "half.h5", tmp_path / "text.h5"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    text.write_bytes(b"not a file of weights\n")
    for path in (half, text):
        message = refusal("vgg16", weights=path)
        assert path.name in message and "damaged" in message


def test_weights_of_another_net_are_refused(file, tmp_path):
    assert "another net" in refusal("vgg19", weights=file)
    assert "another net" in refusal("vgg16", weights=file, classes=11)
    dense = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    dense.save_weights(tmp_path / "dense.h5")
    assert "another net" in refusal("vgg16", weights=tmp_path / "dense.h5")


def test_weights_that_are_no_numbers_are_refused(keras_net, tmp_path):
    head = keras_net.layers[-1]
    kernel, bias = head.get_weights()
    try:
        head.set_weights([kernel, np.full_like(bias, np.nan)])
        keras_net.save_weights(tmp_path / "nan.h5")
    finally:
        head.set_weights([kernel, bias])
    assert "NaN" in refusal("vgg16", weights=tmp_path / "nan.h5")


def test_unknown_names_are_refused():
    assert "resnet50" in refusal("resnet50")
    assert "boss" in refusal("vgg16", role="boss")


@pytest.mark.parametrize("module", [vgg16, vgg19])
def test_address_and_checksum_are_those_of_keras(module):
    published = PRETRAINED[module.__name__.rpartition(".")[2]]
    assert published.url == module.WEIGHTS_PATH
    assert f'file_hash="{published.md5}"' in inspect.getsource(module)
