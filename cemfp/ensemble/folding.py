"""A frozen Keras classifier as a list of steps, with batch norm folded into the layer before it.

The list is data: two nets with equal lists differ in their weights alone, so one compiled body can
run both.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

LINEAR = ("convolution", "depthwise", "dense")


class NotFoldable(Exception):
    """The net holds a layer that no step describes; call the Keras model instead."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        kind: Name in `steps.OPERATIONS`.
        inputs: Positions of its inputs; 0 is the image, i the output of the i-th step.
        output: Position of its output.
        input_shapes: Shape of each input, without the batch.
        options: (name, value) pairs, such as strides and padding.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    input_shapes: tuple[tuple[int, ...], ...]
    options: tuple[tuple[str, Any], ...]

    def option(self, name: str) -> Any:
        """Return the value of an option."""
        return dict(self.options)[name]


Program = tuple[Step, ...]  # in the order of execution; the last step gives the logits


@dataclasses.dataclass(frozen=True)
class Folded:
    """A program and its weights.

    Attributes:
        program: The steps.
        weights: One tuple of float32 arrays for each step.
        scales: For each step with a kernel, what batch norm multiplied it with (broadcasts to the
            kernel's shape): a change of the net's own kernel counts as many times in the folded
            one. None for other steps.
    """

    program: Program
    weights: tuple[tuple[np.ndarray, ...], ...]
    scales: tuple[np.ndarray | None, ...]


def fold(model: tf.keras.Model) -> Folded | None:
    """Return the inference-mode `model` as a program, or None if it holds anything unknown.

    Args:
        model: From images (n, h, w, c) to scores (n, C), functional or sequential, possibly nested.
    """
    try:
        folding = _Folding(model.input_shape)
        (last,) = folding.add_graph(model, [0])
        return folding.result(last)
    except (NotFoldable, AttributeError, TypeError, ValueError):
        # A subclassed model has no graph to walk; a stranger's may lack any attribute read here.
        return None


class _Folding:
    """The steps so far; layers are added in the order of execution."""

    def __init__(self, input_shape: tuple[int | None, ...]) -> None:
        self.shapes = [_known(input_shape)]
        self.steps: list[Step] = []
        self.weights: list[tuple[np.ndarray, ...]] = []
        self.scales: list[np.ndarray | None] = []

    def result(self, last: int) -> Folded:
        if last != len(self.steps) or len(self.shapes[-1]) != 1:
            raise NotFoldable("the last step does not give scores (n, C)")
        return Folded(tuple(self.steps), tuple(self.weights), tuple(self.scales))

    def add(
        self,
        kind: str,
        inputs: list[int],
        shape: tuple[int | None, ...],
        *weights: np.ndarray,
        **options: Any,
    ) -> int:
        """Add a step whose output has `shape`; return the output's position."""
        self.shapes.append(_known(shape))
        output = len(self.steps) + 1
        shapes = tuple(self.shapes[i] for i in inputs)
        self.steps.append(Step(kind, tuple(inputs), output, shapes, tuple(sorted(options.items()))))
        self.weights.append(tuple(np.asarray(w, np.float32) for w in weights))
        self.scales.append(np.ones(1, np.float32) if kind in LINEAR else None)
        return output

    def add_graph(self, model: tf.keras.Model, inputs: list[int]) -> list[int]:
        """Add every layer of `model`, fed with `inputs`; return the positions of its outputs."""
        if not _is_keras(model):
            raise NotFoldable("a model class with a `call` of its own")
        # Keras has no public way to walk a functional model's calls in order; TensorFlow is pinned.
        by_depth = model._nodes_by_depth
        nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
        uses = Counter(i for node in nodes for i in node.flat_input_ids)
        uses.update(str(id(output)) for output in model.outputs)
        positions = dict(zip((str(id(x)) for x in model.inputs), inputs, strict=True))
        for node in nodes:
            if isinstance(node.layer, tf.keras.layers.InputLayer):
                continue
            sources = [positions[i] for i in node.flat_input_ids]
            foldable = all(uses[i] == 1 for i in node.flat_input_ids)
            outputs = self.add_layer(node, sources, foldable)
            positions.update(zip(node.flat_output_ids, outputs, strict=True))
        return [positions[str(id(output))] for output in model.outputs]

    def add_layer(self, node: Any, inputs: list[int], foldable: bool) -> list[int]:
        """Add one call of a layer. `foldable`: nothing else reads its input."""
        layer = node.layer
        if node.call_kwargs.get("training"):  # it does more than in inference mode, forever
            raise NotFoldable("a layer that is called with training=True")
        if isinstance(layer, tf.keras.Sequential | tf.keras.Model):
            return self.add_graph(layer, inputs)
        name = type(layer).__name__
        if not _is_keras(layer):
            raise NotFoldable(name)
        if name == "BatchNormalization":
            return [self._batch_norm(layer, inputs, node.output_shapes, foldable)]
        if name in ("TFOpLambda", "Rescaling"):
            scale_and_offset = map(np.asarray, _scale_and_offset(layer, node))
            return [self.add("affine", inputs, node.output_shapes, *scale_and_offset)]
        if name not in LAYERS:
            raise NotFoldable(name)
        described = LAYERS[name](layer)
        if described is None:
            (added,) = inputs
        else:
            kind, weights, options = described
            added = self.add(kind, inputs, node.output_shapes, *weights, **options)
        return [self._activation(getattr(layer, "activation", None), added, node.output_shapes)]

    def _activation(self, function: Any, position: int, shape: tuple[int | None, ...]) -> int:
        if function is None or function is tf.keras.activations.linear:
            return position
        if function is not tf.keras.activations.relu:
            raise NotFoldable("activation")
        return self.add("relu", [position], shape)

    def _batch_norm(
        self, layer: Any, inputs: list[int], shape: tuple[int | None, ...], foldable: bool
    ) -> int:
        """Scale the kernel of the step before if nothing else reads its output; else add a step."""
        if list(layer.axis) != [len(shape) - 1]:
            raise NotFoldable("batch norm of another axis than the channels")
        deviation = np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
        scale = (layer.gamma.numpy() if layer.scale else 1.0) / deviation
        offset = (layer.beta.numpy() if layer.center else 0.0) - layer.moving_mean.numpy() * scale
        (position,) = inputs
        if not foldable or not position or self.steps[position - 1].kind not in LINEAR:
            return self.add("affine", inputs, shape, scale, offset)
        kernel, bias = self.weights[position - 1]
        depthwise = self.steps[position - 1].kind == "depthwise"
        factor = scale.reshape(kernel.shape[2:]) if depthwise else scale
        before = self.scales[position - 1]
        self.weights[position - 1] = (kernel * factor, (bias * scale + offset).astype(np.float32))
        self.scales[position - 1] = (before * factor).astype(np.float32)
        return position


