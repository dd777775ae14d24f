"""A suspect that answers in words, in lists of its best guesses, or in names with scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cemfp.suspects.base import Suspect, SuspectError, read_answer
from cemfp.suspects.network.answers import UnknownName, read_guesses

SHOWN = 5


class Worded:
    """A suspect whose answers become labels or scores, whatever their form; a suspect itself.

    Scores (n, C) and labels (n,) stay as they are. Read as labels are: names, of the fingerprint's
    classes; the best guesses of each image, best first, as whole numbers (n, k); names or numbers
    with a score each.

    Attributes:
        suspect: Who is asked.
        names: Of the fingerprint's classes.
    """

    def __init__(self, suspect: Suspect, classes: int, names: Sequence[str] = ()) -> None:
        self.suspect, self.names, self._count = suspect, tuple(names), classes
        self.input_shape = getattr(suspect, "input_shape", None)
        self.classes = getattr(suspect, "classes", None)
        self.class_names = getattr(suspect, "class_names", ())
        self.most = getattr(suspect, "most", None)
        self.insists = getattr(suspect, "insists", None)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return labels (n,) or scores (n, C).

        Raises:
            SuspectError: The answer is none, or names a class that the fingerprint has not.
        """
        answer = self.suspect(images)
        try:
            array = np.asarray(answer)
        except ValueError:  # rows of different lengths
            array = np.empty(0, object)
        # Pairs of label and score come as lists; an array with more sides is something else.
        if array.dtype.kind in "biuf" and (array.ndim <= 2 or array is answer):
            return self._numbers(read_answer(array, len(images)))
        if not isinstance(answer, list | tuple | np.ndarray) or len(answer) != len(images):
            raise SuspectError(
                f"expected {len(images)} answers of the suspect. Received: {_shown(answer)}."
            )
        rows = answer.tolist() if isinstance(answer, np.ndarray) else list(answer)
        try:
            return read_guesses(rows, self.names or None)
        except UnknownName:
            # What a stranger's file says may be what it read here: it is not repeated.
            raise SuspectError(self._expected()) from None

    def _expected(self) -> str:
        """Say what a suspect's words have to be."""
        if not self.names:
            return (
                "expected numbers from the suspect, since the fingerprint has no names of its "
                "classes. Received: words; a python:module:function of yours can turn them into "
                "the fingerprint's labels."
            )
        shown = ", ".join(self.names[:SHOWN]) + (", ..." if len(self.names) > SHOWN else "")
        return (
            f"expected words of the suspect among the fingerprint's {len(self.names)} class names, "
            f"{shown}. Received: another word; a python:module:function of yours can translate it."
        )

    def _numbers(self, answer: np.ndarray) -> np.ndarray:
        """Return the first of best guesses that are labels."""
        if answer.ndim != 2 or answer.dtype.kind not in "iu":
            return answer
        guesses = answer.shape[1]
        if not 1 < guesses < self._count or answer.min() < 0 or answer.max() >= self._count:
            return answer
        apart = all(len(set(row)) == guesses for row in answer.tolist())
        return answer[:, 0] if apart else answer


def _shown(answer: Any) -> str:
    return str(len(answer)) if hasattr(answer, "__len__") else type(answer).__name__
