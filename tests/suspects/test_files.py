"""Files of other libraries as suspects: the same answers, whatever layout and type they want."""

import os

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import TensorProto as T
from onnx import helper as make

from cemfp.models.convention import Convention
from cemfp.suspects import SuspectError, answer_labels, layers, open_suspect
from cemfp.suspects.network.connection import Connection
from cemfp.suspects.sandbox import loaders

SHAPE, CLASSES = (2, 3, 1), 4
FITTING = {"input_shape": SHAPE, "classes": CLASSES}
RNG = np.random.default_rng(0)
IMAGES = RNG.random((9, *SHAPE), np.float32)
KERNEL = RNG.normal(size=(6, CLASSES)).astype(np.float32)
SCORES = IMAGES.reshape(9, 6) @ KERNEL


def onnx_file(path, *, shape=("n", 1, 2, 3), kind=T.FLOAT, outputs=("scores",), names=()):
    """Logits = flattened image @ kernel; of one channel, both layouts flatten alike."""
    nodes = [
        make.make_node("Cast", ["x"], ["real"], to=T.FLOAT),
        make.make_node("Flatten", ["real"], ["flat"]),
        make.make_node("MatMul", ["flat", "kernel"], ["scores"]),
        make.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    kinds = {"scores": (T.FLOAT, [shape[0], CLASSES]), "label": (T.INT64, [shape[0]])}
    graph = make.make_graph(
        nodes,
        "net",
        [make.make_tensor_value_info("x", kind, shape)],
        [make.make_tensor_value_info(name, *kinds[name]) for name in outputs],
        [onnx.numpy_helper.from_array(KERNEL, "kernel")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    if names:
        make.set_model_props(model, {"class_names": str(list(names)).replace("'", '"')})
    onnx.save(model, path)
    return str(path)


@pytest.mark.parametrize(
    ("shape", "kind", "scale"),
    [
        (("n", 1, 2, 3), T.FLOAT, 1.0),
        (("n", 2, 3, 1), T.FLOAT, 1.0),
        ((1, 1, 2, 3), T.FLOAT, 1.0),
        ((4, 1, 2, 3), T.DOUBLE, 1.0),
        ((200, 1, 2, 3), T.FLOAT, 1.0),  # more than are sent to the sandbox at once
        (("n", 1, "h", "w"), T.FLOAT, 1.0),
        (("n", 2, 3, 1), T.UINT8, 255.0),
    ],
)
def test_onnx_of_every_layout_batch_and_type(tmp_path, shape, kind, scale):
    path = onnx_file(tmp_path / "any.onnx", shape=shape, kind=kind)
    suspect = open_suspect(path, **FITTING, convention=Convention(scale))
    bound = 1e-5 if scale == 1.0 else 0.51 * np.abs(KERNEL).sum(axis=0).max()
    np.testing.assert_allclose(suspect(IMAGES), scale * SCORES, atol=bound)
    (boxed,) = (part for part in layers(suspect) if hasattr(part, "holds"))
    assert boxed.classes == CLASSES


@pytest.mark.parametrize("batch", [1, 8])
def test_a_saved_model_that_insists_on_a_number_of_images(tmp_path, batch):
    module = tf.Module()
    module.kernel = tf.Variable(KERNEL)
    spec = tf.TensorSpec((batch, *FITTING["input_shape"]), tf.float32, name="x")
    module.ask = tf.function(
        lambda x: {"scores": tf.matmul(tf.reshape(x, (batch, -1)), module.kernel)},
        input_signature=[spec],
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.ask})
    suspect = open_suspect(str(tmp_path), **FITTING)
    np.testing.assert_allclose(suspect(IMAGES), SCORES, atol=1e-5)


def test_one_of_several_outputs(tmp_path):
    path = onnx_file(tmp_path / "two.onnx", outputs=("label", "scores"))
    np.testing.assert_allclose(open_suspect(path, **FITTING)(IMAGES), SCORES, atol=1e-5)
    for name in ("label", "0"):
        opened = open_suspect(path, **FITTING, connection=Connection(output=name))
        np.testing.assert_array_equal(opened(IMAGES), SCORES.argmax(axis=1))
    with pytest.raises(SuspectError, match="no output sum; there are label, scores"):
        open_suspect(path, **FITTING, connection=Connection(output="sum"))


def test_names_beside_the_graph(tmp_path):
    path = onnx_file(tmp_path / "named.onnx", names=("ape", "bee", "cat", "dog"))
    suspect = open_suspect(path, **FITTING)
    (boxed,) = (part for part in layers(suspect) if hasattr(part, "holds"))
    assert boxed.class_names == ("ape", "bee", "cat", "dog")


def test_onnx_of_another_shape_says_so(tmp_path):
    path = onnx_file(tmp_path / "any.onnx", shape=("n", 1, 3, 2))
    with pytest.raises(SuspectError, match="inputs of shape"):
        open_suspect(path, **FITTING)


def convolution(path, shape, channels, *, last=False):
    """A 1 x 1 convolution and the mean over places; returns its kernel (channels, classes)."""
    nodes = [make.make_node("Transpose", ["x"], ["turned"], perm=[0, 3, 1, 2])] if last else []
    nodes += [
        make.make_node("Conv", ["turned" if last else "x", "kernel"], ["maps"]),
        make.make_node("ReduceMean", ["maps"], ["scores"], axes=[2, 3], keepdims=0),
    ]
    kernel = RNG.normal(size=(CLASSES, channels, 1, 1)).astype(np.float32)
    graph = make.make_graph(
        nodes,
        "net",
        [make.make_tensor_value_info("x", T.FLOAT, shape)],
        [make.make_tensor_value_info("scores", T.FLOAT, ["n", CLASSES])],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    opset = [make.make_opsetid("", 13)]
    onnx.save(make.make_model(graph, opset_imports=opset, ir_version=8), path)
    return kernel[..., 0, 0].T


@pytest.mark.parametrize("last", [False, True])
def test_onnx_of_open_sides_is_tried(tmp_path, last):
    path = str(tmp_path / "open.onnx")
    kernel = convolution(path, ["n", "a", "b", "c"], 1, last=last)
    suspect = open_suspect(path, **FITTING)
    np.testing.assert_allclose(suspect(IMAGES), IMAGES.mean((1, 2)) @ kernel, atol=1e-5)


def test_onnx_whose_channels_may_be_first_or_last_is_refused(tmp_path):
    path = str(tmp_path / "cube.onnx")
    convolution(path, ["n", 3, 3, 3], 3)
    with pytest.raises(SuspectError, match="of 3 x 3 x 3 may have them in either place"):
        open_suspect(path, input_shape=(3, 3, 3), classes=CLASSES)


def test_another_size_is_resized_to(tmp_path):
    from cemfp.suspects import Resize

    large = np.kron(IMAGES[..., 0], np.ones((1, 2, 2), np.float32))[..., None]
    path = onnx_file(tmp_path / "any.onnx")
    suspect = open_suspect(
        path, input_shape=(4, 6, 1), classes=CLASSES, resize=Resize(method="box")
    )
    np.testing.assert_allclose(suspect(large), SCORES, atol=1e-5)
    assert str(suspect) == "2x3, box"
    with pytest.raises(SuspectError, match=r"only the size differs, add --resize bilinear"):
        open_suspect(path, input_shape=(4, 6, 1), classes=CLASSES)


def test_a_saved_model(tmp_path):
    module = tf.Module()
    module.call = tf.function(
        lambda pixels: {
            "scores": tf.reshape(pixels, (-1, 6)) @ KERNEL,
            "feature": tf.reduce_sum(pixels, axis=(1, 2, 3)),
        },
        input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32, name="pixels")],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.call)
    suspect = open_suspect(str(tmp_path / "saved"), **FITTING)
    np.testing.assert_allclose(suspect(IMAGES), SCORES, atol=1e-5)


def test_torchscript_of_both_layouts(tmp_path):
    """Here, not in the sandbox: PyTorch is no part of the test environment everywhere."""
    torch = pytest.importorskip("torch")
    kernel = torch.from_numpy(KERNEL)

    class Net(torch.nn.Module):
        def __init__(self, first):
            super().__init__()
            self.first = first
            self.register_buffer("kernel", kernel)

        def forward(self, x):
            if (x.shape[1] == 1) != self.first:
                raise RuntimeError("another layout")
            return x.flatten(1) @ self.kernel

    for first in (True, False):
        path = tmp_path / f"net-{first}.pt"
        torch.jit.script(Net(first)).save(str(path))
        model = loaders.load_torchscript(path, {"input_shape": list(SHAPE)})
        np.testing.assert_allclose(model(IMAGES), SCORES, atol=1e-5)


NAMES = ("ape", "bee", "cat", "dog")
WORDED = {
    "labels": lambda best, scores: best,
    "labels in rows": lambda best, scores: best[:, None],
    "names": lambda best, scores: [NAMES[i] for i in best],
    "an array of names": lambda best, scores: np.array([NAMES[i] for i in best]),
    "one-hot": lambda best, scores: np.eye(CLASSES, dtype=bool)[best],
    "guesses": lambda best, scores: np.argsort(-scores, axis=1)[:, :2],
    "named guesses": lambda best, scores: [
        [NAMES[i] for i in row] for row in np.argsort(-scores, axis=1)[:, :3]
    ],
    "guesses with scores, worst first": lambda best, scores: [
        [(NAMES[i], float(row[i])) for i in np.argsort(row)[1:]] for row in scores
    ],
    "objects": lambda best, scores: [dict(zip(NAMES, row, strict=True)) for row in scores.tolist()],
    "entries": lambda best, scores: [
        [{"label": NAMES[i], "score": float(row[i])}] for i, row in zip(best, scores, strict=True)
    ],
}


@pytest.mark.parametrize("form", WORDED)
def test_answers_of_every_form(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"words_{len(form)}.py").write_text(
        "from tests.suspects.test_files import KERNEL, WORDED\n"
        "def ask(images):\n"
        "    scores = images.reshape(len(images), 6) @ KERNEL\n"
        f"    return WORDED[{form!r}](scores.argmax(axis=1), scores)\n"
    )
    spec = f"python:words_{len(form)}:ask"
    suspect = open_suspect(spec, **FITTING, class_names=NAMES)
    labels = answer_labels(suspect, IMAGES, CLASSES)
    np.testing.assert_array_equal(labels, SCORES.argmax(axis=1))


def test_an_array_of_more_sides_is_no_answer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "import numpy as np\ndef ask(x):\n    return np.zeros((len(x), 4, 2))\n"
    (tmp_path / "many_sides.py").write_text(text)
    suspect = open_suspect("python:many_sides:ask", **FITTING, class_names=NAMES)
    with pytest.raises(SuspectError, match=r"Received: shape \(9, 4, 2\)"):
        answer_labels(suspect, IMAGES, CLASSES)


def test_names_that_are_no_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange_words.py").write_text(
        "def ask(images):\n    return ['emu'] * len(images)\n"
    )
    suspect = open_suspect("python:strange_words:ask", **FITTING, class_names=NAMES)
    with pytest.raises(SuspectError, match="4 class names, ape, bee, cat, dog"):
        answer_labels(suspect, IMAGES, CLASSES)
    nameless = open_suspect("python:strange_words:ask", **FITTING)
    with pytest.raises(SuspectError, match="fingerprint has no names of its classes") as caught:
        answer_labels(nameless, IMAGES, CLASSES)
    # A list of labels is what a server's description has; this is no server.
    assert "probe" not in str(caught.value) and "emu" not in str(caught.value)


def test_a_sandbox_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    suspect = open_suspect(onnx_file(tmp_path / "any.onnx"), **FITTING)
    (boxed,) = (part for part in layers(suspect) if hasattr(part, "holds"))
    boxed.close()
    assert os.listdir(tmp_path) == ["any.onnx"]
    with pytest.raises(SuspectError, match="ended"):
        boxed(IMAGES)
