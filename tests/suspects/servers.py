"""Real HTTP servers for tests, which speak published protocols, or misbehave as they are told."""

import base64
import contextlib
import io
import json
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import PIL.Image

JSON = {"Content-Type": "application/json"}


class Reply(Exception):
    """An answer that ends the work on it: status, headers, body."""

    def __init__(self, status, body, headers=JSON):
        self.status, self.headers = status, headers
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


class Raw(Exception):
    """A function that writes to the socket whatever it wants."""

    def __init__(self, write):
        self.write = write


class Server(ThreadingHTTPServer):
    """Keeps what was asked: (method, path, headers, body)."""

    daemon_threads = True

    def __init__(self, app):
        self.app, self.asked = app, []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def questions(self):
        """Bodies of what was posted."""
        return [body for method, _, _, body in self.asked if method == "POST"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet, or the second waits for its receipt

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        try:
            self.server.app(self.command, self.path, self.headers, body)
        except Reply as reply:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(reply.body)
        except Raw as raw:
            self.close_connection = True
            with contextlib.suppress(OSError):
                raw.write(self.wfile)

    do_GET = do_POST = handle_any

    def log_message(self, *_):
        """Nothing."""


@contextlib.contextmanager
def serve(app):
    """Run an app, a function of (method, path, headers, body) that raises its `Reply`."""
    server = Server(app)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TensorFlowServing:
    """RESTful API of TensorFlow Serving [tensorflow.org/tfx/serving/api_rest].

    `answer` maps images (n, h, w, c) to scores (n, C), or labels (n,).
    """

    def __init__(self, answer, *, shape=(2, 2, 1), classes=3, name="input_1", dtype="DT_FLOAT",
                 outputs=("dense",), metadata=True, batch=-1):  # fmt: skip
        self.answer, self.shape, self.classes, self.outputs = answer, shape, classes, outputs
        self.name, self.dtype, self.metadata, self.batch = name, dtype, metadata, batch

    def __call__(self, method, path, headers, body):
        if (method, path) == ("GET", "/v1/models/m/metadata") and self.metadata:
            raise Reply(200, self.facts())
        if (method, path) == ("POST", "/v1/models/m:predict"):
            raise Reply(200, self.predict(json.loads(body)))
        raise Reply(404, {"error": f"Malformed request: {method} {path}"})

    def facts(self):
        sizes = [self.batch] if self.dtype == "DT_STRING" else [self.batch, *self.shape]
        tensor = {"dtype": self.dtype, "tensor_shape": _dims(sizes), "name": f"serve_{self.name}:0"}
        outputs = {
            name: {"dtype": "DT_FLOAT", "tensor_shape": _dims([-1, self.classes]), "name": "out:0"}
            for name in self.outputs
        }
        served = {"inputs": {self.name: tensor}, "outputs": outputs,
                  "method_name": "tensorflow/serving/predict"}  # fmt: skip
        init = {"inputs": {}, "outputs": {"__saved_model_init_op": {
            "dtype": "DT_INVALID", "tensor_shape": {"dim": [], "unknown_rank": True},
            "name": "NoOp"}}, "method_name": ""}  # fmt: skip
        return {
            "model_spec": {"name": "m", "signature_name": "", "version": "1"},
            "metadata": {"signature_def": {"signature_def": {
                "__saved_model_init_op": init, "serving_default": served}}},
        }  # fmt: skip

    def predict(self, question):
        instances = question["instances"]
        if not all(isinstance(x, dict) and set(x) == {self.name} for x in instances):
            if self.metadata:
                raise Reply(400, {"error": f"Failed to process element: 0 key: {self.name} of "
                                  "'instances' list. Error: Invalid argument"})  # fmt: skip
        else:
            instances = [x[self.name] for x in instances]
        if self.dtype == "DT_STRING":
            images = [read_image(base64.b64decode(x["b64"])) for x in instances]
        else:
            images = instances
        images = np.array(images, np.float32)
        if images.shape[1:] != self.shape:
            raise Reply(400, {"error": f"input must be of shape {self.shape}"})
        if self.batch not in (-1, len(images)):
            raise Reply(400, {"error": f"input must be of {self.batch} images"})
        rows = np.asarray(self.answer(images)).tolist()
        if len(self.outputs) > 1:
            rows = [dict.fromkeys(self.outputs, row) for row in rows]
        return {"predictions": rows}


def _dims(sizes):
    return {"dim": [{"size": str(n), "name": ""} for n in sizes], "unknown_rank": False}


def read_image(content):
    """Image file -> (h, w, c), float32 in [0, 1]."""
    with PIL.Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image, np.float32) / 255
    return pixels if pixels.ndim == 3 else pixels[..., None]


