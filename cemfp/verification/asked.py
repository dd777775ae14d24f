"""Was a suspect asked what it understands? Ordinary images say so, whatever the fingerprint says.

A suspect that is fed another range of numbers, or that orders its classes in another way, answers a
fingerprint like an innocent one. On images that nobody perturbed, though, it then is no longer
right: it agrees with the source hardly more than chance would, or much less than it does in another
convention. An independent model, or a stolen one after any attack that leaves it useful, passes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.convention import UNIT, Convention
from cemfp.numerics.agreement import LIKELY, does_task, is_better
from cemfp.suspects import (
    Meaningless,
    NoAnswer,
    OutOfBudget,
    Suspect,
    SuspectError,
    answer_labels,
)
from cemfp.suspects.feeding import alternatives, convention_of

# Of conventions the right one is nearly always the best by far: less has to be shown.
CONVENTION_LEVEL = 0.02
# A better order of the classes has to explain so much; the best of many orders always fits better.
RELABELLED = 0.6


@dataclasses.dataclass(frozen=True)
class Asked:
    """How a suspect answered the control images.

    Attributes:
        controls: Number of control images; 0 if none were asked.
        agreeing: Answers that are the source's.
        queries: Queries that finding out took, other conventions included.
        problem: Why its other answers mean nothing, in a few words; empty if they mean something.
        advice: What to do then.
        convention: What it should be fed instead, if that was found; without a problem, one in
            which it is right a little more often, which may be the right one.
        untried: Whether the budget was spent before every other convention was tried.
    """

    controls: int
    agreeing: int = 0
    queries: int = 0
    problem: str = ""
    advice: str = ""
    convention: Convention | None = None
    untried: bool = False

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-able."""
        found = None if self.convention is None else str(self.convention)
        return {**dataclasses.asdict(self), "convention": found}


NOT_ASKED = Asked(0)


def check_asked(
    suspect: Suspect, images: np.ndarray, labels: np.ndarray, classes: int, batch_size: int = 512
) -> Asked:
    """Ask a suspect the control images, and say whether it understood.

    Args:
        suspect: Black box.
        images: Control images (n, h, w, c), float32 in [0, 1].
        labels: The source's labels of them (n,).
        classes: Number of classes.
        batch_size: Images per question.

    Raises:
        SuspectError: It gave no answer at all.
    """
    controls = len(images)
    answers, why = _ask(suspect, images, classes, batch_size)
    right = np.zeros(controls, bool) if answers is None else answers == labels
    agreeing, queries = int(right.sum()), controls
    said = Asked(controls, agreeing, queries)
    if answers is not None and agreeing >= LIKELY * controls:
        return said
    best, tried, untried = _best_convention(suspect, images, labels, classes, batch_size)
    said = dataclasses.replace(said, queries=queries + tried, untried=untried)
    if best is not None and int(best[1].sum()) > agreeing:
        convention, after = best
        said = dataclasses.replace(said, convention=convention)
        if is_better(after, right, CONVENTION_LEVEL):
            return dataclasses.replace(
                said,
                problem=f"it agrees with the source on {agreeing} of {controls} ordinary images, "
                f"and on {int(after.sum())} of them if it is fed otherwise",
                advice=f"add {convention}",
            )
    if answers is None:
        return dataclasses.replace(
            said, problem=why, advice="see whether it wants its images in another way (--scale)"
        )
    return _explain(said, answers, labels, classes)


def find_convention(fingerprint: Fingerprint, suspect: Suspect) -> tuple[Suspect, Convention]:
    """Return a suspect fed in the common convention in which it is right most often, and that one.

    Args:
        fingerprint: Its control images are asked.
        suspect: From `open_suspect`.

    Raises:
        SuspectError: The fingerprint has no control images, or the suspect answers none.
        NoAnswer: Nobody can be asked any more.
    """
    images, labels = fingerprint.controls, fingerprint.control_labels
    own = convention_of(suspect)
    if own is None:
        return suspect, UNIT  # it decides by itself
    if images is None or labels is None:
        raise SuspectError(
            "expected a fingerprint with control images, to find the scale with. Received: one of "
            "an earlier version; name the scale, or make the fingerprint again."
        )
    tried = {own: suspect, **alternatives(suspect, images.shape[-1])}
    scores = {}
    for convention, fed in tried.items():
        try:
            answers = answer_labels(fed, images, fingerprint.classes)
        except NoAnswer:
            raise
        except SuspectError:  # it need not take what it was not made for
            continue
        scores[convention] = int(np.sum(answers == labels))
    if not scores:
        raise SuspectError("the suspect answers in none of the common input conventions.")
    best = max(scores, key=lambda convention: scores[convention])
    return tried[best], best


def _explain(said: Asked, answers: np.ndarray, labels: np.ndarray, classes: int) -> Asked:
    """Return `said` with the problem that is in its answers, if there is one."""
    order = _better_order(answers, labels, classes)
    if order is not None:
        better = int(np.sum(order[answers] == labels))
        return dataclasses.replace(
            said,
            problem=f"it agrees with the source on {said.agreeing} of {said.controls} ordinary "
            f"images, and on {better} if its classes are in another order",
            advice=f"add --labels {','.join(map(str, order))}",
        )
    if does_task(answers, labels):
        return said
    what = "see whether it wants its images in another way (--scale, --offset, --bgr), or is a "
    what += "model for another task"
    if len(np.unique(answers)) == 1 and len(np.unique(labels)) > 1:
        problem = f"it answers {answers[0]} to every one of {said.controls} ordinary images"
    else:
        problem = (
            f"it agrees with the source on {said.agreeing} of {said.controls} ordinary images, "
            "hardly more than chance"
        )
    return dataclasses.replace(said, problem=problem, advice=what)


def _ask(
    suspect: Suspect, images: np.ndarray, classes: int, batch_size: int
) -> tuple[np.ndarray | None, str]:
    """Return the answers; or none, and why they mean nothing."""
    try:
        return answer_labels(suspect, images, classes, batch_size), ""
    except Meaningless as error:
        return None, str(error)


def _best_convention(
    suspect: Suspect, images: np.ndarray, labels: np.ndarray, classes: int, batch_size: int
) -> tuple[tuple[Convention, np.ndarray] | None, int, bool]:
    """Return the other convention with most answers like the source's, and which they are.

    Then the queries, and whether they were too many to try them all.
    """
    best: tuple[Convention, np.ndarray] | None = None
    queries = 0
    for convention, fed in alternatives(suspect, images.shape[-1]).items():
        try:
            answers, _ = _ask(fed, images, classes, batch_size)
        except OutOfBudget:
            return best, queries, True
        except NoAnswer:
            raise
        except SuspectError:  # it need not take what it was not made for
            answers = None
        queries += len(images)
        if answers is None:
            continue
        right = answers == labels
        if best is None or right.sum() > best[1].sum():
            best = convention, right
    return best, queries, False


def _better_order(answers: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray | None:
    """Return the source's class for each label of the suspect (C,), if they are in another order.

    Classes that no control image shows stay where they are, as far as they are free.
    """
    import scipy.optimize  # slow, and hardly a suspect needs it

    table = np.zeros((classes, classes))
    np.add.at(table, (answers, labels), 1.0)
    np.fill_diagonal(table, table.diagonal() + 0.5)
    order = scipy.optimize.linear_sum_assignment(table, maximize=True)[1]
    after, before = order[answers] == labels, answers == labels
    enough = after.mean() >= RELABELLED
    return order if enough and is_better(after, before) else None
