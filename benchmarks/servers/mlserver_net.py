"""A net in an ONNX file behind MLServer: `mlserver start FOLDER`, see `benchmarks/forms.py`.

Runs in an environment of its own, with the packages mlserver and onnxruntime. The folder holds for
each net a `model-settings.json` whose `implementation` is `mlserver_net.Net`.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Net(MLModel):
    """Maps images (n, h, w, c) to scores; the file takes channels first."""

    async def load(self) -> bool:
        """Open the file."""
        path = self.settings.parameters.uri
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a question of version 2."""
        images = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        given = self.session.get_inputs()[0].name
        scores = self.session.run(None, {given: images.transpose(0, 3, 1, 2)})[0]
        output = NumpyCodec.encode_output("logits", scores)
        return InferenceResponse(model_name=self.name, outputs=[output])
