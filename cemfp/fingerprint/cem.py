"""Conferrable ensemble method: inputs whose label surrogates inherit [Lukas21, Sec. 4]."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import tensorflow as tf

from cemfp.ensemble.ensemble import number_format
from cemfp.fingerprint.cem_loss import cem_loss, conferred, conferred_best, ensemble_probabilities
from cemfp.fingerprint.members import Asked, model_mask, output_mask, shown
from cemfp.fingerprint.models import Domain, Models, Progress, Starts
from cemfp.numerics import ops

Masks = tuple[tf.Tensor, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class CEM:
    """Perturb images so that they transfer to surrogates but not to references.

    Attributes:
        epsilon: L-inf radius, on the [0, 1] pixel scale.
        steps: Adam steps. Defaults to 300 [Lukas21, A.6].
        learning_rate: Adam's step size on the same scale. Defaults to 5e-4 [Lukas21, A.6].
        alpha, beta, gamma: Weights of the loss; see `cem_loss`. The paper uses 1, 1, 1. By default
            conferrability alone: it separated unseen models best (`experiments/cem_forms.py`).
        exclude_clean: See `cem_loss`. The paper's literal loss is `False`, and stalls: its nearest
            optimum is "references leave the true class and everyone else stays".
        dropout: Share of the ensemble's outputs dropped at each step. Defaults to 0.3.
        dropout_of: `output` drops single class scores, scaled by 1 / (1 - dropout) as Keras does
            (the literal reading); `model` drops whole models and averages the rest.
        random_start: Whether to start from a random point of the ball, not from the image.
        early_stop: Whether an example that every defender's model already confers stays as it is.
            It asks all members at every step.
        members_per_step: Surrogates, and references, that a step asks, drawn anew for each step;
            0 asks all. With a few at a time the cost does not grow with the ensemble.
        shift: Most pixels by which a step moves what the nets see, in each direction.
        noise: Standard deviation of the noise that a step adds to what they see.
        twins: Each member has a twin, with noise of this share of its spread on each kernel.
    """

    name: ClassVar[str] = "cem"
    adversarial: ClassVar[bool] = True
    ensemble: ClassVar[bool] = True
    starts: ClassVar[Starts] = "correct"
    domain: ClassVar[Domain] = "image"

    epsilon: float = 0.025
    steps: int = 300
    learning_rate: float = 5e-4
    alpha: float = 1.0
    beta: float = 0.0
    gamma: float = 0.0
    exclude_clean: bool = True
    dropout: float = 0.3
    dropout_of: Literal["output", "model"] = "output"
    random_start: bool = False
    early_stop: bool = False
    # Left out of a job's key at 0, which is what was done before there were these fields.
    members_per_step: int = dataclasses.field(default=0, metadata={"omit_default": True})
    shift: int = dataclasses.field(default=0, metadata={"omit_default": True})
    noise: float = dataclasses.field(default=0.0, metadata={"omit_default": True})
    twins: float = dataclasses.field(default=0.0, metadata={"omit_default": True})

    def __post_init__(self) -> None:
        least = (self.epsilon, self.members_per_step, self.shift, self.noise, self.twins)
        if min(least) < 0 or self.steps < 1 or not 0 <= self.dropout < 1:
            raise ValueError(
                "expected steps >= 1, dropout in [0, 1), and epsilon, members_per_step, shift, "
                f"noise and twins >= 0. Received: {self}"
            )

    def __call__(
        self, images: np.ndarray, models: Models, *, seed: int, progress: Progress | None = None
    ) -> np.ndarray:
        """Perturb `images` (n, h, w, c) by at most epsilon; all in one batch, none dropped."""
        return self.toward(images, models, None, seed=seed, progress=progress)

    def toward(
        self,
        images: np.ndarray,
        models: Models,
        targets: np.ndarray | None,
        *,
        seed: int,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Do the same with labels to choose from, `targets` (n, k); None leaves all labels."""
        if not models.surrogates or not models.references:
            raise ValueError(
                "expected at least one surrogate and one reference. Received: "
                f"{len(models.surrogates)} and {len(models.references)}"
            )
        start = tf.constant(images, tf.float32)
        clean = tf.nn.softmax(models.source.predict_logits(images))
        adversarial = tf.Variable(self._start(start, seed))
        finished = tf.Variable(tf.zeros(len(images), tf.bool))
        allowed = None if targets is None else _one_of(targets, clean.shape[-1])
        step = self._compile(self._asked(models), start, clean, allowed, adversarial, finished)
        for number in range(self.steps):
            loss, done = step(tf.constant([seed, number]))
            if progress is not None:
                progress(number + 1, self.steps, f"loss {float(loss):.3f}")
            if self.early_stop and float(done) == 1.0:
                break
        return adversarial.numpy()

    def precision(self, models: Models) -> str:
        """Return the number format that the gradients were computed in, for the record."""
        first = [models.white_box(self.name)] if self.follows_source else []
        return number_format([*first, *models.surrogates, *models.references])

    @property
    def follows_source(self) -> bool:
        """Whether a step looks at the source; if not, the source needs no gradient."""
        return bool(self.beta or self.gamma or self.early_stop)

    def per_step(self, count: int) -> int:
        """Return how many nets a step asks of `count` surrogates, or references."""
        pool = 2 * count if self.twins else count
        return min(self._limit or pool, pool)

    @property
    def _limit(self) -> int:
        return 0 if self.early_stop else self.members_per_step

    def _asked(self, models: Models) -> Asked:
        return Asked(models, with_source=self.follows_source, limit=self._limit, twins=self.twins)

    def _start(self, images: tf.Tensor, seed: int) -> tf.Tensor:
        if not self.random_start:
            return images
        noise = tf.random.stateless_uniform(images.shape, (seed, -1), -self.epsilon, self.epsilon)
        return ops.project_linf(images + noise, images, self.epsilon)

    def _compile(
        self,
        asked: Asked,
        start: tf.Tensor,
        clean: tf.Tensor,
        targets: tf.Tensor | None,
        adversarial: tf.Variable,
        finished: tf.Variable,
    ) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        """Return one compiled Adam step: takes a seed, returns mean loss and share finished."""
        optimizer = tf.keras.optimizers.Adam(self.learning_rate, jit_compile=False)
        optimizer.build([adversarial])

        @tf.function
        def step(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """Move every image once, and project."""
            with tf.GradientTape() as tape:
                seen = shown(adversarial, self.shift, self.noise, seed)
                source, surr, ref = asked.logits(seen, seed)
                surr_mask, ref_mask = self._masks(tf.shape(surr), tf.shape(ref), seed)
                label = targets
                if targets is not None:
                    label = conferred_best(targets, surr, ref)
                    # No share may exceed 1, of whose rest a logarithm is taken.
                    ref_mask = tf.minimum(ref_mask, 1.0)
                loss = cem_loss(
                    source,
                    clean,
                    ensemble_probabilities(surr, surr_mask),
                    ensemble_probabilities(ref, ref_mask),
                    alpha=self.alpha,
                    beta=self.beta,
                    gamma=self.gamma,
                    exclude_clean=self.exclude_clean,
                    targets=label,
                )
            before = adversarial.value()
            optimizer.apply_gradients([(tape.gradient(loss, adversarial), adversarial)])
            moved = ops.project_linf(adversarial, start, self.epsilon)
            if self.early_stop:
                # What was judged is the point before this step: that is the one to keep.
                finished.assign(finished | conferred(source, surr, ref, clean, targets))
                moved = tf.where(finished[:, None, None, None], before, moved)
            adversarial.assign(moved)
            return tf.reduce_mean(loss), tf.reduce_mean(tf.cast(finished, tf.float32))

        return step

    def _masks(self, surr_shape: tf.Tensor, ref_shape: tf.Tensor, seed: tf.Tensor) -> Masks:
        """Draw the dropout factors of the surrogates' and the references' outputs."""
        draw = output_mask if self.dropout_of == "output" else model_mask
        return draw(surr_shape, self.dropout, seed), draw(
            ref_shape, self.dropout, seed + tf.constant([0, 7919])
        )


def _one_of(targets: np.ndarray, classes: int) -> tf.Tensor:
    """Return 1 at the labels `targets` (n, k), 0 elsewhere (n, C)."""
    return tf.reduce_max(tf.one_hot(targets, classes), axis=1)
