"""What an owner's nets are and how they learn, unless he says otherwise."""

from __future__ import annotations

import inspect
import re

import tensorflow as tf

from cemfp.data import Dataset
from cemfp.jobs.train import Net
from cemfp.models.keras_models import layers_of
from cemfp.models.nets import NETS
from cemfp.owner.schedule import RADII
from cemfp.training.recipe import Recipe

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_SETTING = re.compile(r"(\w+)=(\d+)")
_BUDGET = re.compile(r"(?=.)(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
SMALL_SIDE = 64  # pixels up to which a CIFAR net takes the image as it is
FEW_IMAGES = 20_000  # of which smaller batches make enough steps in fewer passes
STARTED_SPEED = 0.1  # of the learning rate, for nets that start from public weights
_LARGE = Net("mobilenetv2", (("large", True),))
_SMALL = Net("resnet20")


def seconds(text: str) -> float:
    """Read a time: `2h`, `20m`, `1h30m`, `90s`.

    Raises:
        ValueError: It is none, or zero.
    """
    match = _BUDGET.fullmatch(text.strip().lower())
    found = 0.0
    if match is not None:
        found = sum(float(n or 0) * _UNITS[u] for n, u in zip(match.groups(), "hms", strict=True))
    if not found:
        raise ValueError(f"expected a time such as 2h, 20m or 1h30m. Received: {text!r}")
    return found


def named_net(text: str) -> Net:
    """Read a net of `NETS`, with arguments if wanted: `resnet20`, `resnet20:width=8:depth=8`.

    Raises:
        ValueError: There is no such net, or it does not take that.
    """
    name, *settings = text.split(":")
    found = [_SETTING.fullmatch(setting) for setting in settings]
    if name not in NETS or None in found:
        raise ValueError(
            f"expected a net among {', '.join(NETS)}, with arguments as in resnet20:width=8. "
            f"Received: {text}"
        )
    pairs = tuple((match[1], int(match[2])) for match in found if match is not None)
    known = inspect.signature(NETS[name]).parameters
    strange = [key for key, _ in pairs if key not in known]
    if strange:
        raise ValueError(
            f"expected arguments of {name}: {', '.join(list(known)[2:])}. Received: "
            f"{', '.join(strange)}"
        )
    return Net(name, pairs)


def usual_net(dataset: Dataset) -> Net:
    """Return the net that one would take for such images who knows nothing of the model."""
    return _SMALL if max(dataset.input_shape[:2]) <= SMALL_SIDE else _LARGE


def has_batch_norm(net: Net, dataset: Dataset) -> bool:
    """Whether a net normalises by the batch."""
    model = net.build(dataset.input_shape, len(dataset.classes))
    return any(isinstance(x, tf.keras.layers.BatchNormalization) for x in layers_of(model))


def radii(dataset: Dataset) -> tuple[float, ...]:
    """Return the radii to try, the smallest first: on digits and text a change shows less.

    There 0.3 is what adversarial examples are usually made with.
    """
    return RADII if dataset.input_shape[2] > 1 else (RADII[-1], 0.3)


def recipe(dataset: Dataset, *, batch_norm: bool, started: bool = False) -> Recipe:
    """Return how to train nets on such images.

    Photographs are mirrored and shifted; grey images, which may be digits or text, only shifted
    where there is room. Nets without batch norm, transformers say, learn with Adam. What starts
    from weights that know something is changed by smaller steps.

    Args:
        dataset: The images.
        batch_norm: Whether the nets have batch norm.
        started: Whether the nets start from public weights.
    """
    side, colour = min(dataset.input_shape[:2]), dataset.input_shape[2] > 1
    small = len(dataset.train) < FEW_IMAGES
    return Recipe(
        batch_size=max(1, min(64 if small else 128, len(dataset.train))),
        learning_rate=(0.1 if batch_norm else 1e-3) * (STARTED_SPEED if started else 1.0),
        optimizer="sgd" if batch_norm else "adam",
        weight_decay=5e-4 if batch_norm else 0.05,
        flip=colour,
        pad=side // 8 if colour else side // 16,
    )
