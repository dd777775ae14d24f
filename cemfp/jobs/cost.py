"""How much arithmetic nets take: what time and cost estimates scale with.

Counted are the multiplications and additions of convolutions and dense layers, two operations for
each pair. A training step takes three forward passes' worth, a gradient with respect to the input
two.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from cemfp.data.cache import facts
from cemfp.data.variants import VARIANTS
from cemfp.training.recipe import Recipe

if TYPE_CHECKING:
    from cemfp.jobs.train import Net

TRAINING, INPUT_GRADIENT = 3, 2
# Data set -> image shape, classes, training images, when it is complete.
SIZES: dict[str, tuple[tuple[int, int, int], int, int]] = {
    "digits": ((8, 8, 1), 10, 1_200),
    "digits-turned": ((8, 8, 1), 10, 1_200),
    "cifar10": ((32, 32, 3), 10, 50_000),
    **{f"cifar10-{variant}": ((32, 32, 3), 10, 50_000) for variant in VARIANTS},
    "cinic10": ((32, 32, 3), 10, 90_000),
    "imagenet32": ((32, 32, 3), 1_000, 1_281_167),
    "imagenet32-100": ((32, 32, 3), 100, 129_359),
    "imagenet224": ((224, 224, 3), 1_000, 1_281_167),
}


def size_of(data: str) -> tuple[tuple[int, int, int], int, int]:
    """Return image shape, classes and training images of a data set, without its images.

    Raises:
        DataError: `cached:HASH` is not in the cache.
    """
    if data in SIZES:
        return SIZES[data]
    found = facts(data)
    height, width, channels = found["shape"]
    return (height, width, channels), len(found["classes"]), found["provenance"]["train_size"]


@functools.cache
def forward_flops(net: Net, data: str) -> int:
    """Return the floating-point operations of one image through `net` at its published input."""
    import tensorflow as tf

    shape, classes, _ = size_of(data)
    model = net.build(shape, classes)
    flops = 2 * sum(_multiplications(layer) for layer in model.submodules)
    tf.keras.backend.clear_session()
    return int(flops)


def training_flops(net: Net, data: str, recipe: Recipe, images: int) -> float:
    """Return the floating-point operations of a training on `images` of `data`; 0 means all."""
    (side, _, _), _, everything = size_of(data)
    share = 1.0
    if recipe.crop:
        small = (recipe.crop / side) ** 2
        share = recipe.full_size + (1 - recipe.full_size) * small
    passes = TRAINING * float(images or everything) * recipe.epochs
    return forward_flops(net, data) * passes * share


def _multiplications(layer: Any) -> int:
    """Multiplications of one image in a Keras layer's kernels; 0 for layers without one."""
    kernel = getattr(layer, "depthwise_kernel", None)
    if kernel is None:
        kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A kernel is applied once at every place of the output, for each call of its layer. The parts
    # of an attention layer have no calls of their own, but their output's shape.
    shapes = [node.output_shapes for node in layer.inbound_nodes]
    shapes = shapes or [getattr(layer, "full_output_shape", ())]
    count = int(kernel.shape.num_elements())
    return sum(count * math.prod(shape[1 : len(shape) - _kept(kernel, shape)]) for shape in shapes)


def _kept(kernel: Any, shape: Any) -> int:
    """Dimensions of an output that come out of the kernel: one, or all of its own at the end."""
    ends = len(kernel.shape) - 1 if len(kernel.shape) == 3 else 1
    same = tuple(kernel.shape)[-ends:] == tuple(shape)[-ends:]
    return ends if same else 1
