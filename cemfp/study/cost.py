"""How much arithmetic a job takes: what time and cost estimates scale with.

Counted are the multiplications and additions of convolutions and dense layers, two operations for
each pair. A training step takes three forward passes' worth, a gradient with respect to the input
two.
"""

from __future__ import annotations

import functools
from typing import Any

from cemfp.fingerprint.cem import CEM
from cemfp.fingerprint.characteristic import Characteristic
from cemfp.study.curves import FollowTraining
from cemfp.study.fingerprints import MakeCandidates
from cemfp.study.jobs import Job
from cemfp.study.removal import RemoveFingerprint
from cemfp.study.zoo import Model, Net, TrainNet
from cemfp.training import Recipe

TRAINING, INPUT_GRADIENT = 3, 2
# Data set -> image shape, classes, training images, when it is complete.
SIZES: dict[str, tuple[tuple[int, int, int], int, int]] = {
    "digits": ((8, 8, 1), 10, 1_200),
    "digits-turned": ((8, 8, 1), 10, 1_200),
    "cifar10": ((32, 32, 3), 10, 50_000),
    "cinic10": ((32, 32, 3), 10, 90_000),
    "imagenet32": ((32, 32, 3), 1_000, 1_281_167),
    "imagenet32-100": ((32, 32, 3), 100, 129_359),
    "imagenet224": ((224, 224, 3), 1_000, 1_281_167),
}
# Attack -> trainings' worth of one pass over the images; the others take one.
_FACTORS = {"ftll": 0.4, "rtll": 0.4, "quantize": 0.0, "tflite-int8": 0.0, "weight-noise": 0.0}


@functools.cache
def forward_flops(net: Net, data: str) -> int:
    """Return the floating-point operations of one image through `net` at its published input."""
    import tensorflow as tf

    from cemfp.nets import NETS

    shape, classes, _ = SIZES[data]
    model = NETS[net.name](shape, classes, **dict(net.arguments))
    flops = 2 * sum(_multiplications(layer) for layer in model.submodules)
    tf.keras.backend.clear_session()
    return int(flops)


def flops(job: Job) -> float:
    """Return the floating-point operations of a job; 0 for those that are not worth counting."""
    if isinstance(job, TrainNet):
        return _training(job.net, job.data, job.recipe, job.images or SIZES[job.data][2])
    if isinstance(job, FollowTraining):
        return flops(job.model)
    if isinstance(job, RemoveFingerprint):
        return _removal(job)
    if isinstance(job, MakeCandidates):
        return _candidates(job)
    return 0.0


def _training(net: Net, data: str, recipe: Recipe, images: int) -> float:
    side = SIZES[data][0][0]
    share = 1.0
    if recipe.crop:
        small = (recipe.crop / side) ** 2
        share = recipe.full_size + (1 - recipe.full_size) * small
    return TRAINING * forward_flops(net, data) * float(images) * recipe.epochs * share


def _removal(job: RemoveFingerprint) -> float:
    images = job.count or SIZES[job.transfer_set or job.data][2]
    once = _training(job.net, job.data, job.recipe, images)
    name = job.attack.name
    if name == "advtrain":  # each step of PGD is a gradient with respect to the input
        return once * (1 + job.attack.steps * INPUT_GRADIENT / TRAINING)
    return once * _FACTORS.get(name, 1.0)


def _candidates(job: MakeCandidates) -> float:
    method: Any = job.method
    if isinstance(method, CEM):
        models: list[Model] = [job.source, *job.defender.everyone]
        per_image = sum(forward_flops(model.net, job.data) for model in models)
        return INPUT_GRADIENT * per_image * float(job.count) * method.steps
    if isinstance(method, Characteristic) and isinstance(job.source, TrainNet):
        per_image = forward_flops(job.source.net, job.source.data)
        return INPUT_GRADIENT * per_image * float(job.count) * method.steps * method.draws
    return 0.0


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
