"""Many frozen classifiers as one fast function of an image, differentiable in the image alone.

Members that differ only in their weights form a group: their weights are stacked and one compiled
body runs them in turn, so that tracing and graph size do not depend on their number. The gradient
passes back through a loop of the same kind, written by hand: the framework's own would also compute
gradients of the weights and keep every activation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from cemfp.ensemble import steps
from cemfp.ensemble.folding import Folded, Program, fold
from cemfp.models.classifier import Classifier
from cemfp.numerics import precision as precisions

# TensorFlow 2.15 ends in a segmentation fault when the passes of two members overlap: they race
# for the buffers of the lists that hold scores and activations.
PARALLEL = 1


class EnsembleError(ValueError):
    """The classifiers do not form an ensemble."""


class Ensemble:
    """K frozen classifiers as one function.

    A Keras model is read once, here: later changes of its weights have no effect. A model with a
    layer that `folding.fold` does not know is called as it is, in its own precision.

    Attributes:
        groups: Members that are run together, with their stacked weights.
        singles: (place, classifier) of the members that could not be folded.
        input_shape: Height, width and channels.
        classes: Number of classes.
    """

    def __init__(
        self,
        classifiers: Sequence[Classifier],
        *,
        precision: str = "auto",
        recompute: bool = False,
    ) -> None:
        """Fold, group and stack.

        Args:
            classifiers: The members, K >= 1, of one input shape and number of classes.
            precision: `float32`, `bfloat16` (from the first convolution to the last; the head and
                the logits stay in float32), or `auto`: what a quick probe finds faster.
            recompute: Run each member again for its gradient instead of keeping activations. Memory
                then does not grow with K, and a gradient costs about half as much again.

        Raises:
            EnsembleError: No classifier, or classifiers of different shapes.
            ValueError: No such precision.
        """
        shapes = {(classifier.input_shape, classifier.classes) for classifier in classifiers}
        if len(shapes) != 1:
            raise EnsembleError(
                "expected classifiers of one input shape and number of classes. Received: "
                f"{sorted(shapes) or 'none'}; pass models that were trained for the same data set"
            )
        ((self.input_shape, self.classes),) = shapes
        self._size = len(classifiers)
        self.groups, self.singles = _group(
            classifiers, precisions.compute_type(precision), recompute
        )
        self._compiled = tf.function(self._logits, autograph=False, reduce_retracing=True)

    def __len__(self) -> int:
        return self._size

    def logits(self, x: tf.Tensor, members: tf.Tensor | None = None) -> tf.Tensor:
        """Return the members' logits (K, n, C), float32, in the order of the members.

        Args:
            x: Images (n, h, w, c), float32 in [0, 1]; with `members`, n is fixed when a function
                is traced.
            members: Places of those to ask (k,) int32, each once, k >= 1: the answer is then
                (k, n, C) in this order, and the others cost nothing.
        """
        x = tf.convert_to_tensor(x, tf.float32)
        compute = self._compiled if tf.executing_eagerly() else self._logits
        return compute(x, members)

    def _logits(self, x: tf.Tensor, members: tf.Tensor | None) -> tf.Tensor:
        if members is not None:
            return self._logits_of(x, members)
        parts = [group.logits(x) for group in self.groups]
        parts += [tf.cast(classifier(x), tf.float32)[tf.newaxis] for _, classifier in self.singles]
        places = [place for group in self.groups for place in group.places]
        places += [place for place, _ in self.singles]
        logits = parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)
        return logits if places == sorted(places) else tf.gather(logits, np.argsort(places))

    def _logits_of(self, x: tf.Tensor, members: tf.Tensor) -> tf.Tensor:
        parts, places = [], []
        for group in self.groups:
            own = tf.constant(group.places)
            asked = tf.where(tf.reduce_any(_matches(own, members), axis=1))[:, 0]
            parts.append(group.logits(x, tf.cast(asked, tf.int32)))
            places.append(tf.gather(own, asked))
        for place, classifier in self.singles:
            asked = tf.boolean_mask(members, members == place)
            parts.append(_answer_if(tf.size(asked) > 0, classifier, x))
            places.append(asked)
        order = tf.argmax(tf.cast(_matches(members, tf.concat(places, axis=0)), tf.int32), axis=1)
        return tf.gather(tf.concat(parts, axis=0), order)


def _matches(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return which numbers are equal, as booleans (rows, columns)."""
    return rows[:, tf.newaxis] == columns[tf.newaxis, :]


def _answer_if(asked: tf.Tensor, classifier: Classifier, x: tf.Tensor) -> tf.Tensor:
    """Return the logits (1, n, C) of a model that is no folded one, or (0, n, C) if not `asked`."""
    shape = (0, x.shape[0], classifier.classes)
    return tf.cond(
        asked,
        lambda: tf.cast(classifier(x), tf.float32)[tf.newaxis],
        lambda: tf.zeros(shape, tf.float32),
    )


def number_format(classifiers: Sequence[Classifier], precision: str = "auto") -> str:
    """Return the name of the format that an `Ensemble` of `classifiers` computes convolutions in.

    `float32` if it holds no convolution whose format can be chosen, whatever was asked.
    """
    compute = precisions.compute_type(precision)
    if compute == tf.float32:
        return compute.name
    folded = (fold(classifier.model) for classifier in classifiers)
    lowered = any(compute in steps.types(each.program, compute) for each in folded if each)
    return compute.name if lowered else tf.float32.name


