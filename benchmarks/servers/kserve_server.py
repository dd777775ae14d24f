"""Nets in ONNX files behind KServe's version 1: `python kserve_server.py NAME=FILE...`.

Runs in an environment of its own, with the packages kserve and onnxruntime.
"""

from __future__ import annotations

import argparse
from typing import Any

import kserve
import numpy as np
import onnxruntime


class Net(kserve.Model):
    """Maps images (n, h, w, c) to scores; the file takes channels first."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.ready = True

    def predict(self, payload: dict[str, Any], headers: Any = None, **_: Any) -> dict[str, Any]:
        """Answer a question of version 1."""
        images = np.array(payload["instances"], np.float32).transpose(0, 3, 1, 2)
        given = self.session.get_inputs()[0].name
        return {"predictions": self.session.run(None, {given: images})[0].tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("nets", nargs="+", metavar="NAME=FILE")
    arguments = parser.parse_args()
    nets = [Net(*net.split("=", 1)) for net in arguments.nets]
    kserve.ModelServer(http_port=arguments.http_port, enable_grpc=False).start(nets)
