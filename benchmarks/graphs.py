"""A Keras ResNet as ONNX and as TorchScript, written by hand: no converter is needed for it.

Both take channels first, as PyTorch's exporters leave them. What the nets of `NETS` named `resnet`
are made of is known; another layer is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

SKIPPED = ("InputLayer", "Activation")  # the activation is linear
INPUT, OUTPUT = "image", "logits"


def steps(model: tf.keras.Model) -> list[tuple[str, str, list[str], tf.keras.layers.Layer]]:
    """Return kind, name, names of the inputs, and layer of each step, in the order of calling.

    Layers that change nothing are left out; the model's input is `INPUT`.

    Raises:
        ValueError: It has an activation, which would be left out.
    """
    found, same = [], {}
    for layer in model.layers:
        tensors = layer.input if isinstance(layer.input, list) else [layer.input]
        # The layer that made a tensor is known to nothing public.
        before = [tensor._keras_history.layer.name for tensor in tensors]
        kind = type(layer).__name__
        if kind == "InputLayer":
            same[layer.name] = INPUT
        elif kind in SKIPPED:
            if layer.get_config()["activation"] != "linear":
                raise ValueError(f"expected no activation but ReLU. Received: {layer.name}.")
            same[layer.name] = same.get(before[0], before[0])
        else:
            found.append((kind, layer.name, [same.get(x, x) for x in before], layer))
    return found


def write_onnx(model: tf.keras.Model, path: Path) -> None:
    """Write a ResNet as an ONNX file, from `INPUT` (n, c, h, w) to `OUTPUT` (n, classes)."""
    import onnx
    from onnx import TensorProto, helper

    nodes, stored, made = [], [], {INPUT: INPUT}
    for kind, name, given, layer in steps(model):
        inputs = [made[x] for x in given]
        for place, (operator, arrays, settings) in enumerate(_onnx_nodes(kind, layer)):
            output = f"{name}.{place}"
            constants = [f"{output}.{number}" for number in range(len(arrays))]
            pairs = zip(arrays, constants, strict=True)
            stored += [onnx.numpy_helper.from_array(np.asarray(x), key) for x, key in pairs]
            nodes.append(helper.make_node(operator, [*inputs, *constants], [output], **settings))
            inputs = [output]
        made[name] = output
    nodes.append(helper.make_node("Identity", [output], [OUTPUT]))
    height, width, channels = model.input_shape[1:]
    ends = ((INPUT, ["n", channels, height, width]), (OUTPUT, ["n", model.output_shape[1]]))
    start, end = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in ends)
    graph = helper.make_graph(nodes, model.name, [start], [end], stored)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def _onnx_nodes(
    kind: str, layer: tf.keras.layers.Layer
) -> list[tuple[str, list[np.ndarray], dict[str, Any]]]:
    """Return operator, constants and settings of the nodes that a layer is."""
    weights = layer.get_weights()
    if kind == "Rescaling":
        scale, offset = np.float32(layer.scale), np.float32(layer.offset)
        return [("Mul", [scale], {}), ("Add", [offset], {})]
    if kind == "Conv2D":
        settings = {"auto_pad": "SAME_UPPER", "strides": list(layer.strides)}
        return [("Conv", [np.transpose(weights[0], (3, 2, 0, 1)), *weights[1:]], settings)]
    if kind == "BatchNormalization":
        return [("BatchNormalization", weights, {"epsilon": layer.epsilon})]
    if kind == "MaxPooling2D":
        # Of one pixel each, as in these nets: every second pixel, and nothing is padded.
        sizes = {"kernel_shape": list(layer.pool_size), "strides": list(layer.strides)}
        return [("MaxPool", [], sizes)]
    if kind == "GlobalAveragePooling2D":
        return [("GlobalAveragePool", [], {}), ("Flatten", [], {})]
    if kind == "Dense":
        return [("Gemm", weights, {})]
    if kind in ("ReLU", "Add"):
        return [({"ReLU": "Relu"}.get(kind, kind), [], {})]
    raise ValueError(f"expected the layers of a ResNet. Received: {kind}.")


def write_torchscript(model: tf.keras.Model, path: Path) -> None:
    """Write a ResNet as a TorchScript file, traced, from (n, c, h, w) to (n, classes)."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plan = steps(model)
            for _, name, _, layer in self.plan:
                for number, array in enumerate(layer.get_weights()):
                    self.register_buffer(f"{name}_{number}", torch.from_numpy(array))

        def forward(self, image: Any) -> Any:
            values = {INPUT: image}
            for kind, name, given, layer in self.plan:
                count = len(layer.get_weights())
                weights = [getattr(self, f"{name}_{number}") for number in range(count)]
                values[name] = _torch_step(kind, layer, [values[x] for x in given], weights)
            return values[name]

    height, width, channels = model.input_shape[1:]
    with torch.inference_mode():
        torch.jit.trace(Net().eval(), torch.zeros(2, channels, height, width)).save(str(path))


def _torch_step(kind: str, layer: Any, given: list[Any], weights: list[Any]) -> Any:
    """Return what a step makes of tensors (n, c, h, w)."""
    from torch.nn import functional

    x = given[0]
    if kind == "Rescaling":
        return x * layer.scale + layer.offset
    if kind == "Conv2D":
        kernel = weights[0].permute(3, 2, 0, 1)
        padded = functional.pad(x, _padding(layer))
        return functional.conv2d(padded, kernel, *weights[1:], stride=layer.strides)
    if kind == "BatchNormalization":
        scale, shift, mean, variance = weights
        return functional.batch_norm(x, mean, variance, scale, shift, eps=layer.epsilon)
    if kind == "MaxPooling2D":
        return functional.max_pool2d(x, layer.pool_size, layer.strides)
    if kind == "GlobalAveragePooling2D":
        return x.mean(dim=(2, 3))
    if kind == "Dense":
        return functional.linear(x, weights[0].T, weights[1])
    if kind == "ReLU":
        return functional.relu(x)
    if kind == "Add":
        return x + given[1]
    raise ValueError(f"expected the layers of a ResNet. Received: {kind}.")


def _padding(layer: tf.keras.layers.Conv2D) -> list[int]:
    """Return what TensorFlow pads for `same`, left, right, above, below: the larger part last."""
    found = []
    sides = zip(layer.input.shape[1:3], layer.kernel_size, layer.strides, strict=True)
    for size, kernel, stride in sides:
        more = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        found = [more // 2, more - more // 2, *found]
    return found
