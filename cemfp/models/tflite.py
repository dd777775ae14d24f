"""Models of TensorFlow Lite: run one, save one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cemfp.storage.files import write_atomic

if TYPE_CHECKING:
    import tensorflow as tf

TFLITE_FILE = "model.tflite"  # in the directory that a model is saved to
IDENTIFIER = b"TFL3"  # bytes 4 to 8 of the file
LARGEST = 2**31 - 1  # bytes; a flatbuffer cannot be larger
BATCH = 100


class TFLiteError(ValueError):
    """A file is no classifier that TensorFlow Lite can run."""


class TFLiteModel:
    """Maps images (n, h, w, c), float32 in [0, 1] or uint8, to scores (n, C), float32.

    Integer inputs and outputs are quantised and read as the file says. Runs in this process: a
    stranger's file is a suspect, which is opened in a sandbox.

    Attributes:
        content: The file's bytes.
        input_shape: Height, width and channels of an input.
        classes: Number of classes.
    """

    def __init__(self, model: bytes | Path, *, output: str | None = None) -> None:
        """Prepare the interpreter.

        Args:
            model: The file's bytes, or its path.
            output: Which output to read, by name or number, where there are several.

        Raises:
            TFLiteError: Not a TensorFlow Lite classifier of images.
        """
        self.content = model if isinstance(model, bytes) else read_file(Path(model))
        check_header(self.content)
        try:
            place = _check_signature(_new_interpreter(self.content), output)
            self._interpreter = _interpreter(self.content)
            (self._input,) = self._interpreter.get_input_details()
            self._output = self._interpreter.get_output_details()[place]
        except TFLiteError:
            raise
        except (ValueError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise TFLiteError(
                f"TensorFlow Lite cannot run it as a classifier: {type(error).__name__}: {reason}"
            ) from error
        if len(self._input["shape"]) != 4 or len(self._output["shape"]) != 2:
            raise TFLiteError(
                "expected a model from images (n, h, w, c) to scores (n, classes). Received: "
                f"{self._input['shape'].tolist()} to {self._output['shape'].tolist()}."
            )
        self.batch = int(self._input["shape"][0])
        self.input_shape = tuple(int(side) for side in self._input["shape"][1:])
        self.classes = int(self._output["shape"][1])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return scores (n, C) of images (n, h, w, c), float32 in [0, 1] or uint8."""
        starts = range(0, len(images), self.batch)
        parts = [self._run(images[start : start + self.batch]) for start in starts]
        return np.concatenate(parts) if parts else np.empty((0, self.classes), np.float32)

    def predict_labels(self, images: np.ndarray) -> np.ndarray:
        """Return the top-1 label (n,) int64 of images, float32 in [0, 1] or uint8."""
        scores = self(images)
        return scores.argmax(axis=1).astype(np.int64)

    def save(self, directory: Path) -> None:
        """Write `model.tflite`."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        write_atomic(Path(directory) / TFLITE_FILE, self.content)

    def _run(self, images: np.ndarray) -> np.ndarray:
        """Return the scores of at most a batch; the rest of the batch is zeros."""
        pixels = images.astype(np.float32) / np.float32(255 if images.dtype == np.uint8 else 1)
        batch = np.zeros((self.batch, *self.input_shape), np.float32)
        batch[: len(images)] = pixels
        self._interpreter.set_tensor(self._input["index"], to_tensor(batch, self._input))
        self._interpreter.invoke()
        answer = self._interpreter.get_tensor(self._output["index"])
        return from_tensor(answer, self._output)[: len(images)]


def _check_signature(interpreter: tf.lite.Interpreter, output: str | None) -> int:
    """Refuse what has not one input of a fixed size; return the place of the output to read."""
    inputs = interpreter.get_input_details()
    names = [details["name"] for details in interpreter.get_output_details()]
    wanted = names.index(output) if output in names else output
    if wanted is None and len(names) == 1:
        wanted = 0
    if len(inputs) != 1 or not str(wanted).isdecimal() or int(str(wanted)) >= len(names):
        choose = f"; choose one with --output: {', '.join(names)}" if len(names) > 1 else ""
        raise TFLiteError(
            f"expected a model with one input and one output. Received: {len(inputs)} and "
            f"{len(names)}{choose}."
        )
    signature = [int(side) for side in inputs[0]["shape_signature"]]
    if -1 in signature[1:]:
        raise TFLiteError(
            f"expected a model of a fixed input size. Received: {signature}, where -1 is open; "
            "convert it again with a fixed one."
        )
    return int(str(wanted))


def to_tensor(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Return real values as a tensor of the type that `details` says: rint(x / s + z) if whole."""
    dtype = np.dtype(details["dtype"])
    if dtype.kind == "f":
        return values.astype(dtype)
    step, zero = details["quantization"]
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / (step or 1.0) + zero), limits.min, limits.max).astype(dtype)


def from_tensor(tensor: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Return a tensor's real values, float32: (q - z) s if it holds whole numbers q."""
    if tensor.dtype.kind == "f":
        return tensor.astype(np.float32)
    step, zero = details["quantization"]
    return (tensor.astype(np.float32) - np.float32(zero)) * np.float32(step or 1.0)


def _interpreter(content: bytes) -> tf.lite.Interpreter:
    """Return an interpreter for `BATCH` images at a time, or for as many as the file insists on."""
    interpreter = _new_interpreter(content)
    (inputs,) = interpreter.get_input_details()
    try:
        interpreter.resize_tensor_input(inputs["index"], [BATCH, *inputs["shape"][1:]])
        interpreter.allocate_tensors()
        interpreter.invoke()
        if all(details["shape"][0] == BATCH for details in interpreter.get_output_details()):
            return interpreter
    except (ValueError, RuntimeError):
        pass
    interpreter = _new_interpreter(content)
    interpreter.allocate_tensors()
    return interpreter


def _new_interpreter(content: bytes) -> tf.lite.Interpreter:
    import tensorflow as tf

    # The default delegate would write a line to standard error; it makes int8 nets 1.5 x as fast.
    without = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return tf.lite.Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=without
    )


def read_file(path: Path) -> bytes:
    """Return the bytes of a file that is not too large for a flatbuffer."""
    size = path.stat().st_size
    if size > LARGEST:
        raise TFLiteError(f"expected a file of at most {LARGEST} bytes. Received: {size}.")
    return path.read_bytes()


def check_header(content: bytes) -> None:
    """Refuse what is no TensorFlow Lite file before any C++ sees it."""
    root = int.from_bytes(content[:4], "little")
    if content[4:8] != IDENTIFIER or not 8 <= root < len(content):
        raise TFLiteError("not a TensorFlow Lite model: renamed or damaged?")
