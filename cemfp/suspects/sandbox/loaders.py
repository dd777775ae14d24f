"""One function per kind of file: from a path to something that answers. Runs in the sandbox.

Each returns a callable of images (n, h, w, c), float32, as the file wants them, with what it says
of itself: `input_shape` (h, w, c), `classes`, `class_names`. A file that insists on a number of
images at once gets so many. Libraries are imported only when a file needs them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CHANNELS = (1, 3, 4)
# What Keras says, in each of its formats, of a class that it does not know.
_MISSING = re.compile(
    "(?:object of type |locate class |Unknown layer: |Received: layer=)[`']?([A-Za-z0-9_>.]{1,80})"
)


def load_keras(path: Path, settings: dict[str, Any]) -> Any:
    """A `.keras` file, or an `.h5` file of a whole model, with whatever code is in it."""
    from cemfp.suspects.sandbox.layers import check_layers

    check_layers(path)  # before the seconds that the next import takes
    import tensorflow as tf

    from cemfp.models.classifier import Classifier

    more = {"safe_mode": False} if path.suffix == ".keras" else {}
    try:
        model = tf.keras.models.load_model(path, compile=False, **more)
    except (TypeError, ValueError) as error:
        if not (missing := _MISSING.search(str(error))):
            raise
        raise ValueError(
            f"its class {missing[1]} is not in the file; a SavedModel, ONNX or TensorFlow Lite "
            "file of it has all that is needed, or python:module:function loads it"
        ) from error
    classifier = Classifier.from_keras(model)
    return _Facts(classifier.predict_logits, classifier.input_shape, classifier.classes)


def load_saved_model(path: Path, settings: dict[str, Any]) -> Any:
    """A SavedModel: its signature `serving_default`, or the only one."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signatures = dict(loaded.signatures)
    name = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
    if name is None:
        raise ValueError("a SavedModel without a signature to call: export it with one")
    function = signatures[name]
    specs = function.structured_input_signature[1]
    if len(specs) != 1:
        raise ValueError(f"a signature of one input is expected, this has {len(specs)}")
    (keyword, spec), output = next(iter(specs.items())), settings.get("output")
    chosen = _choose({k: v.shape.rank for k, v in function.structured_outputs.items()}, output)
    width = function.structured_outputs[chosen].shape.as_list()
    shape = spec.shape.as_list() if spec.shape.rank == 4 else [None] * 4

    def answer(images: np.ndarray) -> np.ndarray:
        """Call the signature."""
        given = tf.constant(_as_type(images, spec.dtype.as_numpy_dtype))
        return np.asarray(function(**{keyword: given})[chosen].numpy())

    classes = width[1] if len(width) == 2 else None
    return _Facts(answer, shape[1:], classes, fixed=shape[0], keep=loaded)


def load_torchscript(path: Path, settings: dict[str, Any]) -> Any:
    """A TorchScript file, channels first, or last where it refuses that."""
    import torch

    torch.set_num_threads(1)
    model = torch.jit.load(str(path), map_location="cpu").eval()
    height, width, channels = settings["input_shape"]
    probe = np.zeros((1, height, width, channels), np.float32)

    def ask(images: np.ndarray, first: bool) -> np.ndarray:
        """Call it with the channels in the second place, or in the last."""
        turned = np.moveaxis(images, 3, 1) if first else images
        with torch.inference_mode():
            answer = model(torch.from_numpy(np.ascontiguousarray(turned)))
        answers = answer if isinstance(answer, list | tuple) else [answer]
        index = int(settings.get("output") or 0)
        return np.asarray(answers[index].float().numpy())

    try:
        ask(probe, True)
        first = True
    except RuntimeError:
        ask(probe, False)
        first = False
    return _Facts(lambda images: ask(images, first), None, None)


def load_tflite(path: Path, settings: dict[str, Any]) -> Any:
    """A TensorFlow Lite file; integer inputs and outputs are read as the file says."""
    from cemfp.models.tflite import TFLiteModel

    model = TFLiteModel(path, output=settings.get("output"))
    return _Facts(model, model.input_shape, model.classes)


