"""What a fingerprint method is given to work with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from cemfp.models.classifier import Classifier
from cemfp.models.roles import GENERATION_ROLES, Origin, Role, require_origin, require_roles
from cemfp.models.source import Source

Progress = Callable[[int, int, str], None]
Starts = Literal["correct", "misclassified", "noise"]
Domain = Literal["image", "signed"]


class NoGradient(ValueError):
    """A method follows the gradient of a source that only answers."""


@dataclasses.dataclass(frozen=True)
class Models:
    """The defender's models: the only ones a generator or a filter may see.

    Attributes:
        source: The model to protect.
        surrogates: Nets that the defender trained on the source's labels.
        references: Nets that the defender trained on the ground truth.

    Raises:
        RoleError: A model has another role or origin: an evaluation model, or swapped lists.
    """

    source: Source
    surrogates: Sequence[Classifier] = ()
    references: Sequence[Classifier] = ()

    def __post_init__(self) -> None:
        require_roles([self.source], [Role.SOURCE], "source of a fingerprint")
        helpers = {Origin.SURROGATE: self.surrogates, Origin.REFERENCE: self.references}
        for origin, models in helpers.items():
            where = f"{origin}s for a fingerprint"
            require_roles(models, GENERATION_ROLES, where)
            require_origin(models, [origin], where)

    def white_box(self, method: str) -> Classifier:
        """Return the source for a method that needs its gradient.

        Raises:
            NoGradient: It only answers.
        """
        if not isinstance(self.source, Classifier):
            raise NoGradient(
                f"{method} follows the source's gradient: expected a Keras model. Received: "
                f"{self.source}, which only answers; take cem with beta, gamma and early_stop off"
            )
        return self.source


class Method(Protocol):
    """A fingerprint method: a frozen dataclass of hyper-parameters that perturbs images.

    Attributes:
        name: Name in `METHODS`.
        adversarial: Whether an input counts only if the source's answer is not its true class.
        ensemble: Whether it needs the defender's surrogates and references.
        epsilon: L-inf radius on the [0, 1] scale; None when unbounded.
        starts: Which images it starts from: those the source gets right, those it gets wrong, or
            noise, which needs no data; the key of noise is a random label.
        domain: `image` if the result is in [0, 1], `signed` if it may leave it.
    """

    # Properties, because a method's attributes are read-only: constants of its class or fields of
    # a frozen dataclass.
    @property
    def name(self) -> str: ...

    @property
    def adversarial(self) -> bool: ...

    @property
    def ensemble(self) -> bool: ...

    @property
    def epsilon(self) -> float | None: ...

    @property
    def starts(self) -> Starts: ...

    @property
    def domain(self) -> Domain: ...

    def __call__(
        self, images: np.ndarray, models: Models, *, seed: int, progress: Progress | None = None
    ) -> np.ndarray:
        """Return perturbed images (n, h, w, c), float32 of the method's domain; none is dropped."""


@runtime_checkable
class ChoosesPrecision(Protocol):
    """A method that computes in the number format that is faster on the machine at hand."""

    def precision(self, models: Models) -> str:
        """Return the format's name: `float32` or `bfloat16`."""


@runtime_checkable
class TakesTargets(Protocol):
    """A method that can be told which labels its inputs shall get."""

    def toward(
        self,
        images: np.ndarray,
        models: Models,
        targets: np.ndarray | None,
        *,
        seed: int,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Do what the call does, toward one of each image's labels `targets` (n, k)."""