Described = tuple[str, tuple[np.ndarray, ...], dict[str, Any]] | None


def _linear(kind: str, **names: str) -> Callable[[Any], Described]:
    """Describe a layer with a kernel and perhaps a bias."""

    def describe(layer: Any) -> Described:
        kernel = getattr(layer, names.get("kernel", "kernel")).numpy()
        filters = kernel.shape[-1] * (kernel.shape[-2] if kind == "depthwise" else 1)
        bias = layer.bias.numpy() if layer.use_bias else np.zeros(filters, np.float32)
        return kind, (kernel, bias), {} if kind == "dense" else _window(layer)

    return describe


def _window(layer: Any, size: str | None = None) -> dict[str, Any]:
    """Return the options that convolutions and pooling share."""
    if layer.data_format != "channels_last" or layer.padding not in ("same", "valid"):
        raise NotFoldable("data format or padding")
    options = {"strides": tuple(layer.strides), "padding": layer.padding.upper()}
    if size is not None:
        return options | {"size": tuple(getattr(layer, size))}
    if tuple(layer.dilation_rate) != (1, 1) or getattr(layer, "groups", 1) != 1:
        raise NotFoldable("dilated or grouped convolution")
    return options


def _relu(layer: Any) -> Described:
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6):
        raise NotFoldable("a ReLU with a slope, a threshold or an unusual ceiling")
    return ("relu" if layer.max_value is None else "relu6"), (), {}


def _global_pool(layer: Any) -> Described:
    if layer.data_format != "channels_last":
        raise NotFoldable("data format")
    return "global_average", (), {"keepdims": bool(layer.keepdims)}


def _padding(layer: Any) -> Described:
    if layer.data_format != "channels_last":
        raise NotFoldable("data format")
    return "pad", (), {"amounts": tuple(map(tuple, layer.padding))}


def _concatenate(layer: Any) -> Described:
    if layer.axis not in (-1, 3):
        raise NotFoldable("concatenation of another axis than the channels")
    return "concatenate", (), {}


def _scale_and_offset(layer: Any, node: Any) -> tuple[Any, Any]:
    """Return what a `Rescaling` layer, or `x * a` or `x + b` in the graph, multiplies and adds."""
    if type(layer).__name__ == "Rescaling":
        return layer.scale, layer.offset
    other = node.call_kwargs.get("y", node.call_args[1] if len(node.call_args) > 1 else None)
    if not isinstance(other, int | float | np.floating):
        raise NotFoldable("an operation of two tensors")
    if layer.symbol in ("math.multiply", "__operators__.mul"):
        return other, 0.0
    if layer.symbol in ("math.add", "__operators__.add"):
        return 1.0, other
    raise NotFoldable(layer.symbol)


LAYERS: dict[str, Callable[[Any], Described]] = {
    "Conv2D": _linear("convolution"),
    "DepthwiseConv2D": _linear("depthwise", kernel="depthwise_kernel"),
    "Dense": _linear("dense"),
    "ReLU": _relu,
    "Activation": lambda layer: None,
    "Add": lambda layer: ("add", (), {}),
    "Concatenate": _concatenate,
    "MaxPooling2D": lambda layer: ("max_pool", (), _window(layer, "pool_size")),
    "AveragePooling2D": lambda layer: ("average_pool", (), _window(layer, "pool_size")),
    "GlobalAveragePooling2D": _global_pool,
    "Flatten": lambda layer: ("flatten", (), {}),
    "ZeroPadding2D": _padding,
    "Dropout": lambda layer: None,  # does nothing in inference mode
}


def _is_keras(layer: Any) -> bool:
    """Whether the class is Keras's own, so that its name says what it does."""
    return type(layer).__module__.split(".")[0] == "keras"


def _known(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return a shape without its batch dimension."""
    if not isinstance(shape, tuple) or None in shape[1:]:
        raise NotFoldable("an unknown shape, or several inputs")
    return tuple(int(side) for side in shape[1:])  # type: ignore[arg-type]
