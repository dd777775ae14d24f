"""What each step of a folded net computes, and how a gradient passes back through it.

Weights are constants here: only the gradient with respect to the image is ever wanted, so of all
activations only those that a ReLU or a maximum needs are kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from cemfp.ensemble.folding import Program, Step

Own = Sequence[tf.Tensor]  # the weights of one step
Activations = Mapping[int, tf.Tensor]
HEAD = ("global_average", "flatten", "dense")  # cheap, and close to the logits


@dataclasses.dataclass(frozen=True)
class Operation:
    """One kind of step.

    Attributes:
        forward: Step, inputs and weights to the output.
        backward: Step, output's gradient, weights and kept activations to each input's gradient.
        keeps_input: Whether `backward` reads the input.
        keeps_output: Whether `backward` reads the output.
    """

    forward: Callable[[Step, list[tf.Tensor], Own], tf.Tensor]
    backward: Callable[[Step, tf.Tensor, Own, Activations], list[tf.Tensor]]
    keeps_input: bool = False
    keeps_output: bool = False


def prepare(step: Step, weights: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return a step's weights as `run` and `gradient` want them.

    A convolution that keeps the image's size gets its kernel a second time, turned by 180 degrees
    and with its channels swapped: the gradient is then an ordinary convolution. It also gets a bias
    of zeros for it, because the library fuses a convolution with the sum behind it (where branches
    meet) only if there is a bias between them.
    """
    if not _gradient_is_convolution(step, weights):
        return list(weights)
    kernel, bias = weights
    turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    return [kernel, bias, turned, tf.zeros(kernel.shape[2], kernel.dtype)]


def types(program: Program, compute: tf.DType) -> list[tf.DType]:
    """Return the number format at each position.

    `compute` from the first convolution to the last; the scaling before it and the head behind it
    stay in float32.
    """
    dtypes = [tf.float32]
    for step in program:
        if step.kind == "convolution":
            dtypes.append(compute)
        elif step.kind in HEAD or compute not in [dtypes[i] for i in step.inputs]:
            dtypes.append(tf.float32)
        else:
            dtypes.append(compute)
    return dtypes


def kept(program: Program) -> list[int]:
    """Return the positions whose activations the gradient needs, in ascending order."""
    positions: set[int] = set()
    for step in program:
        positions.update(step.inputs if OPERATIONS[step.kind].keeps_input else ())
        positions.update((step.output,) if OPERATIONS[step.kind].keeps_output else ())
    return sorted(positions)


def run(
    program: Program, x: tf.Tensor, weights: Sequence[Own], dtypes: Sequence[tf.DType]
) -> list[tf.Tensor]:
    """Return all positions' activations: the image x (n, h, w, c) first, the logits (n, C) last."""
    values = [x]
    for step, own in zip(program, weights, strict=True):
        inputs = [tf.cast(values[i], dtypes[step.output]) for i in step.inputs]
        values.append(OPERATIONS[step.kind].forward(step, inputs, own))
    return values


def gradient(
    program: Program,
    upstream: tf.Tensor,
    weights: Sequence[Own],
    dtypes: Sequence[tf.DType],
    activations: Activations,
) -> tf.Tensor:
    """Return the gradient (n, h, w, c) with respect to the image.

    Args:
        program: The net.
        upstream: Gradient (n, C) with respect to the logits.
        weights: One entry for each step, as for `run`.
        dtypes: One entry for each position, as for `run`.
        activations: Those of the positions that `kept` names.
    """
    gradients = {program[-1].output: upstream}
    for step, own in zip(reversed(program), reversed(weights), strict=True):
        incoming = gradients.pop(step.output, None)
        if incoming is None:
            continue  # a branch that does not reach the logits
        parts = OPERATIONS[step.kind].backward(step, incoming, own, activations)
        for source, part in zip(step.inputs, parts, strict=True):
            part = tf.cast(part, dtypes[source])
            gradients[source] = gradients[source] + part if source in gradients else part
    return gradients[0]


def _gradient_is_convolution(step: Step, weights: Sequence[tf.Tensor]) -> bool:
    return (
        step.kind == "convolution"
        and step.option("strides") == (1, 1)
        and step.option("padding") == "SAME"
        and all(side % 2 for side in weights[0].shape[:2])
    )


def _stride(step: Step) -> list[int]:
    return [1, *step.option("strides"), 1]


def _size(step: Step) -> list[int]:
    return [1, *step.option("size"), 1]


def _input_sizes(step: Step, like: tf.Tensor) -> tf.Tensor:
    """Shape of the step's input for the batch of `like`."""
    return tf.stack([tf.shape(like)[0], *step.input_shapes[0]])


def _convolve(step: Step, inputs: list[tf.Tensor], own: Own) -> tf.Tensor:
    y = tf.nn.conv2d(inputs[0], own[0], _stride(step), step.option("padding"))
    return tf.nn.bias_add(y, own[1])


