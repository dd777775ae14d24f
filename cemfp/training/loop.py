"""The one training loop: data, labels, starting weights and a recipe in, a trained Keras model out.

An attack that trains does not write a loop of its own: it chooses images, labels, starting weights
and a recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from cemfp.models.keras_models import layers_of
from cemfp.numerics import precision as precisions
from cemfp.training.augmentation import augment
from cemfp.training.recipe import Recipe
from cemfp.training.updates import Updates

Gradients = Callable[[tf.keras.Model, tf.Tensor, tf.Tensor], tuple[tf.Tensor, list[tf.Tensor]]]
Build = Callable[[tuple[int | None, ...]], tf.keras.Model]
Progress = Callable[[int, int, str], object]
Watch = Callable[[int, int, tf.keras.Model], object]

# Steps in one compiled call: enough to hide Python's share, few enough for a live progress bar.
STEPS_PER_CALL = 16
# Bytes of images up to which all of them are held in one tensor; more are fed call by call.
LARGEST_HELD = 1 << 30


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; nothing was saved."""


def soft_targets(labels: np.ndarray, classes: int, smoothing: float = 0.0) -> np.ndarray:
    """Return labels as float32 probabilities (n, classes).

    Class indices (n,) become one-hot rows, `smoothing` of which is spread over all classes;
    probabilities (n, classes) stay.
    """
    if labels.ndim == 2:
        return labels.astype(np.float32)
    rows = (1.0 - smoothing) * np.eye(classes) + smoothing / classes
    return rows.astype(np.float32)[labels]