@dataclasses.dataclass(frozen=True)
class Group:
    """Members with one program.

    Attributes:
        program: What each of them computes.
        places: Their places in the ensemble.
        weights: For each step, its weights as tensors (members, ...); see `steps.prepare`.
        dtypes: Number format at each position of the program.
        recompute: See `Ensemble`.
        classes: Number of classes.
    """

    program: Program
    places: tuple[int, ...]
    weights: tuple[tuple[tf.Tensor, ...], ...]
    dtypes: tuple[tf.DType, ...]
    recompute: bool
    classes: int

    def logits(self, x: tf.Tensor, asked: tf.Tensor | None = None) -> tf.Tensor:
        """Return (members, n, C), with a gradient in `x` only; only the `asked` (k,), if given."""
        # How many is a number, not a tensor, where all are asked: the answer's shape is then known.
        count = len(self.places) if asked is None else tf.size(asked)
        members = tf.range(len(self.places)) if asked is None else asked

        @tf.custom_gradient
        def differentiable(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            scores, kept = self._forward(x, members, count)
            return scores, lambda upstream: self._backward(x, upstream, kept, members, count)

        return differentiable(x)

    def _forward(
        self, x: tf.Tensor, members: tf.Tensor, count: int | tf.Tensor
    ) -> tuple[tf.Tensor, dict[int, tf.TensorArray]]:
        """Return the scores, and for each position in `steps.kept` one activation per member."""
        positions = [] if self.recompute else steps.kept(self.program)
        # An empty array has to know what it would hold.
        shape = (x.shape[0], self.classes)
        scores = tf.TensorArray(tf.float32, count, element_shape=shape)
        kept = {i: tf.TensorArray(self.dtypes[i], count, clear_after_read=False) for i in positions}

        def body(
            k: tf.Tensor, scores: tf.TensorArray, kept: dict[int, tf.TensorArray]
        ) -> tuple[tf.Tensor, tf.TensorArray, dict[int, tf.TensorArray]]:
            values = steps.run(self.program, x, self._member(members[k]), self.dtypes)
            kept = {i: array.write(k, values[i]) for i, array in kept.items()}
            return k + 1, scores.write(k, values[-1]), kept

        _, scores, kept = _loop(count, body, scores, kept)
        return scores.stack(), kept

    def _backward(
        self,
        x: tf.Tensor,
        upstream: tf.Tensor,
        kept: dict[int, tf.TensorArray],
        members: tf.Tensor,
        count: int | tf.Tensor,
    ) -> tf.Tensor:
        upstream = tf.convert_to_tensor(upstream)  # indexed slices if the caller picked members

        def body(k: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            weights = self._member(members[k])
            if self.recompute:
                activations = dict(enumerate(steps.run(self.program, x, weights, self.dtypes)))
            else:
                activations = {i: array.read(k) for i, array in kept.items()}
            return k + 1, total + steps.gradient(
                self.program, upstream[k], weights, self.dtypes, activations
            )

        return _loop(count, body, tf.zeros_like(x))[1]

    def _member(self, k: tf.Tensor) -> list[list[tf.Tensor]]:
        return [[stacked[k] for stacked in own] for own in self.weights]


def _loop(count: int | tf.Tensor, body: Callable, *state: tf.Tensor) -> tuple:
    return tf.while_loop(
        lambda k, *_: k < count, body, (tf.constant(0), *state), parallel_iterations=PARALLEL
    )


def _group(
    classifiers: Sequence[Classifier], compute: tf.DType, recompute: bool
) -> tuple[list[Group], list[tuple[int, Classifier]]]:
    """Return the groups, and the classifiers that could not be folded with their places."""
    alike: dict[tuple, list[tuple[int, Folded]]] = {}
    singles = []
    for place, classifier in enumerate(classifiers):
        folded = fold(classifier.model)
        if folded is None:
            singles.append((place, classifier))
            continue
        shapes = tuple(weight.shape for own in folded.weights for weight in own)
        alike.setdefault((folded.program, shapes), []).append((place, folded))
    groups = []
    for members in alike.values():
        program = members[0][1].program
        dtypes = steps.types(program, compute)
        weights = _stack(program, [folded for _, folded in members], dtypes)
        places = tuple(place for place, _ in members)
        groups.append(
            Group(program, places, weights, tuple(dtypes), recompute, classifiers[0].classes)
        )
    return groups, singles


def _stack(
    program: Program, members: Sequence[Folded], dtypes: Sequence[tf.DType]
) -> tuple[tuple[tf.Tensor, ...], ...]:
    """Return each step's weights, stacked over the members, in the step's number format."""
    result = []
    for number, step in enumerate(program):
        prepared = [steps.prepare(step, folded.weights[number]) for folded in members]
        stacked = [tf.stack(weights) for weights in zip(*prepared, strict=True)]
        result.append(tuple(tf.cast(weights, dtypes[step.output]) for weights in stacked))
    return tuple(result)
