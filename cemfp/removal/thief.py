"""What a thief has: access to the victim, images, a net, a recipe, and a count of queries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cemfp.data import Dataset, Split
from cemfp.models.classifier import Classifier
from cemfp.models.nets import NETS
from cemfp.models.renewal import build_net
from cemfp.models.roles import Role
from cemfp.models.start import Named, share_of
from cemfp.training.from_scratch import as_targets
from cemfp.training.loop import Build, Gradients, Progress, Watch, loss_gradients, train
from cemfp.training.recipe import Recipe


class RemovalError(ValueError):
    """An attack cannot run with what it was given; the message says what to change."""


@dataclasses.dataclass(eq=False)
class Thief:
    """One thief at work on one victim.

    Extraction attacks see the victim through `ask` alone; modification attacks take its weights.

    Attributes:
        victim: The source model; nobody changes its weights.
        dataset: The victim's domain: ground truth for attacks that have some, and the test images.
        recipe: How to train.
        seed: Decides every random choice.
        images: The transfer set; its labels are the ground truth only where the classes agree.
        transfer_set: Name of the data set that `images` are from; by default the victim's domain.
        net, arguments: What extraction attacks train; see `NETS`.
        architecture: Of a net that is not in `NETS`; see `models.renewal.net_like`.
        answers: The victim's logits (n, C) on `images`, where they are known already. Queries count
            all the same.
        pretrained: A net of the same sort, trained on other images; for `transfer`.
        start: Public weights by layer that a net of the thief's own choice starts from, in place of
            fresh ones; see `models.start`.
        role: What the result may be used for; `calibration` for an owner who makes such a copy to
            set a threshold.
        progress: Called as (steps done, steps in all, text).
        queries: Images that the victim was asked for so far.
    """

    victim: Classifier
    dataset: Dataset
    recipe: Recipe
    seed: int
    images: Split
    transfer_set: str = ""
    net: str = "resnet20"
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    architecture: dict[str, Any] | None = None
    answers: np.ndarray | None = None
    pretrained: Classifier | None = None
    start: Named | None = None
    role: str = Role.ATTACKER.value
    progress: Progress | None = None
    queries: int = 0

    def __post_init__(self) -> None:
        self.transfer_set = self.transfer_set or self.dataset.provenance.name
        if not len(self.images):
            raise RemovalError(
                "expected a transfer set with images. Received: an empty one; choose other data"
            )
        shapes = {tuple(self.images.images.shape[1:]), self.dataset.input_shape}
        if shapes != {tuple(self.victim.input_shape)}:
            raise RemovalError(
                f"expected images of the victim's input shape {tuple(self.victim.input_shape)}. "
                f"Received: {', '.join(map(str, sorted(shapes)))}; choose data that fits"
            )
        if len(self.dataset.classes) != self.victim.classes:
            raise RemovalError(
                f"expected test data of the victim's {self.victim.classes} classes. Received: "
                f"{self.dataset.provenance.name} with {len(self.dataset.classes)}"
            )
        if self.pretrained and tuple(self.pretrained.input_shape) != tuple(self.victim.input_shape):
            raise RemovalError(
                f"expected a pre-trained net for images {tuple(self.victim.input_shape)}. "
                f"Received: one for {tuple(self.pretrained.input_shape)}; train one on such images"
            )

    def ask(self, images: np.ndarray) -> np.ndarray:
        """Return the victim's probabilities (n, C) for images; each counts as one query."""
        self.queries += len(images)
        return as_targets(self.victim.predict_logits(images), "soft")

    def ask_transfer_set(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return the victim's probabilities for the transfer set, or for its rows `chosen`."""
        rows = np.arange(len(self.images)) if chosen is None else chosen
        if self.answers is None:
            return self.ask(self.images.images[rows])
        self.queries += len(rows)
        return as_targets(self.answers[rows], "soft")

    def truth(self) -> np.ndarray:
        """Return the transfer set's ground-truth labels (n,).

        Raises:
            RemovalError: They are labels of other classes than the victim's.
        """
        if self.images.labels.max() >= self.victim.classes:
            raise RemovalError(
                f"expected images of the victim's {self.victim.classes} classes, whose ground "
                f"truth counts. Received: {self.transfer_set}, which has more"
            )
        return self.images.labels

    def chance(self) -> np.random.Generator:
        """Return a generator of the attack's own choices; the same one for the same seed."""
        return np.random.default_rng([self.seed, 1])

    def build(self, shape: tuple[int | None, ...]) -> tf.keras.Model:
        """Return a net of the thief's own choice: fresh, or at the public weights.

        Raises:
            StartError: These are hardly any of it.
        """
        own = self.net, self.arguments, self.architecture
        made = build_net(*own, shape, self.victim.classes)
        if self.start is not None:
            share_of(self.start, made, "the weights to start from")
        return made

    def build_like_victim(self, shape: tuple[int | None, ...]) -> tf.keras.Model:
        """Return a fresh net of the victim's architecture.

        A Keras model of the user's is cloned. Its batch norm keeps its statistics in training.

        Raises:
            RemovalError: Keras cannot clone it, or a recipe crops, and it takes one size only.
        """
        config = self.victim.config
        if config.net in NETS:
            return NETS[config.net](shape, config.classes, **config.arguments)
        if tuple(shape) != tuple(config.input_shape):
            raise RemovalError(
                f"expected images of a Keras model's own size {tuple(config.input_shape)}. "
                "Received: smaller crops of them; set crop to 0"
            )
        try:
            return tf.keras.models.clone_model(self.victim.model)
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RemovalError(
                "expected a model that Keras can clone, of layers that it knows. "
                f"Received: {reason}; attacks that only query the victim take this one, too"
            ) from error

    def train(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        *,
        build: Build | None = None,
        initial: list[np.ndarray] | None = None,
        trainable: Callable[[tf.keras.layers.Layer], bool] | None = None,
        gradients: Gradients = loss_gradients,
        watch: Watch | None = None,
    ) -> tf.keras.Model:
        """Train the thief's net; see `training.train`."""
        return train(
            build or self.build,
            images,
            targets,
            self.recipe,
            seed=self.seed,
            initial=initial,
            trainable=trainable,
            gradients=gradients,
            progress=self.progress,
            watch=watch,
        )
