"""What a removal attack is, and the one way to run it: a victim in, another model and facts out."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from cemfp.models.classifier import Classifier, ClassifierConfig, UnknownLayers
from cemfp.models.directory import KERAS_FILE
from cemfp.models.roles import Origin
from cemfp.numerics import precision
from cemfp.removal.thief import Thief
from cemfp.storage.files import write_atomic
from cemfp.training.recipe import Recipe

SUMMARY = "summary.json"

Family = Literal["modification", "extraction", "adapted"]


class Stolen(NamedTuple):
    """What an attack leaves behind.

    Attributes:
        model: Keras model with logits out, of the victim's architecture or the thief's own.
        facts: What the attack claims of itself, JSON-able: sparsity, rounds, epsilon spent.
        arguments: What the net was built with, where the attack changed it; None: nothing changed.
    """

    model: tf.keras.Model
    facts: dict[str, Any]
    arguments: dict[str, Any] | None = None


class RemovalAttack(Protocol):
    """A frozen dataclass of hyper-parameters that is called with a thief.

    Attributes:
        name: Key in `REMOVALS`.
        family: `modification` of the victim's weights, `extraction` through queries, or `adapted`
            to fingerprints [Lukas21, Sec. 5].
        needs: What the thief must have: `weights`, `queries`, `labels` (ground truth), `images`
            (of any domain), `pretrained` (a net trained on other images).
        recipe: How it trains unless told otherwise; None for attacks that do not train.
        like_victim: Whether the result has the victim's architecture.
    """

    name: ClassVar[str]
    family: ClassVar[Family]
    needs: ClassVar[tuple[str, ...]]
    recipe: ClassVar[Recipe | None]
    like_victim: ClassVar[bool]

    def __call__(self, thief: Thief) -> Stolen:
        """Steal."""


@dataclasses.dataclass(frozen=True, eq=False)
class Removal:
    """The outcome of one attack.

    Attributes:
        classifier: The suspect model, with the role of the thief, origin `surrogate`.
        summary: Attack, its parameters and facts, queries, seconds, accuracies; JSON-able.
    """

    classifier: Any
    summary: dict[str, Any]

    def save(self, directory: Path) -> None:
        """Write the model and `summary.json`.

        A user's own Keras model with layers of his own becomes `model.keras`, which takes x in
        [0, 1] and returns logits.
        """
        directory = Path(directory)
        try:
            self.classifier.save(directory)
        except UnknownLayers:
            directory.mkdir(parents=True, exist_ok=True)
            self.classifier.model.save(directory / KERAS_FILE)
        text = json.dumps(self.summary, indent=2) + "\n"
        write_atomic(directory / SUMMARY, text.encode())


def remove(attack: RemovalAttack, thief: Thief) -> Removal:
    """Run an attack and measure what it leaves: accuracy, agreement with the victim, queries.

    Args:
        attack: One of `REMOVALS`, with its hyper-parameters.
        thief: What it has to work with.

    Raises:
        RemovalError: The attack cannot run with that.
        TrainingDiverged: The loss is no longer a number.
    """
    start = time.perf_counter()
    stolen = attack(thief)
    seconds = time.perf_counter() - start
    test = thief.dataset.test
    config = _config(attack, thief, stolen.arguments)
    if isinstance(stolen.model, tf.keras.Model):
        classifier: Any = Classifier(stolen.model, config)
    else:
        classifier = stolen.model
    answers = classifier.predict_labels(test.images)
    victims = thief.victim.predict_labels(test.images)
    summary = {
        "attack": attack.name,
        "family": attack.family,
        "parameters": _parameters(attack),
        "net": config.net,
        "arguments": config.arguments,
        "seed": thief.seed,
        "recipe": None if attack.recipe is None else dataclasses.asdict(thief.recipe),
        "precision": None if attack.recipe is None else precision.choose(thief.recipe.precision),
        "data": dataclasses.asdict(thief.dataset.provenance),
        "transfer_set": thief.transfer_set,
        "transfer_images": len(thief.images),
        "victim_sha256": thief.victim.weights_sha256,
        "test_accuracy": float(np.mean(answers == test.labels)),
        "victim_accuracy": float(np.mean(victims == test.labels)),
        "agreement": float(np.mean(answers == victims)),
        "queries": thief.queries,
        "seconds": round(seconds, 1),
        "facts": stolen.facts,
    }
    if isinstance(classifier, Classifier):
        classifier.config.training.update(summary)
    return Removal(classifier, summary)


def _parameters(attack: RemovalAttack) -> dict[str, Any]:
    return dataclasses.asdict(attack)  # type: ignore[call-overload]


def _config(
    attack: RemovalAttack, thief: Thief, changed: dict[str, Any] | None
) -> ClassifierConfig:
    victim = thief.victim.config
    arguments = victim.arguments if attack.like_victim else thief.arguments
    return ClassifierConfig(
        net=victim.net if attack.like_victim else thief.net,
        input_shape=victim.input_shape,
        classes=victim.classes,
        arguments=dict(arguments if changed is None else changed),
        role=thief.role,
        origin=Origin.SURROGATE.value,
        class_names=victim.class_names or thief.dataset.classes,
    )
