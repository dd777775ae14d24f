"""A suspect that is asked no input twice, within a budget, however it is reached."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from cemfp.storage.files import hash_bytes
from cemfp.suspects.base import OutOfBudget, Suspect, SuspectError, TryAgain, read_answer
from cemfp.suspects.pace import Pace
from cemfp.suspects.querylog import ANSWERED, ASKED, QueryLog, Row


class Remembered:
    """A suspect whose answers are kept in a log and never asked for again; a suspect itself.

    An input is known by the SHA-256 of its numbers, as they reach the suspect.

    Attributes:
        suspect: Who is asked.
        log: What was asked and answered so far, in this run or an earlier one.
        pace: When to ask, and whether again.
        batch: Most images in one question; None for as many as come.
        budget: Most queries in all, those of the log and those without an answer included.
    """

    def __init__(
        self,
        suspect: Suspect,
        log: QueryLog | None = None,
        pace: Pace | None = None,
        *,
        batch: int | None = None,
        budget: int | None = None,
    ) -> None:
        self.suspect, self.batch, self.budget = suspect, batch, budget
        self.log = QueryLog() if log is None else log
        self.pace = Pace() if pace is None else pace
        self.input_shape = getattr(suspect, "input_shape", None)
        self.classes = getattr(suspect, "classes", None)
        self.class_names = getattr(suspect, "class_names", ())

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the answers on images (n, h, w, c): labels (n,) or scores (n, C).

        Raises:
            OutOfBudget: More queries are needed than are left.
            NoAnswer: The suspect cannot be reached any more.
            SuspectError: Its answer is none.
        """
        images = np.asarray(images, np.float32)
        digests = [digest(image) for image in images]
        first = {key: place for place, key in reversed(list(enumerate(digests)))}
        new = sorted(place for key, place in first.items() if key not in self.log.answers)
        most, insists = (getattr(self.suspect, name, None) for name in ("most", "insists"))
        # Who insists on a number gets fewer only in the end, filled up: all are paid for, anyway.
        size = insists or min(n for n in (self.batch, most, max(len(new), 1)) if n is not None)
        for start in range(0, len(new), size):
            chosen = new[start : start + size]
            some = [digests[i] for i in chosen]
            self.pace(functools.partial(self._ask, some, images[chosen]))
        return together([self.log.answers[key] for key in digests])

    def _ask(self, digests: Sequence[str], images: np.ndarray) -> None:
        """Ask once, and write it down."""
        if self.budget is not None and self.log.asked + len(images) > self.budget:
            raise OutOfBudget(
                f"the budget of {self.budget} queries leaves {self.budget - self.log.asked}, and "
                f"{len(images)} more are needed now; {len(self.log.answers)} inputs were answered. "
                "Allow more with --budget"
            )
        self.log.add(ASKED, digests)
        try:
            answer = read_answer(self.suspect(images), len(images))
        except TryAgain as error:
            self.log.add(error.status, digests)
            raise
        except (Exception, SystemExit):
            self.log.add("failed", digests)
            raise
        rows: list[Row] = answer.tolist() if answer.ndim == 2 else [_label(x) for x in answer]
        self.log.add(ANSWERED, digests, rows)


def digest(image: np.ndarray) -> str:
    """Return the SHA-256 of an image (h, w, c), float32."""
    return hash_bytes(np.ascontiguousarray(image, np.float32).tobytes())


def _label(value: np.generic) -> Row:
    """One answer of a suspect that answers labels; what is no whole number is kept as it is."""
    number = value.item()
    return int(number) if np.isfinite(number) and number == int(number) else [number]


def together(rows: Sequence[Row]) -> np.ndarray:
    """Return answers as labels (n,) or scores (n, C); rows of two kinds are a `SuspectError`."""
    sizes = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(sizes) > 1:
        raise SuspectError(
            "expected answers of one kind from the suspect. Received: labels and scores, or rows "
            f"of {' and '.join(map(str, sorted(sizes)))} numbers."
        )
    return np.array(rows, dtype=None if rows else np.int64)
