"""A classifier as a file of every kind that a suspect may be, and behind an API that says names."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks import graphs
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.classifier import Classifier
from cemfp.removal.quantization import int8_model

FUNCTIONS = '''"""A function that answers scores, and one that answers labels."""

import onnxruntime

_NET = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])


def scores(images):
    return _NET.run(None, {{"image": images.transpose(0, 3, 1, 2)}})[0]


def labels(images):
    return scores(images).argmax(axis=1)
'''


def write_all(net: Classifier, fingerprint: Fingerprint, folder: Path, name: str) -> None:
    """Write a ResNet into `folder`, as files that begin with `name`."""
    folder.mkdir(parents=True, exist_ok=True)
    graphs.write_onnx(net.model, folder / f"{name}.onnx")
    graphs.write_torchscript(net.model, folder / f"{name}.pt")
    net.model.save(folder / f"{name}.keras")
    net.model.save(folder / f"{name}.h5")
    tf.saved_model.save(net.model, str(folder / f"{name}-saved"))
    converter = tf.lite.TFLiteConverter.from_keras_model(net.model)
    (folder / f"{name}.tflite").write_bytes(converter.convert())
    ordinary = fingerprint.inputs if fingerprint.controls is None else fingerprint.controls
    (folder / f"{name}-int8.tflite").write_bytes(int8_model(net.model, ordinary))
    (folder / f"{name}_function.py").write_text(FUNCTIONS.format(file=f"{name}.onnx"))
    server = folder / "mlserver"
    (server / name).mkdir(parents=True, exist_ok=True)
    sides = list(net.input_shape)
    settings = {
        "name": name,
        "implementation": "mlserver_net.Net",
        "parameters": {"uri": str((folder / f"{name}.onnx").absolute())},
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, *sides]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, net.classes]}],
    }
    (server / name / "model-settings.json").write_text(json.dumps(settings))
    common = {"parallel_workers": 0, "http_port": 8085, "grpc_port": 8086, "metrics_port": 8087}
    (server / "settings.json").write_text(json.dumps(common))


def forms(folder: Path, name: str) -> dict[str, str]:
    """Return what to type for each form that needs no server."""
    here = folder.absolute()
    return {
        "`.keras`": f"{here}/{name}.keras",
        "`.h5`": f"{here}/{name}.h5",
        "SavedModel": f"{here}/{name}-saved",
        "ONNX, channels first": f"{here}/{name}.onnx",
        "TorchScript, channels first": f"{here}/{name}.pt",
        "TensorFlow Lite, float32": f"{here}/{name}.tflite",
        "TensorFlow Lite, int8": f"{here}/{name}-int8.tflite",
        "`python:`, scores": f"python:{name}_function:scores",
        "`python:`, labels only": f"python:{name}_function:labels",
    }


@contextlib.contextmanager
def served_labels(net: Classifier, fingerprint: Fingerprint, folder: Path) -> Iterator[str]:
    """Serve a net that takes PNG files and answers names; yield its description's path."""
    names = fingerprint.class_names or tuple(f"class {n}" for n in range(net.classes))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer one question."""
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with Image.open(io.BytesIO(base64.b64decode(asked["file"]))) as image:
                pixels = np.asarray(image)
            label = int(net.predict_labels(pixels.reshape(1, *net.input_shape))[0])
            body = json.dumps({"result": {"class": names[label]}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = folder.absolute() / "api.yaml"
    path.write_text(
        f"url: http://127.0.0.1:{server.server_port}/classify\n"
        'body: {json: {file: "{image}"}}\n'
        "answer: {path: $.result.class, kind: labels}\n"
        f"labels: {json.dumps(list(names))}\n"
    )
    try:
        yield str(path)
    finally:
        server.shutdown()
        server.server_close()
