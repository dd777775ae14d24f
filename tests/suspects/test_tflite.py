"""TensorFlow Lite files as suspects: numbers in and out, batches, and hostile files."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.models import tflite
from cemfp.models.convention import Convention
from cemfp.models.tflite import TFLiteModel, from_tensor, to_tensor
from cemfp.suspects import Fed, SuspectError, answer_labels, open_suspect

# Logits = the two pixels @ kernel; the third class wins where both pixels are bright.
KERNEL = np.array([[1.0, 0.0, 0.8], [0.0, 1.0, 0.8]], np.float32)
IMAGES = np.random.default_rng(0).random((250, 1, 1, 2), np.float32)
SCORES = IMAGES.reshape(-1, 2) @ KERNEL
FITTING = {"input_shape": (1, 1, 2), "classes": 3}


def convert(model, capfd):
    """Return a file with float32 in and out."""
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    capfd.readouterr()  # the converter's chatter
    return content


def linear():
    inputs = tf.keras.Input((1, 1, 2))
    dense = tf.keras.layers.Dense(3, use_bias=False)
    model = tf.keras.Model(inputs, dense(tf.keras.layers.Flatten()(inputs)))
    dense.set_weights([KERNEL])
    return model


def one_at_a_time():
    """A file whose graph insists on a single image."""

    @tf.function(input_signature=[tf.TensorSpec((1, 1, 1, 2))])
    def answer(image):
        beside = tf.concat([tf.reshape(image, (1, 2)), tf.zeros((1, 1))], axis=1)
        return beside @ np.pad(KERNEL, ((0, 1), (0, 0)))

    function = answer.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], answer).convert()


def test_whole_numbers_by_hand():
    details = {"dtype": np.int8, "quantization": (0.5, 3)}
    # 1 / 0.5 + 3 = 5, -10 / 0.5 + 3 = -17, and 200 / 0.5 + 3 = 403 is cut at 127.
    tensor = to_tensor(np.array([1.0, -10.0, 200.0]), details)
    np.testing.assert_array_equal(tensor, np.array([5, -17, 127], np.int8))
    np.testing.assert_array_equal(from_tensor(tensor, details), [1.0, -10.0, 62.0])
    # A step of 0 stands for numbers that are meant as they are.
    plain = {"dtype": np.uint8, "quantization": (0.0, 0)}
    np.testing.assert_array_equal(to_tensor(np.array([7.4, -1.0]), plain), [7, 0])


def test_any_number_of_images_and_either_kind(capfd):
    model = TFLiteModel(convert(linear(), capfd))
    assert (model.input_shape, model.classes, model.batch) == ((1, 1, 2), 3, tflite.BATCH)
    np.testing.assert_allclose(model(IMAGES), SCORES, atol=1e-6)
    assert model(IMAGES[:0]).shape == (0, 3)
    pixels = np.rint(IMAGES * 255).astype(np.uint8)
    expected = (pixels.reshape(-1, 2) @ KERNEL).argmax(axis=1)
    np.testing.assert_array_equal(model.predict_labels(pixels), expected)


def test_grey_levels(capfd):
    model = Fed(TFLiteModel(convert(linear(), capfd)), Convention(255.0))
    np.testing.assert_allclose(model(IMAGES), 255 * SCORES, rtol=1e-5)


def test_a_file_for_single_images(capfd):
    model = TFLiteModel(one_at_a_time())
    assert model.batch == 1
    np.testing.assert_allclose(model(IMAGES[:7]), SCORES[:7], atol=1e-6)


def test_a_file_is_opened_saved_and_asked(tmp_path, capfd):
    path = tmp_path / "any.tflite"
    path.write_bytes(convert(linear(), capfd))
    suspect = open_suspect(str(path), **FITTING)
    np.testing.assert_array_equal(answer_labels(suspect, IMAGES, 3), SCORES.argmax(axis=1))
    assert capfd.readouterr() == ("", "")


def two_outputs():
    """Scores of three classes, and a feature beside them."""
    inputs = tf.keras.Input((1, 1, 2))
    flat = tf.keras.layers.Flatten()(inputs)
    scores = tf.keras.layers.Dense(3, use_bias=False, name="scores")(flat)
    model = tf.keras.Model(inputs, [tf.reduce_sum(flat, axis=1, keepdims=True), scores])
    model.get_layer("scores").set_weights([KERNEL])
    return model


def test_one_of_several_outputs(capfd):
    content = convert(two_outputs(), capfd)
    with pytest.raises(tflite.TFLiteError, match=r"1 and 2; choose one with --output: Stateful"):
        TFLiteModel(content)
    answers = [TFLiteModel(content, output=place)(IMAGES) for place in ("0", "1")]
    (scores,) = (answer for answer in answers if answer.shape[1] == 3)
    np.testing.assert_allclose(scores, SCORES, atol=1e-6)
    with pytest.raises(tflite.TFLiteError, match="choose one with --output"):
        TFLiteModel(content, output="2")


def rejected(path, content):
    """Open a file, which must fail in one line; return the line."""
    path.write_bytes(content)
    with pytest.raises(SuspectError) as caught:
        open_suspect(str(path), **FITTING)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line


@pytest.mark.parametrize(
    "content",
    [b"", b"TFL3", b"PK\x05\x06" + bytes(18), b"\xff\xff\xff\x7fTFL3" + bytes(40)],
    ids=["empty", "short", "zip", "root outside"],
)
def test_what_is_no_tflite_file_is_never_run(tmp_path, content):
    assert "not a TensorFlow Lite model" in rejected(tmp_path / "x.tflite", content)


def test_a_damaged_file(tmp_path, capfd):
    content = bytearray(convert(linear(), capfd))
    content[16:200] = bytes(range(184))
    line = rejected(tmp_path / "x.tflite", bytes(content))
    assert "TensorFlow Lite" in line or "crashes what opens it" in line


def test_no_classifier_of_images(tmp_path, capfd):
    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(3)(inputs))
    with pytest.raises(tflite.TFLiteError, match="expected a model from images"):
        TFLiteModel(convert(model, capfd))
