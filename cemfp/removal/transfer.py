"""Transfer learning: a net that knows other images is tuned on the victim's answers."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from cemfp.removal.attack import Stolen
from cemfp.removal.extraction import Extraction
from cemfp.removal.fine_tuning import HEAD
from cemfp.removal.thief import RemovalError, Thief
from cemfp.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Transfer(Extraction):
    """Tune a net pre-trained on ImageNet32 on the victim's probabilities [Lukas21, Sec. 5]."""

    name: ClassVar[str] = "transfer"
    needs: ClassVar[tuple[str, ...]] = ("queries", "images", "pretrained")
    recipe: ClassVar[Recipe | None] = Recipe(epochs=2, learning_rate=0.05)

    def __call__(self, thief: Thief) -> Stolen:
        """Take all layers but the head from the pre-trained net, tune all of them."""
        pretrained = thief.pretrained
        if pretrained is None:
            raise RemovalError(
                "expected a pre-trained net. Received: none; train one on other images first"
            )
        config = pretrained.config
        if (config.net, dict(config.arguments)) != (thief.net, dict(thief.arguments)):
            raise RemovalError(
                f"expected a pre-trained {thief.net} {thief.arguments}. "
                f"Received: {config.net} {config.arguments}; name the same net"
            )
        tf.keras.utils.set_random_seed(thief.seed)
        model = thief.build(thief.victim.input_shape)
        for mine, its in zip(model.layers, pretrained.model.layers, strict=True):
            if mine.name != HEAD:
                mine.set_weights(its.get_weights())
        tuned = thief.train(
            thief.images.images, thief.ask_transfer_set(), initial=model.get_weights()
        )
        return Stolen(
            tuned,
            {
                "pretrained_sha256": pretrained.weights_sha256,
                "pretrained_accuracy": config.training.get("test_accuracy"),
                "pretrained_data": config.training.get("data"),
            },
        )
