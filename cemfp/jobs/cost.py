"""How much arithmetic nets take: what time and cost estimates scale with.

Counted are the multiplications and additions of convolutions and dense layers, two operations for
each pair. A training step takes three forward passes' worth, a gradient with respect to the input
two.
"""

from __future__ import annotations

import functools
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

    from cemfp.models.nets import NETS

    shape, classes, _ = size_of(data)
    model = NETS[net.name](shape, classes, **dict(net.arguments))
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
    # A kernel is applied once at every place of the output.
    places = 1
    for size in layer.output_shape[1:-1]:
        places *= size
    return places * int(kernel.shape.num_elements())
