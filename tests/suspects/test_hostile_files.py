"""Files from strangers: whatever is in them, one clear line, and nothing happens outside."""

import json
import os
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf
from keras.src.utils.generic_utils import func_dump

from cemfp.suspects import SuspectError, answer_labels, open_suspect
from cemfp.suspects.sandbox.boxed import Boxed, Limits

SHAPE, CLASSES = (4, 4, 1), 6
FITTING = {"input_shape": SHAPE, "classes": CLASSES}
IMAGES = np.random.default_rng(0).random((3, *SHAPE), np.float32)
L = tf.keras.layers


def refused(opened, *words):
    """Ask what `opened()` gives, which has to fail in one line with these words; return it."""
    with pytest.raises(SuspectError) as caught:
        answer_labels(opened(), IMAGES, CLASSES)
    line = str(caught.value)
    assert "\n" not in line and line.isprintable() and len(line) < 700
    for word in words:
        assert word in line
    return line


def keras_file(path, function, units=CLASSES):
    """A model whose last layer is Python code that the file carries; it did not run here."""
    inputs = tf.keras.Input(SHAPE)
    x = L.Dense(units)(L.Flatten()(inputs))
    outputs = L.Lambda(lambda x: x, output_shape=(units,))(x)
    tf.keras.Model(inputs, outputs).save(path)
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            file.attrs["model_config"] = json.dumps(with_code(config, function))
        return path
    rewrite(path, lambda config: with_code(config, function))
    return path


def rewrite(path, change):
    """Change the config in a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = json.dumps(change(json.loads(parts["config.json"]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def with_code(value, function):
    """Put a function's code in the place of every other that a config carries."""
    if isinstance(value, list):
        return [with_code(part, function) for part in value]
    if not isinstance(value, dict):
        return value
    code, defaults, closure = func_dump(function)
    if value.get("class_name") == "__lambda__":
        config = {"code": code, "defaults": defaults, "closure": closure}
        return value | {"config": config}
    if value.get("function_type") == "lambda":
        return value | {"function": [code, defaults, closure]}
    return {key: with_code(part, function) for key, part in value.items()}


def attempts(outside):
    """Code that tries six misdeeds, and answers 1 in the place of each that it could do."""

    def code(x, outside=str(outside)):
        import os
        import socket

        import tensorflow as tf

        def succeeds(what):
            try:
                return float(what() is not False)
            except OSError:
                return 0.0

        done = [
            succeeds(lambda: open(outside, "w").close()),
            succeeds(lambda: socket.create_connection(("127.0.0.1", 9), 1)),
            succeeds(lambda: os._exit(0) if os.fork() == 0 else None),
            succeeds(lambda: os.kill(os.getppid(), 0)),
            float("CEMFP_SECRET" in os.environ),
            succeeds(lambda: os.system("true") == 0),
        ]
        return x * 0.0 + tf.constant([done])

    return code