TYPES = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "UINT8": "<u1", "INT64": "<i8"}


class OpenInference:
    """Open Inference Protocol, version 2, REST, with the binary tensor extension of Triton.

    `answer` maps images (n, ...) as sent to scores (n, C), labels (n,) or texts.
    """

    def __init__(self, answer, *, shape=(-1, 2, 2, 1), datatype="FP32", extensions=(), named=True,
                 output="FP64", size=(-1, 3)):  # fmt: skip
        self.answer, self.shape, self.datatype, self.named = answer, shape, datatype, named
        self.extensions, self.output, self.size = list(extensions), output, size

    def __call__(self, method, path, headers, body):
        if (method, path) == ("GET", "/v2"):
            raise Reply(200, {"name": "any", "version": "1", "extensions": self.extensions})
        if (method, path) == ("GET", "/v2/models/m"):
            raise Reply(200, self.facts())
        if (method, path) == ("POST", "/v2/models/m/infer"):
            self.infer(headers, body)
        raise Reply(404, {"error": "unknown model"})

    def facts(self):
        facts = {"name": "m", "versions": ["1"], "platform": "test"}
        if not self.named:
            return facts | {"inputs": [], "outputs": []}
        return facts | {
            "inputs": [{"name": "x", "datatype": self.datatype, "shape": list(self.shape)}],
            "outputs": [{"name": "y", "datatype": self.output, "shape": list(self.size)}],
        }

    def infer(self, headers, body):
        cut = int(headers.get("Inference-Header-Content-Length") or len(body))
        question = json.loads(body[:cut])
        (tensor,) = question["inputs"]
        if self.named and tensor["name"] != "x":
            raise Reply(400, {"error": f"unexpected inference input '{tensor['name']}'"})
        if self.named and tensor["datatype"] != self.datatype:
            raise Reply(400, {"error": f"inference input data-type is '{tensor['datatype']}'"})
        rest, size = body[cut:], tensor.get("parameters", {}).get("binary_data_size")
        if size is not None and (size != len(rest) or "binary_tensor_data" not in self.extensions):
            raise Reply(400, {"error": "unexpected binary data"})
        answer = np.asarray(self.answer(self.images(tensor, rest)))
        binary = question.get("parameters", {}).get("binary_data_output", False)
        self.reply(answer, binary)

    def images(self, tensor, rest):
        if tensor["datatype"] == "BYTES":
            if rest:
                files = _split(rest)
            else:
                assert tensor["parameters"] == {"content_type": "base64"}
                files = [base64.b64decode(x) for x in tensor["data"]]
            return np.stack([read_image(x) for x in files])
        kind = TYPES[tensor["datatype"]]
        data = np.frombuffer(rest, kind) if rest else np.array(tensor["data"], kind).ravel()
        return data.reshape(tensor["shape"])

    def reply(self, answer, binary):
        output = {"name": "y", "datatype": self.output, "shape": list(answer.shape)}
        head = {"model_name": "m", "outputs": [output]}
        if not binary:
            output["data"] = answer.ravel().tolist()
            raise Reply(200, head)
        if self.output == "BYTES":
            texts = [str(x).encode() for x in answer.ravel()]
            content = b"".join(struct.pack("<I", len(x)) + x for x in texts)
        else:
            content = answer.astype(TYPES[self.output]).tobytes()
        output["parameters"] = {"binary_data_size": len(content)}
        start = json.dumps(head).encode()
        raise Reply(200, start + content, {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(len(start)),
        })  # fmt: skip


def _split(content):
    files = []
    while content:
        (length,) = struct.unpack("<I", content[:4])
        files.append(content[4 : 4 + length])
        content = content[4 + length :]
    return files
