"""A source that only answers: one's own API, a PyTorch model behind a function, a TFLite file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from cemfp.models.convention import UNIT, Convention
from cemfp.models.directory import ClassifierConfig
from cemfp.models.roles import Origin, Role
from cemfp.suspects.base import Suspect, answer_scores
from cemfp.suspects.feeding import Fed
from cemfp.suspects.names import named
from cemfp.suspects.querylog import QueryLog
from cemfp.suspects.remembered import Remembered

BATCH = 256
# A label says all that its source knows: its logit stands as far above the others as any.
SURE = 20.0
# Of a probability that is zero; its logarithm is finite.
LEAST_PROBABILITY = 1e-30
# Rounded probabilities: how far one may lie above 1, and the median of their sums from 1.
ROUNDING, OFF_ON_AVERAGE = 1e-2, 0.5


class AskedSource:
    """The model to protect, as a black box: it is asked for labels or scores, and never twice.

    It is opened when it is asked first: who finds all answers in the log never needs it.

    Attributes:
        name: What the user typed.
        role, origin: Those of a source.
        input_shape: Height, width and channels of an input.
        classes: Number of classes.
        class_names: Nobody said them.
        config: What there is to say of it as a classifier.
        convention: How it wants its images.
        weights_sha256: What tells it from other models.
        log: The file of its answers; None keeps them in memory.
    """

    role, origin = Role.SOURCE.value, Origin.SOURCE.value
    class_names: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        opener: Callable[[], Suspect],
        *,
        input_shape: tuple[int, int, int],
        classes: int,
        sha256: str,
        convention: Convention = UNIT,
        log: Path | None = None,
    ) -> None:
        self.name, self.input_shape, self.classes = name, input_shape, classes
        self.weights_sha256, self.convention, self.log = sha256, convention, log
        self.config = ClassifierConfig(
            "black-box", input_shape, classes, {}, role=self.role, origin=self.origin
        )
        self._opener, self._memory = opener, QueryLog()

    def __repr__(self) -> str:
        return f"{self.name} (a black box)"

    @property
    def queries(self) -> int:
        """Images that it was asked for so far."""
        return self._with_log(lambda log: log.asked)

    def predict_logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits (n, C) float32: of labels, one that is sure; of probabilities, the log.

        Args:
            images: (n, h, w, c), float32 in [0, 1] or uint8.

        Raises:
            SuspectError: It gave no usable answer.
        """

        def ask(log: QueryLog) -> np.ndarray:
            # Remembered are numbers as they reach the model, whatever the convention.
            fed = Fed(Remembered(self._ask, log), self.convention)
            parts = (images[i : i + BATCH] for i in range(0, len(images), BATCH))
            answers = [self._scores(fed, part) for part in parts]
            if not answers:
                return np.empty((0, self.classes), np.float32)
            return as_logits(np.concatenate(answers), self.classes)

        return self._with_log(ask)

    def predict_labels(self, images: np.ndarray) -> np.ndarray:
        """Return the top-1 label (n,) int64 of each image."""
        return self.predict_logits(images).argmax(axis=1).astype(np.int64)

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of images whose top-1 label is right."""
        return float(np.mean(self.predict_labels(images) == labels))

    def _ask(self, images: np.ndarray) -> Any:
        return self._suspect(images)

    @functools.cached_property
    def _suspect(self) -> Suspect:
        """Who answers: opened when the first question comes that the log does not answer."""
        suspect = self._opener()
        return suspect.suspect if isinstance(suspect, Fed) else suspect

    def _scores(self, fed: Fed, images: np.ndarray) -> np.ndarray:
        scale = np.float32(255 if images.dtype == np.uint8 else 1)
        with named(self.name):
            return answer_scores(fed, images.astype(np.float32) / scale, self.classes)

    def _with_log(self, use: Callable[[QueryLog], Any]) -> Any:
        """Hold the log's file for the time of a question; other processes wait for their turn."""
        if self.log is None:
            return use(self._memory)
        turn = FileLock(f"{self.log}.lock")
        with turn, QueryLog(self.log, {"source": self.weights_sha256}) as log:
            return use(log)


def as_logits(answer: np.ndarray, classes: int) -> np.ndarray:
    """Return logits (n, C) float32 that stand for labels (n,), probabilities or logits (n, C).

    Probabilities may be rounded, to 8 bits or two decimals, so that no row need sum to 1: what is
    decided is whether all answers together look like probabilities. They are scaled to a sum of 1.
    """
    if answer.ndim == 1:
        return (SURE * np.eye(classes, dtype=np.float32))[answer]
    sums = answer.sum(axis=1, keepdims=True)
    fits = ((answer >= 0) & (answer <= 1 + ROUNDING)).all()
    if fits and len(answer) and abs(np.median(sums) - 1) <= OFF_ON_AVERAGE:
        answer = np.log(np.maximum(answer / np.maximum(sums, ROUNDING), LEAST_PROBABILITY))
    return answer.astype(np.float32)
