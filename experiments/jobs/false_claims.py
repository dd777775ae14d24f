"""Claims of an owner, one true and the others false, before a judge who audits them.

The false ones are made with all that an owner has: the source, surrogates and references, and the
innocent model that is to be accused. Their calibration is the true fingerprint's: made up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from cemfp.audit.rule import targets_of
from cemfp.data import Dataset
from cemfp.ensemble.ensemble import Ensemble
from cemfp.fingerprint.artifact import Calibration, Fingerprint
from cemfp.fingerprint.by_rule import answered, make_by_rule
from cemfp.fingerprint.generate import make_fingerprint
from cemfp.fingerprint.models import Domain, Models, Starts
from cemfp.fingerprint.models import Progress as Steps
from cemfp.fingerprint.rule import Rule
from cemfp.models.classifier import Classifier
from cemfp.numerics import ops


@dataclasses.dataclass(frozen=True)
class Transferable:
    """The opposite of a fingerprint: every model, references too, shall answer one wrong label.

    Attributes:
        epsilon: L-inf radius on the [0, 1] pixel scale.
        steps: Steps of the sign of the gradient.
    """

    name: ClassVar[str] = "transferable"
    adversarial: ClassVar[bool] = True
    ensemble: ClassVar[bool] = True
    starts: ClassVar[Starts] = "correct"
    domain: ClassVar[Domain] = "image"

    epsilon: float
    steps: int = 30

    def __call__(
        self, images: np.ndarray, models: Models, *, seed: int, progress: Steps | None = None
    ) -> np.ndarray:
        """Perturb `images` (n, h, w, c) toward whichever wrong label all models take to most."""
        labels = models.source.predict_labels(images)
        wrong = np.array([[c for c in range(models.source.classes) if c != t] for t in labels])
        return self.toward(images, models, wrong, seed=seed, progress=progress)

    def toward(
        self,
        images: np.ndarray,
        models: Models,
        targets: np.ndarray | None,
        *,
        seed: int,
        progress: Steps | None = None,
    ) -> np.ndarray:
        """Do the same with labels to choose from, `targets` (n, k)."""
        del seed  # nothing is random
        everyone = [models.white_box(self.name), *models.surrogates, *models.references]
        ensemble, start = Ensemble(everyone), tf.constant(images, tf.float32)

        @tf.function
        def step(x: tf.Tensor) -> tf.Tensor:
            """Move every image once, and project."""
            with tf.GradientTape() as tape:
                tape.watch(x)
                shares = tf.reduce_mean(tf.nn.log_softmax(ensemble.logits(x)), axis=0)
                best = tf.reduce_max(tf.gather(shares, targets, batch_dims=1), axis=1)
            gradient = tape.gradient(best, x)
            moved = x + self.epsilon / 8 * tf.sign(gradient)
            return ops.project_linf(moved, start, self.epsilon)

        x = start
        for number in range(self.steps):
            x = step(x)
            if progress is not None:
                progress(number + 1, self.steps, self.name)
        return x.numpy()


@dataclasses.dataclass(frozen=True)
class Owner:
    """What a claimant has.

    Attributes:
        models: Source, surrogates and references.
        dataset: Where starting images come from.
        rule: Of the true fingerprint.
        true: That fingerprint, calibrated.
        record: All candidates that were tried for it.
        innocent: Who is to be accused; independent of the source.
    """

    models: Models
    dataset: Dataset
    rule: Rule
    true: Fingerprint
    record: Fingerprint
    innocent: Classifier

    def called(self, made: Fingerprint, **changes: Any) -> Fingerprint:
        """Return `made`, changed, with the calibration of the true one, which is not its own."""
        queries = len(changes.get("keys", made.keys))
        borrowed = dataclasses.replace(calibration_of(self.true), queries=queries)
        # Which inputs the calibration models answered is not made up, too.
        changes |= {"calibration": borrowed, "surrogate_hits": None, "reference_hits": None}
        return dataclasses.replace(made, **changes)


class Claim(NamedTuple):
    """What the owner brings before the judge.

    Attributes:
        fingerprint: The claim.
        record: Of all candidates, if there is one.
        late: Whether it was made when the suspect was known: what was committed to before is the
            true fingerprint.
    """

    fingerprint: Fingerprint
    record: Fingerprint | None = None
    late: bool = False


def true_claim(owner: Owner) -> Claim:
    """Made by the rule, calibrated on the models of that role."""
    return Claim(owner.true, owner.record)


def transferable(owner: Owner) -> Claim:
    """Adversarial examples that every model answers alike, called a fingerprint."""
    method, size = _transferable(owner), len(owner.record)
    made, _ = make_fingerprint(
        method, owner.models, owner.dataset, size=size, candidates=size, threshold=0.0
    )
    return Claim(owner.called(made))


def transferable_by_rule(owner: Owner) -> Claim:
    """The same, with images and labels from the committed secret."""
    size = len(owner.record)
    made = make_by_rule(
        _transferable(owner), owner.models, owner.dataset, owner.rule,
        size=size, candidates=size, threshold=0.0,
    )  # fmt: skip
    return Claim(owner.called(made.fingerprint), made.record)


def late_keys(owner: Owner) -> Claim:
    """The true inputs, with what the innocent model answers as keys."""
    answers = owner.innocent.predict_labels(owner.true.inputs)
    return Claim(owner.called(owner.true, keys=answers, rule=None), late=True)


def late_keys_of_noise(owner: Owner) -> Claim:
    """Random noise, with what the innocent model answers as keys."""
    noise = np.random.default_rng(0).random(owner.true.inputs.shape, np.float32)
    inputs = np.rint(noise * 255) / np.float32(255)
    nothing = {"rule": None, "originals": None, "true_labels": None, "conferrability": None}
    nothing |= {"epsilon": None}
    keys = owner.innocent.predict_labels(inputs)
    return Claim(owner.called(owner.true, inputs=inputs, keys=keys, **nothing), late=True)


def shared_mistakes(owner: Owner) -> Claim:
    """Test images for which source and innocent model have the same wrong label."""
    test, models = owner.dataset.test, (owner.models.source, owner.innocent)
    answers, others = (model.predict_labels(test.images) for model in models)
    taken = np.flatnonzero((answers == others) & (answers != test.labels))[: len(owner.true)]
    images = test.take(taken)
    changes = {"inputs": images.floats(), "originals": images.floats(), "keys": answers[taken]}
    changes |= {"true_labels": images.labels, "rule": None, "conferrability": None}
    # Digits have 17 grey levels, which are none of an 8-bit picture's.
    changes["eight_bit"] = test.images.dtype == np.uint8
    return Claim(owner.called(owner.true, **changes), late=True)


def chosen_subset(owner: Owner) -> Claim:
    """Of the rule's candidates those whose key the innocent model answers, too."""
    record = owner.record
    assert record.rule is not None and owner.true.rule is not None
    drawn = answered(record.keys, targets_of(record, record.rule, owner.rule))
    suits = owner.innocent.predict_labels(record.inputs) == record.keys
    taken = np.flatnonzero(drawn & suits)
    names = ("inputs", "keys", "originals", "true_labels", "conferrability")
    arrays = {name: getattr(record, name)[taken] for name in names}
    rule = dataclasses.replace(
        record.rule.of(taken.tolist()), record_sha256=owner.true.rule.record_sha256
    )
    return Claim(owner.called(owner.true, rule=rule, **arrays), record, late=True)


CLAIMS: dict[str, Callable[[Owner], Claim]] = {
    "true": true_claim,
    "transferable": transferable,
    "transferable, by the rule": transferable_by_rule,
    "late keys": late_keys,
    "late keys of noise": late_keys_of_noise,
    "shared mistakes": shared_mistakes,
    "chosen subset": chosen_subset,
}


def _transferable(owner: Owner) -> Transferable:
    return Transferable(owner.true.epsilon or 0.0)


def calibration_of(fingerprint: Fingerprint) -> Calibration:
    """Return the calibration of a fingerprint that has one."""
    assert fingerprint.calibration is not None
    return fingerprint.calibration