@pytest.mark.parametrize("ending", ["keras", pytest.param("h5", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning")
def test_code_in_a_keras_file_runs_and_can_do_nothing(tmp_path, monkeypatch, ending):
    monkeypatch.setenv("CEMFP_SECRET", "hunter2")
    path = keras_file(tmp_path / f"theirs.{ending}", attempts(tmp_path / "outside"))
    suspect = open_suspect(str(path), **FITTING)
    np.testing.assert_array_equal(suspect(IMAGES), np.zeros((3, CLASSES)))
    assert not (tmp_path / "outside").exists()


def test_what_a_sandbox_does_not_hold_needs_trust(tmp_path, monkeypatch):
    path = keras_file(tmp_path / "theirs.keras", lambda x: x)
    monkeypatch.setattr("cemfp.suspects.sandbox.launch.find_way", lambda: "none")
    held = Boxed("keras", path, way="none")  # rules of the kernel alone may do
    assert held.missing == [] and "namespaces" not in " ".join(held.holds)
    monkeypatch.setattr(
        "cemfp.suspects.sandbox.boxed._holds", lambda way, held: ([], ["the network"])
    )
    line = refused(lambda: open_suspect(str(path), **FITTING), "does not keep it from the network")
    assert line.endswith("install bubblewrap, or add --trust if you made the file.")
    assert open_suspect(str(path), **FITTING, trust=True)(IMAGES).shape == (3, CLASSES)


def run_away(x):
    while True:
        pass


def leave(x):
    import os

    os._exit(0)


def crash(x):
    import os

    os.abort()


def want_memory(x):
    return x + 0.0 * len(bytearray(2**40))


def forge(x):
    import contextlib
    import os

    for number in range(3, 40):
        with contextlib.suppress(OSError):
            os.write(number, b"\x00\x00\x00\x05hello" * 100)
    return x


def shout(x):
    import os

    os.write(1, b"\x1b[2J" * 1000)
    raise ValueError("\x1b[2Jboo\nsecond line")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (run_away, "no answer within 15 s"),
        (leave, "ended the process that opened it"),
        (crash, "(signal "),
        (want_memory, "cannot be used"),
        (forge, "expected an answer. Received: a frame that is no JSON"),
        (shout, "cannot be used"),
    ],
)
def test_code_that_misbehaves_ends_in_a_line(tmp_path, function, words):
    path = keras_file(tmp_path / "theirs.keras", function)
    limits = Limits(memory=12 * 2**30, processor=60, opening=15 if function is run_away else 100)
    refused(lambda: Boxed("keras", path, limits=limits), words)


@pytest.mark.parametrize("ending", ["keras", pytest.param("h5", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning")
def test_a_class_that_is_not_in_the_file_is_named(tmp_path, ending):
    @tf.keras.saving.register_keras_serializable("theirs")
    class Mine(L.Layer):
        def call(self, x):
            return x

    path = tmp_path / f"theirs.{ending}"
    tf.keras.Sequential([tf.keras.Input(SHAPE), L.Flatten(), Mine(), L.Dense(CLASSES)]).save(path)
    line = refused(lambda: open_suspect(str(path), **FITTING), "Mine is not in the file")
    assert "SavedModel" in line


@pytest.mark.slow
def test_a_function_of_another_module_is_not_fetched(tmp_path):
    path = tmp_path / "theirs.keras"
    layers = [tf.keras.Input(SHAPE), L.Flatten(), L.Dense(CLASSES, activation="relu")]
    tf.keras.Sequential(layers).save(path)
    theirs = {"module": "os", "class_name": "function", "config": "system"}
    theirs["registered_name"] = "system"
    old = '"activation": "relu"'
    rewrite(path, lambda config: json.loads(
        json.dumps(config).replace(old, f'"activation": {json.dumps(theirs)}')
    ))  # fmt: skip
    refused(lambda: open_suspect(str(path), **FITTING), "cannot be used")


@pytest.mark.slow
def test_a_config_without_modules(tmp_path):
    """An older reader, without any guard, builds from such: it, too, runs in the sandbox."""
    path = keras_file(tmp_path / "theirs.keras", attempts(tmp_path / "outside"))

    def bare(value):
        if isinstance(value, dict):
            return {k: bare(v) for k, v in value.items() if k not in ("module", "registered_name")}
        return [bare(v) for v in value] if isinstance(value, list) else value

    rewrite(path, bare)
    try:
        answer = open_suspect(str(path), **FITTING)(IMAGES)
        np.testing.assert_array_equal(answer, np.zeros((3, CLASSES)))
    except SuspectError as error:
        assert "\n" not in str(error)
    assert not (tmp_path / "outside").exists()


def saved_model(path, function, *, shape=(None, *SHAPE)):
    """A SavedModel with one signature."""
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    tf.saved_model.save(module, str(path), signatures=module.call)
    return path


def test_saved_models(tmp_path):
    """One that writes, one that reads, one that calls Python."""
    outside, secret = tmp_path / "outside", tmp_path / "secret"
    secret.write_text("hunter2")

    def writes(x):
        with tf.control_dependencies([tf.io.write_file(str(outside), "x")]):
            return tf.zeros((tf.shape(x)[0], CLASSES))

    def calls(x):
        return tf.ensure_shape(
            tf.py_function(lambda y: np.zeros((len(y), CLASSES), np.float32), [x], tf.float32),
            (None, CLASSES),
        )

    path = saved_model(tmp_path / "writes", writes)
    refused(lambda: open_suspect(str(path), **FITTING), "cannot be used", "PermissionDenied")
    assert not outside.exists()
    path = saved_model(tmp_path / "calls", calls)
    refused(lambda: open_suspect(str(path), **FITTING), "cannot be used")
    path = saved_model(
        tmp_path / "reads", lambda x: tf.repeat(tf.io.read_file(str(secret)), tf.shape(x)[0])
    )
    # It may read, and has nobody to tell: its words are no classes, and nobody repeats them.
    line = refused(lambda: open_suspect(str(path), **FITTING, class_names="abcdef"), "another word")
    assert "hunter2" not in line
    assert "hunter2" not in refused(lambda: open_suspect(str(path), **FITTING), "has no names")


def zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        with archive.open("config.json", "w", force_zip64=True) as file:
            for _ in range(64):
                file.write(bytes(2**24))


def traversal(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../outside", "x")


def many_layers(path, count):
    """A small file that asks for `count` layers, half of them in a model inside."""
    layer = {"module": "keras.layers", "class_name": "ReLU", "config": {}, "registered_name": None}
    inner = {"class_name": "Sequential", "config": {"name": "i", "layers": [layer] * (count // 2)}}
    config = {"name": "m", "layers": [*[layer] * (count // 2 - 1), inner]}
    whole = {"module": "keras", "class_name": "Sequential", "config": config}
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(whole)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        archive.writestr("config.json", json.dumps(whole | {"registered_name": None}))


@pytest.mark.parametrize(
    ("ending", "count", "words"),
    [
        ("keras", 3_002, "at most 3000 layers are expected, this has 3002"),
        ("h5", 3_002, "at most 3000 layers are expected, this has 3002"),
        ("keras", 1_000_000, "a config of at most 32 MiB is expected"),
    ],
)
def test_layers_are_counted_before_any_is_built(tmp_path, ending, count, words):
    path = tmp_path / f"theirs.{ending}"
    many_layers(path, count)
    # Reading takes a second or two; building them would take minutes.
    refused(lambda: open_suspect(str(path), **FITTING), words)


def huge_tensor(path):
    config = {
        "name": "m",
        "layers": [
            {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
             "config": {"batch_input_shape": [None, *SHAPE], "name": "i"}},
            {"module": "keras.layers", "class_name": "Flatten", "registered_name": None,
             "config": {"name": "f"}},
            {"module": "keras.layers", "class_name": "Dense", "registered_name": None,
             "config": {"name": "d", "units": 10**12}},
        ],
    }  # fmt: skip
    whole = {"module": "keras", "class_name": "Sequential", "config": config}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        archive.writestr("config.json", json.dumps(whole | {"registered_name": None}))


def sparse(path):
    with open(path, "wb") as file:
        file.write(b"PK")
        file.truncate(200 * 2**30)


@pytest.mark.slow
@pytest.mark.parametrize("make", [zip_bomb, traversal, huge_tensor, sparse])
def test_files_that_are_made_to_break_their_reader(tmp_path, make):
    path = tmp_path / "theirs.keras"
    make(path)
    limits = Limits(memory=6 * 2**30, processor=40, opening=25)
    refused(lambda: Boxed("keras", path, limits=limits))
    assert not (tmp_path.parent / "outside").exists() and not (tmp_path / "outside").exists()


def test_links_and_other_endings(tmp_path):
    (tmp_path / "link.keras").symlink_to("/etc/passwd")
    refused(lambda: open_suspect(str(tmp_path / "link.keras"), **FITTING), "not in the .keras")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(lambda: open_suspect(str(tmp_path / "pipe.onnx"), **FITTING), "expected a classifier")
    (tmp_path / "empty.h5").write_bytes(b"")
    refused(lambda: open_suspect(str(tmp_path / "empty.h5"), **FITTING), "cannot be used")
    (tmp_path / "empty.onnx").write_bytes(b"")
    refused(lambda: open_suspect(str(tmp_path / "empty.onnx"), **FITTING), "cannot be used")


def test_a_classifier_directory_with_a_pickle(tmp_path):
    from tests.small_classifiers import linear

    linear(np.ones((16, CLASSES)), shape=SHAPE).save(tmp_path / "theirs")
    np.savez(tmp_path / "theirs" / "weights.npz", np.array([object()], object))
    refused(lambda: open_suspect(str(tmp_path / "theirs"), **FITTING))
