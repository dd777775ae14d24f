"""A suspect that wants its images, or names its classes, in another way than the fingerprint."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cemfp.data.names import places
from cemfp.models.convention import COMMON, UNIT, Convention
from cemfp.suspects.base import Suspect, SuspectError, answer_labels


class Fed:
    """A suspect that gets each image as its convention says; it is a suspect itself.

    Attributes:
        suspect: Who is fed.
        convention: How.
    """

    def __init__(self, suspect: Suspect, convention: Convention = UNIT) -> None:
        self.suspect, self.convention = suspect, convention

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """What the suspect says of it, if anything."""
        return getattr(self.suspect, "input_shape", None)

    @property
    def classes(self) -> int | None:
        """What the suspect says of it, if anything."""
        return getattr(self.suspect, "classes", None)

    def __call__(self, images: np.ndarray) -> Any:
        """Return the suspect's answer on images (n, h, w, c), float32 in [0, 1]."""
        fed = np.asarray(self.convention(images), np.float32)
        return self.suspect(np.ascontiguousarray(fed))


class Relabelled:
    """A suspect whose classes are in another order; it is a suspect itself.

    Attributes:
        suspect: Who is asked.
        labels: The fingerprint's class that each label of the suspect stands for (C,).
    """

    def __init__(self, suspect: Suspect, labels: tuple[int, ...]) -> None:
        if sorted(labels) != list(range(len(labels))):
            raise SuspectError(
                f"expected each class from 0 to {len(labels) - 1} once, as the suspect orders "
                f"them. Received: {','.join(map(str, labels))}."
            )
        self.suspect, self.labels = suspect, labels
        self.input_shape = getattr(suspect, "input_shape", None)
        self.classes = len(labels)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the fingerprint's labels (n,)."""
        return np.array(self.labels)[answer_labels(self.suspect, images, self.classes)]


def matched(suspect: Suspect, names: Sequence[str]) -> Suspect:
    """Return the suspect with its classes in the order `names`, the fingerprint's.

    One that names no classes, or others, stays as it is: the control images find out. What it says
    of its names is believed as little as its answers; those images come after this.
    """
    own = _class_names(suspect)
    if not own or own == tuple(names) or set(own) != set(names):
        return suspect
    order = places(own, names)
    return suspect if order is None else Relabelled(suspect, order)


def _class_names(suspect: Suspect) -> tuple[str, ...]:
    """Return what the one who answers says of its classes; none if somebody put them in order."""
    for part in layers(suspect):
        if isinstance(part, Relabelled):
            return ()
        if names := tuple(getattr(part, "class_names", ())):
            return names
    return ()


def layers(suspect: Suspect) -> Iterator[Any]:
    """Yield a suspect, then what it stands in front of, down to who answers."""
    inner: Any = suspect
    while inner is not None:
        yield inner
        inner = getattr(inner, "suspect", None)


def alternatives(suspect: Suspect, channels: int) -> dict[Convention, Suspect]:
    """Return the suspect as it is asked in each common convention but its own.

    A classifier directory has its convention inside: there is none to try.
    """
    own = convention_of(suspect)
    if own is None:
        return {}
    others = (c for c in COMMON.values() if c.fits(channels) and c != own)
    return {convention: fed_as(suspect, convention) for convention in others}


def convention_of(suspect: Suspect) -> Convention | None:
    """Return how a suspect is fed, whatever else stands in front of it; None if nobody decides."""
    return next((part.convention for part in layers(suspect) if isinstance(part, Fed)), None)


def fed_as(suspect: Suspect, convention: Convention) -> Suspect:
    """Return the same suspect, with all that stands in front of it, fed in another convention."""
    if isinstance(suspect, Fed):
        return Fed(suspect.suspect, convention)
    changed: Any = copy.copy(suspect)
    object.__setattr__(changed, "suspect", fed_as(changed.suspect, convention))
    return changed