def loss_gradients(
    model: tf.keras.Model, images: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Return a batch's mean cross-entropy and its gradient for every trainable variable.

    This is plain training.
    """
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
    return loss, tape.gradient(loss, model.trainable_variables)


def train(
    build: Build,
    images: np.ndarray,
    targets: np.ndarray,
    recipe: Recipe,
    *,
    seed: int,
    initial: list[np.ndarray] | None = None,
    trainable: Callable[[tf.keras.layers.Layer], bool] | None = None,
    gradients: Gradients = loss_gradients,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> tf.keras.Model:
    """Train a net and return it as a float32 Keras model.

    Args:
        build: Maps an input shape to a fresh Keras model with logits out; called again for the
            float32 result.
        images: (n, h, w, c) uint8 or float32 in [0, 1]; a memory map of more than the memory, too:
            over `LARGEST_HELD` bytes only those of the next `STEPS_PER_CALL` steps are read. The
            result is the same.
        targets: (n,) class indices or (n, classes) probabilities.
        recipe: The schedule.
        seed: Decides initial weights, order and augmentation.
        initial: Starting weights as `model.get_weights()` gives them; fresh ones by default.
        trainable: Which layers learn, those of models inside included; all by default.
        gradients: The step's loss and gradients; adversarial training and DP-SGD replace it.
        progress: Called as (steps done, steps in all, text) a few times a second.
        watch: Called as (steps done, steps in all, the model in training) before the first step and
            after every few; it may measure the model, or change its weights as pruning does.

    Raises:
        TrainingDiverged: The loss or a weight became NaN or infinite.
        ValueError: No images, not as many targets, or images smaller than the crop.
    """
    side = images.shape[1]
    if not 0 < len(images) == len(targets) or recipe.crop > side:
        raise ValueError(
            "expected images, as many targets, and no crop larger than the images. Received: "
            f"images {images.shape}, targets {targets.shape}, crop {recipe.crop}"
        )
    flexible = bool(recipe.crop) and recipe.crop != side
    shape = (None, None, images.shape[3]) if flexible else images.shape[1:]
    policy = precisions.choose(recipe.precision)
    tf.keras.utils.set_random_seed(seed)
    with precisions.policy(policy):
        model = build(shape)
    if initial is not None:
        model.set_weights(initial)
    if trainable is not None:
        for layer in layers_of(model):
            layer.trainable = trainable(layer)
    rows = soft_targets(targets, model.output_shape[-1], recipe.label_smoothing)
    _Loop(model, images, rows, recipe, gradients, seed).run(progress, watch)
    with precisions.policy("float32"):
        result = build(images.shape[1:])
    result.set_weights(model.get_weights())
    return result


class _Loop:
    """The compiled steps and what they close over: data, optimizer slots, step counter."""

    def __init__(
        self,
        model: tf.keras.Model,
        images: np.ndarray,
        targets: np.ndarray,
        recipe: Recipe,
        gradients: Gradients,
        seed: int,
    ) -> None:
        self.model, self.recipe, self.gradients, self.seed = model, recipe, gradients, seed
        self.count = len(images)
        self.batch = min(recipe.batch_size, self.count)
        self.steps_per_epoch = self.count // self.batch
        self.total = recipe.epochs * self.steps_per_epoch
        self.side = images.shape[1]
        self.margin = ((0, 0), (recipe.pad,) * 2, (recipe.pad,) * 2, (0, 0))
        self.fed = images if images.nbytes > LARGEST_HELD else None
        self.held = None if self.fed is not None else tf.constant(np.pad(images, self.margin))
        self.targets = tf.constant(targets)
        self.updates = Updates(model, recipe)
        self.step = tf.Variable(0, dtype=tf.int32)

    def run(self, progress: Progress | None, watch: Watch | None) -> None:
        """Make all steps."""
        if watch is not None:
            watch(0, self.total, self.model)
        sizes = {self._size_at(0), self._size_at(self.total)}
        compiled = {size: tf.function(self._make_steps(size)) for size in sizes}
        for size, batches in self._calls():
            loss = float(compiled[size](tf.constant(batches), self._feed(batches)))
            if not np.isfinite(loss):
                raise self._diverged(f"the loss became {loss}")
            if progress is not None:
                progress(int(self.step), self.total, f"loss {loss:.3f}")
            if watch is not None:
                watch(int(self.step), self.total, self.model)
        # The loss is that of the weights before the last step.
        if not all(np.isfinite(weight).all() for weight in self.model.get_weights()):
            raise self._diverged("a weight is no longer finite")

    def _diverged(self, what: str) -> TrainingDiverged:
        return TrainingDiverged(
            f"{what} at step {int(self.step)} of {self.total} with learning rate "
            f"{self.recipe.learning_rate}; nothing was saved. "
            "Lower the learning rate or set clip_norm."
        )

    def _size_at(self, step: int) -> int:
        """Side of the training crops at a step: the image's own side towards the end."""
        small = self.total * (1.0 - self.recipe.full_size)
        return self.recipe.crop if self.recipe.crop and step < small else self.side

    def _calls(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (crop side, image indices (steps, batch)).

        Every epoch has a fresh order; its short last batch is dropped.
        """
        rng = np.random.default_rng(self.seed)
        for epoch in range(self.recipe.epochs):
            order = rng.permutation(self.count)[: self.steps_per_epoch * self.batch]
            batches = order.reshape(self.steps_per_epoch, self.batch)
            for start in range(0, self.steps_per_epoch, STEPS_PER_CALL):
                size = self._size_at(epoch * self.steps_per_epoch + start)
                yield size, batches[start : start + STEPS_PER_CALL]

    def _feed(self, batches: np.ndarray) -> tf.Tensor | None:
        """Return the images of these steps (steps, batch, h, w, c); None if all are held."""
        return None if self.fed is None else tf.convert_to_tensor(self.fed[batches])

    def _make_steps(self, size: int) -> Callable[[tf.Tensor, tf.Tensor | None], tf.Tensor]:
        # A small crop moves about inside the image; only a full-size one needs the padding.
        margin = 0 if size == self.side else self.recipe.pad

        def pixels(batch: tf.Tensor, fed: tf.Tensor | None, number: tf.Tensor) -> tf.Tensor:
            if fed is None:
                return tf.gather(self.held, batch)
            return tf.pad(fed[number], self.margin)

        def steps(batches: tf.Tensor, fed: tf.Tensor | None) -> tf.Tensor:
            """Make one step for each row of image indices; return the last loss."""
            loss = tf.constant(0.0)
            for number in tf.range(tf.shape(batches)[0]):
                batch = batches[number]
                images = augment(
                    pixels(batch, fed, number),
                    size,
                    flip=self.recipe.flip,
                    seed=tf.stack([self.seed, self.step]),
                    margin=margin,
                )
                loss = self._update(images, tf.gather(self.targets, batch))
            return loss

        return steps

    def _update(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """One step; return the loss before it."""
        loss, gradients = self.gradients(self.model, images, targets)
        self.updates.apply(gradients, tf.cast(self.step, tf.float32) / self.total)
        self.step.assign_add(1)
        return loss
