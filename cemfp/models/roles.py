"""Who may see what: the roles of classifiers, and the check that keeps them apart.

A model that helped to make a fingerprint, to filter its inputs, or to set its threshold cannot
also judge it. Every generator, filter and calibration therefore calls `require_roles` first.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from typing import Any


class Role(enum.StrEnum):
    """What a classifier is for, decided when it is trained and kept with its weights."""

    SOURCE = "source"
    DEFENDER = "defender"
    CALIBRATION = "calibration"
    EVALUATION = "evaluation"
    ATTACKER = "attacker"


class Origin(enum.StrEnum):
    """Where a classifier's labels came from."""

    SOURCE = "source"
    SURROGATE = "surrogate"
    REFERENCE = "reference"


GENERATION_ROLES = (Role.SOURCE, Role.DEFENDER)
CALIBRATION_ROLES = (Role.CALIBRATION,)


class RoleError(ValueError):
    """A classifier was passed to a step that its role or origin keeps it out of."""


def require_roles(classifiers: Iterable[Any], allowed: Collection[str], where: str) -> None:
    """Check that each classifier has one of the allowed roles.

    Args:
        classifiers: Objects with a `role`.
        allowed: Roles that may take part.
        where: The step that asks, named in the error: "CEM generation".

    Raises:
        RoleError: Names the first classifier that may not take part, and its role.
    """
    _require(classifiers, "role", allowed, where, "that role must not take part in this step")


def require_origin(classifiers: Iterable[Any], allowed: Collection[str], where: str) -> None:
    """Check that each classifier's labels came from where this step needs them to come from.

    Args:
        classifiers: Objects with an `origin`.
        allowed: Origins that fit.
        where: The step that asks, named in the error: "calibration, surrogates".

    Raises:
        RoleError: Names the first classifier that does not fit, and its origin.
    """
    _require(classifiers, "origin", allowed, where, "surrogates and references may be swapped")


def _require(
    classifiers: Iterable[Any], attribute: str, allowed: Collection[str], where: str, reason: str
) -> None:
    for position, classifier in enumerate(classifiers):
        found = getattr(classifier, attribute, None)
        if found not in allowed:
            raise RoleError(
                f"{where}: expected classifiers with {attribute} {' or '.join(allowed)}. "
                f"Received: {_name(position, classifier)} with {attribute} {found}; {reason}."
            )


def _name(position: int, classifier: Any) -> str:
    weights = getattr(classifier, "weights_sha256", None)
    number = f"classifier {position + 1}"
    return f"{number} (weights {weights[:12]})" if isinstance(weights, str) else number


def require_distinct(classifiers: Iterable[Any], where: str) -> None:
    """Check that no two classifiers are one.

    Args:
        classifiers: Objects with `weights_sha256`, and `name` for the message.
        where: The step that asks, named in the error.

    Raises:
        RoleError: Names two that have equal weights.
    """
    names: dict[str, str] = {}
    for classifier in classifiers:
        digest, name = classifier.weights_sha256, str(getattr(classifier, "name", "a model"))
        if digest in names:
            raise RoleError(
                f"{where}: expected models that differ. Received: {names[digest]} and {name}, "
                "which have equal weights; each may stand for one role, once"
            )
        names[digest] = name