def _convolve_back(step: Step, g: tf.Tensor, own: Own, kept: Activations) -> list[tf.Tensor]:
    del kept
    if len(own) > 2:
        return [tf.nn.bias_add(tf.nn.conv2d(g, own[2], 1, "SAME"), own[3])]
    sizes = _input_sizes(step, g)
    return [tf.nn.conv2d_transpose(g, own[0], sizes, _stride(step), step.option("padding"))]


def _depthwise(step: Step, inputs: list[tf.Tensor], own: Own) -> tf.Tensor:
    y = tf.nn.depthwise_conv2d(inputs[0], own[0], _stride(step), step.option("padding"))
    return tf.nn.bias_add(y, own[1])


def _depthwise_back(step: Step, g: tf.Tensor, own: Own, kept: Activations) -> list[tf.Tensor]:
    del kept
    sizes, padding = _input_sizes(step, g), step.option("padding")
    return [tf.nn.depthwise_conv2d_backprop_input(sizes, own[0], g, _stride(step), padding)]


def _pool_back(step: Step, g: tf.Tensor, own: Own, kept: Activations) -> list[tf.Tensor]:
    del own
    return [
        tf.raw_ops.MaxPoolGrad(
            orig_input=tf.cast(kept[step.inputs[0]], g.dtype),
            orig_output=kept[step.output],
            grad=g,
            ksize=_size(step),
            strides=_stride(step),
            padding=step.option("padding"),
        )
    ]


def _average_back(step: Step, g: tf.Tensor, own: Own, kept: Activations) -> list[tf.Tensor]:
    del own, kept
    return [
        tf.raw_ops.AvgPoolGrad(
            orig_input_shape=_input_sizes(step, g),
            grad=g,
            ksize=_size(step),
            strides=_stride(step),
            padding=step.option("padding"),
        )
    ]


def _global_back(step: Step, g: tf.Tensor, own: Own, kept: Activations) -> list[tf.Tensor]:
    del own, kept
    height, width, channels = step.input_shapes[0]
    spread = tf.reshape(g / (height * width), [-1, 1, 1, channels])
    return [tf.tile(spread, [1, height, width, 1])]


def _concatenate_back(step: Step, g: tf.Tensor, own: Own, kept: Activations) -> list[tf.Tensor]:
    del own, kept
    return tf.split(g, [shape[-1] for shape in step.input_shapes], axis=-1)


def _pad_back(step: Step, g: tf.Tensor, own: Own, kept: Activations) -> list[tf.Tensor]:
    del own, kept
    (top, _), (left, _) = step.option("amounts")
    height, width, _ = step.input_shapes[0]
    return [g[:, top : top + height, left : left + width]]


OPERATIONS = {
    "convolution": Operation(_convolve, _convolve_back),
    "depthwise": Operation(_depthwise, _depthwise_back),
    "dense": Operation(
        lambda step, inputs, own: tf.linalg.matmul(inputs[0], own[0]) + own[1],
        lambda step, g, own, kept: [tf.linalg.matmul(g, own[0], transpose_b=True)],
    ),
    "affine": Operation(
        lambda step, inputs, own: inputs[0] * own[0] + own[1],
        lambda step, g, own, kept: [g * own[0]],
    ),
    "relu": Operation(
        lambda step, inputs, own: tf.nn.relu(inputs[0]),
        lambda step, g, own, kept: [tf.raw_ops.ReluGrad(gradients=g, features=kept[step.output])],
        keeps_output=True,
    ),
    "relu6": Operation(
        lambda step, inputs, own: tf.nn.relu6(inputs[0]),
        lambda step, g, own, kept: [tf.raw_ops.Relu6Grad(gradients=g, features=kept[step.output])],
        keeps_output=True,
    ),
    "add": Operation(
        lambda step, inputs, own: tf.add_n(inputs) if len(inputs) > 2 else inputs[0] + inputs[1],
        lambda step, g, own, kept: [g] * len(step.inputs),
    ),
    "concatenate": Operation(
        lambda step, inputs, own: tf.concat(inputs, axis=-1), _concatenate_back
    ),
    "max_pool": Operation(
        lambda step, inputs, own: tf.nn.max_pool2d(
            inputs[0], _size(step), _stride(step), step.option("padding")
        ),
        _pool_back,
        keeps_input=True,
        keeps_output=True,
    ),
    "average_pool": Operation(
        lambda step, inputs, own: tf.nn.avg_pool2d(
            inputs[0], _size(step), _stride(step), step.option("padding")
        ),
        _average_back,
    ),
    "global_average": Operation(
        lambda step, inputs, own: tf.reduce_mean(
            inputs[0], [1, 2], keepdims=step.option("keepdims")
        ),
        _global_back,
    ),
    "flatten": Operation(
        lambda step, inputs, own: tf.reshape(inputs[0], [-1, np.prod(step.input_shapes[0])]),
        lambda step, g, own, kept: [tf.reshape(g, [-1, *step.input_shapes[0]])],
    ),
    "pad": Operation(
        lambda step, inputs, own: tf.pad(inputs[0], [(0, 0), *step.option("amounts"), (0, 0)]),
        _pad_back,
    ),
}
