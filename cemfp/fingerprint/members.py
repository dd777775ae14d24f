"""Who answers at a step of CEM, and what each of them is shown."""

from __future__ import annotations

import tensorflow as tf

from cemfp.ensemble.ensemble import Ensemble
from cemfp.ensemble.noisy import twin
from cemfp.fingerprint.models import Models
from cemfp.training.augmentation import augment


def shown(x: tf.Tensor, shift: int, noise: float, seed: tf.Tensor) -> tf.Tensor:
    """Return images as a step shows them: moved by whole pixels, under noise.

    Args:
        x: Images (n, h, w, c), h = w, in [0, 1].
        shift: Most pixels by which each moves up or down, and left or right; edges are mirrored.
        noise: Standard deviation of the noise, on the same scale as the images.
        seed: (2,) int32, decides everything.
    """
    if shift:
        padded = tf.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)), "SYMMETRIC")
        x = augment(padded, x.shape[1], flip=False, seed=seed + tf.constant([0, 15_485_863]))
    if noise:
        own = seed + tf.constant([0, 32_452_843])
        x = x + tf.random.stateless_normal(tf.shape(x), own, stddev=noise)  # x may be a variable
    return x


class Asked:
    """Who answers at a step: surrogates and references, and the source if the loss looks at it."""

    def __init__(self, models: Models, *, with_source: bool, limit: int, twins: float) -> None:
        """Make one ensemble of them.

        Args:
            models: Source, surrogates and references.
            with_source: Whether the loss looks at the source.
            limit: Surrogates, and references, that a step draws; 0 asks all.
            twins: Noise on the weights of a second copy of each; 0 makes none.
        """
        surrogates, references = list(models.surrogates), list(models.references)
        if twins:
            surrogates += [twin(one, twins, seed) for seed, one in enumerate(surrogates)]
            references += [twin(one, twins, seed) for seed, one in enumerate(references)]
        self.with_source = with_source
        self.surrogates, self.references = len(surrogates), len(references)
        # How many of each a step draws.
        self.drawn = [min(limit or n, n) for n in (self.surrogates, self.references)]
        first = [models.white_box("cem")] if with_source else []
        self.everyone = Ensemble([*first, *surrogates, *references])

    def logits(
        self, x: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor | None, tf.Tensor, tf.Tensor]:
        """Return logits of the source (n, C) or None, of surrogates and of references (k, n, C)."""
        first, end = int(self.with_source), self.drawn[0] + int(self.with_source)
        if self.drawn == [self.surrogates, self.references]:
            logits = self.everyone.logits(x)
        else:
            logits = self.everyone.logits(x, self._draw(seed))
        return logits[0] if first else None, logits[first:end], logits[end:]

    def _draw(self, seed: tf.Tensor) -> tf.Tensor:
        """Return the places of this step's members (m,) int32."""
        first = int(self.with_source)
        surrogates = first + _some(self.surrogates, self.drawn[0], seed + tf.constant([0, 104_729]))
        references = _some(self.references, self.drawn[1], seed + tf.constant([0, 1_299_709]))
        return tf.concat(
            [tf.range(first), surrogates, first + self.surrogates + references], axis=0
        )


def _some(count: int, drawn: int, seed: tf.Tensor) -> tf.Tensor:
    """Return `drawn` of the numbers below `count`, each equally likely, in random order."""
    return tf.argsort(tf.random.stateless_uniform([count], seed))[:drawn]


def output_mask(shape: tf.Tensor, dropout: float, seed: tf.Tensor) -> tf.Tensor:
    """Drop single outputs of `shape`, and scale the others by 1 / (1 - dropout), as Keras does."""
    kept = tf.random.stateless_uniform(shape, seed) >= dropout
    return tf.cast(kept, tf.float32) / (1.0 - dropout)


def model_mask(shape: tf.Tensor, dropout: float, seed: tf.Tensor) -> tf.Tensor:
    """Drop whole models; the one with the highest draw always stays, so that none is no case."""
    draws = tf.random.stateless_uniform([shape[0], 1, 1], seed)
    kept = tf.cast((draws >= dropout) | (draws == tf.reduce_max(draws)), tf.float32)
    return kept * tf.cast(shape[0], tf.float32) / tf.reduce_sum(kept)