def load_onnx(path: Path, settings: dict[str, Any]) -> Any:
    """An ONNX file: batch, layout and types as the graph says."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if len(session.get_inputs()) != 1:
        raise ValueError(f"one input is expected, this has {len(session.get_inputs())}")
    (given,) = session.get_inputs()
    shape = [side if isinstance(side, int) and side > 0 else None for side in given.shape]
    if len(shape) != 4:
        raise ValueError(f"an input (n, h, w, c) or (n, c, h, w) is expected, not {given.shape}")
    outputs = session.get_outputs()
    name = _choose({o.name: len(o.shape or [0, 0]) for o in outputs}, settings.get("output"))
    width = next(o.shape for o in outputs if o.name == name)
    classes = width[1] if len(width or ()) == 2 and isinstance(width[1], int) else None
    dtype = _ONNX_TYPES.get(given.type)
    if dtype is None:
        raise ValueError(f"an input of numbers is expected, not {given.type}")
    batch = shape[0]

    def answer(images: np.ndarray, first: bool) -> Any:
        """Run the graph."""
        turned = np.moveaxis(images, 3, 1) if first else images
        fed = np.ascontiguousarray(_as_type(turned, dtype))
        rows = session.run([name], {given.name: fed})[0]
        # scikit-learn's converter answers an object of scores for each image.
        return [list(r.values()) for r in rows] if _are_objects(rows) else rows

    probe = np.zeros((batch or 1, *settings["input_shape"]), np.float32)
    first = _channels_first(shape, settings["input_shape"], lambda way: answer(probe, way))
    size = [shape[2], shape[3], shape[1]] if first else shape[1:]
    return _Facts(lambda images: answer(images, first), size, classes, _onnx_names(session), batch)


_ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def _onnx_names(session: Any) -> list[str]:
    """Return the class names that exporters write beside the graph."""
    facts = session.get_modelmeta().custom_metadata_map
    try:
        found = json.loads(facts.get("class_names") or facts.get("names") or "[]")
    except (ValueError, RecursionError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def _channels_first(
    shape: list[int | None], asked: list[int], run: Callable[[bool], object]
) -> bool:
    """Whether an input's second side, not its last, is the channels.

    Args:
        shape: Of the input (n, ., ., .); None is open.
        asked: (h, w, c) of the images.
        run: Asks the graph about an image whose channels are put first, or else last.
    """
    if shape[1] in CHANNELS and shape[3] not in CHANNELS:
        return True
    if shape[3] in CHANNELS and shape[1] not in CHANNELS:
        return False
    ways = [first for first, side in ((True, 1), (False, 3)) if shape[side] in (None, asked[2])]
    if len(ways) < 2:
        return ways != [False]
    if None not in shape[1:]:
        raise ValueError(
            "an input whose channels are first or last is expected, this of "
            f"{' x '.join(map(str, shape[1:]))} may have them in either place"
        )
    try:
        run(True)
    except Exception:  # noqa: BLE001 - onnxruntime has no common class for what a graph refuses
        return False
    return True


def _choose(ranks: dict[str, int | None], wanted: str | None) -> str:
    """Return the name of the output to read: the wanted one, by name or number, else the scores."""
    names = list(ranks)
    if wanted is not None:
        if wanted in ranks:
            return wanted
        if wanted.isdecimal() and int(wanted) < len(names):
            return names[int(wanted)]
        raise ValueError(f"no output {wanted[:40]}; there are {', '.join(names)[:120]}")
    if len(names) == 1:
        return names[0]
    scores = [name for name, rank in ranks.items() if rank == 2]
    if len(scores) != 1:
        raise ValueError(f"several outputs: choose one with --output: {', '.join(names)[:120]}")
    return scores[0]


def _as_type(images: np.ndarray, dtype: Any) -> np.ndarray:
    """Return images as a type of numbers; whole ones are rounded and keep within the type."""
    if np.dtype(dtype).kind == "f":
        return images.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(images), limits.min, limits.max).astype(dtype)


def _are_objects(rows: Any) -> bool:
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict)


class _Facts:
    """A function with what a suspect says of itself."""

    def __init__(
        self,
        function: Callable[[np.ndarray], Any],
        input_shape: Any,
        classes: int | None,
        class_names: Any = (),
        fixed: int | None = None,
        keep: Any = None,
    ) -> None:
        self._function, self._fixed, self._keep = function, fixed, keep
        known = input_shape is not None and len(input_shape) == 3
        self.input_shape = list(input_shape) if known else None
        self.classes = None if classes is None else int(classes)
        self.class_names = class_names

    def __call__(self, images: np.ndarray) -> Any:
        """Answer, asked with as many images as it insists on: the last part is filled up."""
        if self._fixed is None:
            return self._function(images)
        rows: list[Any] = []
        for start in range(0, len(images), self._fixed):
            part = images[start : start + self._fixed]
            filling = np.zeros((self._fixed - len(part), *part.shape[1:]), part.dtype)
            rows += list(self._function(np.concatenate([part, filling])))[: len(part)]
        return np.stack(rows) if rows and isinstance(rows[0], np.ndarray | np.generic) else rows


LOADERS: dict[str, Callable[[Path, dict[str, Any]], Any]] = {
    "keras": load_keras,
    "h5": load_keras,
    "saved_model": load_saved_model,
    "torchscript": load_torchscript,
    "tflite": load_tflite,
    "onnx": load_onnx,
}
