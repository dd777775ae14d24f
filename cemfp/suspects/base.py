"""What a suspect is, and how its answers are read: nothing is taken for granted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Images (n, h, w, c), float32 in [0, 1] -> labels (n,), or probabilities or logits (n, C).
Suspect = Callable[[NDArray[np.float32]], Any]
Labels = NDArray[np.int64]


class SuspectError(ValueError):
    """A suspect cannot be opened, does not fit the fingerprint, or gave no usable answer."""


class Meaningless(SuspectError):
    """A suspect answered, but its scores are none: NaN, infinite, or the same for all classes."""


class TryAgain(SuspectError):
    """A suspect gave no answer for a reason that passes: it is busy, or still loading.

    Attributes:
        after: Seconds to wait first, if the suspect said so.
        status: The reason in a word, for the log: 503.
    """

    def __init__(self, text: str, *, after: float | None = None, status: str = "busy") -> None:
        super().__init__(text)
        self.after, self.status = after, status


class NoAnswer(SuspectError):
    """Nobody can be asked any more: time is over, or the suspect is gone."""


class OutOfBudget(NoAnswer):
    """As many queries were asked as may be."""


def one_line(error: BaseException) -> str:
    """An exception as one line: its type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def check_fits(suspect: Any, input_shape: tuple[int, ...], classes: int) -> None:
    """Compare what a suspect says of itself, if anything, with the fingerprint.

    Args:
        suspect: May have `input_shape` (h, w, c), where `None` stands for any size, and `classes`.
        input_shape: Shape of one fingerprint input (h, w, c).
        classes: Classes of the fingerprint's source.

    Raises:
        SuspectError: Both are known and differ.
    """
    shape = getattr(suspect, "input_shape", None)
    if shape is not None:
        fits = len(shape) == len(input_shape) and all(
            own in (None, asked) for own, asked in zip(shape, input_shape, strict=True)
        )
        if not fits:
            raise SuspectError(
                f"expected a suspect for inputs of shape {tuple(input_shape)}, as the fingerprint "
                f"has. Received: a suspect for {tuple(shape)}; if only the size differs, add "
                "--resize bilinear."
            )
    own_classes = getattr(suspect, "classes", None)
    if own_classes is not None and own_classes != classes:
        raise SuspectError(
            f"expected a suspect with {classes} classes, as the fingerprint has. "
            f"Received: a suspect with {own_classes}."
        )


def answer_labels(
    suspect: Suspect, inputs: NDArray[np.float32], classes: int, batch_size: int = 512
) -> Labels:
    """Ask a suspect, and make labels of whatever it answers.

    Args:
        suspect: Black box; answers labels (n,), or probabilities or logits (n, C).
        inputs: Images (n, h, w, c), float32 in [0, 1]; the suspect gets copies.
        classes: Number of classes C.
        batch_size: Images per question.

    Returns:
        Top-1 labels (n,); of equal scores the lower class.

    Raises:
        Meaningless: Its scores are NaN, infinite, or the same for all classes.
        SuspectError: The suspect raised, or its answer has a wrong length, a wrong number of
            classes, or labels that are no classes.
    """
    if batch_size < 1:
        raise ValueError(f"Expected batch_size > 0. Received: {batch_size}.")
    answers = [
        _labels(_ask(suspect, inputs[start : start + batch_size].copy(), classes), classes)
        for start in range(0, len(inputs), batch_size)
    ]
    return np.concatenate(answers) if answers else np.zeros(0, np.int64)


def answer_scores(suspect: Suspect, inputs: NDArray[np.float32], classes: int) -> np.ndarray:
    """Ask a suspect once, and return what it says: labels (n,) int64, or scores (n, C).

    Raises:
        SuspectError: See `answer_labels`.
    """
    answer = _ask(suspect, inputs, classes)
    labels = _labels(answer, classes)  # says what is wrong with it
    return labels if answer.ndim == 1 else answer


def read_answer(answer: Any, count: int) -> np.ndarray:
    """Return a suspect's answer on `count` images as numbers: (count,) or (count, any).

    Raises:
        SuspectError: It has no such shape, or is no array of numbers.
        ValueError: It is no array at all.
    """
    answer = np.asarray(answer)
    if answer.dtype.kind == "b" and answer.ndim == 2:  # one-hot
        answer = answer.astype(np.uint8)
    if answer.dtype.kind not in "uif":
        raise SuspectError(f"expected numbers from the suspect. Received: type {answer.dtype}.")
    if answer.ndim not in (1, 2) or len(answer) != count:
        raise SuspectError(
            f"expected {count} answers of the suspect, as labels ({count},) or scores "
            f"({count}, classes). Received: shape {answer.shape}."
        )
    return answer


def _ask(suspect: Suspect, images: NDArray[np.float32], classes: int) -> np.ndarray:
    count = len(images)
    try:
        answer = read_answer(suspect(images), count)
    except SuspectError:
        raise
    # Foreign code fails in any way; leaving with status 0 must not look like a verdict.
    except (Exception, SystemExit) as error:
        raise SuspectError(f"the suspect failed to answer: {one_line(error)}") from error
    if answer.ndim == 2 and answer.shape[1] == 1 and classes > 1:  # labels, each in a row
        answer = answer[:, 0]
    if not np.all(np.isfinite(answer)):
        raise Meaningless("expected finite answers of the suspect. Received: NaN or infinity.")
    if count > 1 and answer.shape == (count, classes) and np.all(answer == answer[:, :1]):
        raise Meaningless(
            "expected scores that differ between classes. Received: the same for all."
        )
    return answer


def _labels(answer: np.ndarray, classes: int) -> Labels:
    if answer.ndim == 2:
        if answer.shape[1] != classes:
            raise SuspectError(
                f"expected scores for {classes} classes from the suspect. "
                f"Received: {answer.shape[1]}."
            )
        return np.argmax(answer, axis=1).astype(np.int64)
    if np.any(answer != np.rint(answer)):
        raise SuspectError(
            "expected whole numbers as labels from the suspect. "
            f"Received: {answer[answer != np.rint(answer)][0]}."
        )
    # Compared before the conversion, which would wrap large unsigned numbers round.
    if answer.min() < 0 or answer.max() >= classes:
        raise SuspectError(
            f"expected labels from 0 to {classes - 1} from the suspect. "
            f"Received: {answer.min()} to {answer.max()}."
        )
    return answer.astype(np.int64)
