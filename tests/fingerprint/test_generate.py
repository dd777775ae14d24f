"""From a method to a fingerprint: who may take part, rounding, filters, failures."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from cemfp.data import Split, make_dataset
from cemfp.fingerprint import generate
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.generate import (
    FingerprintFailure,
    make_candidates,
    make_fingerprint,
    starting_images,
)
from cemfp.fingerprint.methods import METHODS
from cemfp.fingerprint.models import Models
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.roles import Origin, Role, RoleError
from cemfp.numerics import precision
from tests.small_classifiers import helper, linear

SURROGATE, REFERENCE = Origin.SURROGATE, Origin.REFERENCE
# Answers as the source does, the other label, or always label 0.
SAME, SWAPPED, ALWAYS_0 = np.eye(2), np.eye(2)[::-1], np.zeros((2, 2))


@dataclasses.dataclass(frozen=True)
class Shift:
    """Adds a fixed amount to pixel 1: label 0 becomes label 1 where it suffices."""

    name: ClassVar[str] = "shift"
    adversarial: ClassVar[bool] = True
    ensemble: ClassVar[bool] = True
    starts: ClassVar[str] = "correct"
    domain: ClassVar[str] = "image"

    amount: float = 0.1
    epsilon: float | None = 0.1

    def __call__(self, images, models, *, seed, progress=None):
        return np.clip(images + np.float32([0, self.amount]), 0, 1)


@dataclasses.dataclass(frozen=True)
class Alone(Shift):
    """The same, without a defender's ensemble."""

    ensemble: ClassVar[bool] = False


@dataclasses.dataclass(frozen=True)
class Boundary(Shift):
    """The same, for which the true class is as good a key as another."""

    adversarial: ClassVar[bool] = False


class Exploding:
    """A defender's model that may be listed, but not asked."""

    role = Role.DEFENDER
    classes = 2

    def __init__(self, origin):
        self.origin = origin

    def __getattr__(self, name):
        raise AssertionError(f"touched: {name}")


def dataset(pixels, labels):
    split = Split(np.float32(pixels).reshape(-1, 1, 1, 2), np.array(labels, np.int64))
    return make_dataset("pixels", split, split, ("a", "b"))


def models(surrogates=(SAME,), references=(ALWAYS_0,)):
    """By default a surrogate that agrees and a reference that always answers 0."""
    return Models(
        linear(SAME),
        [helper(kernel, SURROGATE) for kernel in surrogates],
        [helper(kernel, REFERENCE) for kernel in references],
    )


#  pixels      source  truth
FIVE = dataset(
    [
        [0.50, 0.45],  # 0, 0: becomes 1, accepted
        [0.60, 0.52],  # 0, 0: becomes 1, accepted
        [0.90, 0.10],  # 0, 0: stays 0, too far away
        [0.50, 0.42],  # 0, 1: the source is wrong from the start
        [0.10, 0.60],  # 1, 1: stays 1
    ],
    [0, 0, 0, 1, 1],
)


def distinct_starts(fingerprint):
    return sorted(round(float(start), 2) for start in fingerprint.originals[:, 0, 0, 1])


# Roles


@pytest.mark.parametrize("role", [Role.EVALUATION, Role.CALIBRATION, Role.ATTACKER])
def test_a_model_of_a_later_step_is_refused_wherever_it_stands(role):
    source = linear(SAME)
    outsider = {o: helper(SAME, o, role) for o in (SURROGATE, REFERENCE)}
    mine = {o: helper(SAME, o) for o in (SURROGATE, REFERENCE)}
    with pytest.raises(RoleError, match=f"source of a fingerprint.*{role}"):
        Models(linear(SAME, role=role))
    with pytest.raises(RoleError, match=f"classifier 2 .*{role}"):
        Models(source, [mine[SURROGATE], outsider[SURROGATE]], [mine[REFERENCE]])
    with pytest.raises(RoleError, match=f"classifier 2 .*{role}"):
        Models(source, [mine[SURROGATE]], [mine[REFERENCE], outsider[REFERENCE]])


def test_a_defenders_model_is_no_source():
    with pytest.raises(RoleError, match="source of a fingerprint"):
        Models(linear(SAME, role=Role.DEFENDER))


def test_swapped_surrogates_and_references_are_refused():
    surrogate, reference = helper(SAME, SURROGATE), helper(SAME, REFERENCE)
    with pytest.raises(RoleError, match="swapped"):
        Models(linear(SAME), [reference], [surrogate])
    with pytest.raises(RoleError, match=r"surrogates for a fingerprint.*swapped"):
        Models(linear(SAME), [surrogate, reference], [reference])
    with pytest.raises(RoleError, match=r"references for a fingerprint.*swapped"):
        Models(linear(SAME), [surrogate], [reference, surrogate])


SETTINGS = {name: {"epsilon": 0.1} for name in ("fgm", "bim", "pgd", "cw")}
SETTINGS |= {"ipguard": {"learning_rate": 0.02}, "misclassified": {}}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_method_of_the_source_alone_never_touches_the_ensemble(name):
    many = Models(linear(SAME), [Exploding(SURROGATE)], [Exploding(REFERENCE)])
    fingerprint, _ = make_fingerprint(METHODS[name](**SETTINGS[name]), many, FIVE, size=2)
    assert fingerprint.conferrability is None
    assert fingerprint.parameters["threshold"] is None


def test_a_method_with_an_ensemble_does_touch_it():
    with pytest.raises(AssertionError, match="touched: predict_labels"):
        make_fingerprint(
            Shift(), Models(linear(SAME), [Exploding(SURROGATE)], [Exploding(REFERENCE)]), FIVE
        )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_a_generator_asks(name):
    method = METHODS[name]()
    assert method.name == name
    free = name in ("c", "rc", "rc-gm", "ltrc")
    assert method.adversarial is not (free or name in ("ipguard", "sensitive"))
    assert method.ensemble is (name == "cem")
    assert (method.epsilon is None) == (free or name in ("ipguard", "misclassified"))
    assert method.starts == {"misclassified": name}.get(name, "noise" if free else "correct")
    assert method.domain == "image"
    assert dataclasses.is_dataclass(method)


# Starting images


def test_starting_images_are_those_the_source_gets_right():
    labels = np.array([0, 0, 0, 0, 1])
    assert sorted(starting_images(labels, FIVE.test, 10, seed=0).labels.tolist()) == [0, 0, 0, 1]
    assert len(starting_images(labels, FIVE.test, 3, seed=0)) == 3


def test_or_those_it_gets_wrong():
    labels = np.array([0, 0, 0, 0, 1])
    wrong = starting_images(labels, FIVE.test, 10, starts="misclassified", seed=0)
    np.testing.assert_array_equal(wrong.images, FIVE.test.images[3:4])


def test_the_seed_decides_the_starting_images():
    split = Split(np.zeros((50, 1, 1, 2), np.float32), np.arange(50))
    first, same, other = (
        starting_images(split.labels, split, 20, seed=s).labels for s in (1, 1, 2)
    )
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    assert len(set(first.tolist())) == 20


# Candidates


def test_rounding_stays_on_the_grid_and_inside_the_ball():
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 256, (50, 1, 1, 2)) / np.float32(255)
    split = Split(grid.astype(np.float32), np.zeros(50, np.int64))
    made = make_candidates(Shift(amount=0.01, epsilon=0.01), models(), split)
    levels = made.inputs * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    # 0.01 is 2.55 grey levels; rounding to 3 would leave the ball.
    moved = np.round(levels - made.starts * 255)
    assert moved[..., 1].max() == 2 and np.abs(made.inputs - made.starts).max() <= 0.01


def test_without_rounding_inputs_stay_as_the_method_made_them():
    made = make_candidates(Shift(amount=0.01, epsilon=0.01), models(), FIVE.test, quantize=False)
    np.testing.assert_array_equal(made.inputs, Shift(amount=0.01)(made.starts, None, seed=0))


def test_without_a_radius_rounding_knows_no_ball():
    made = make_candidates(Shift(amount=0.3, epsilon=None), models(), FIVE.test)
    np.testing.assert_allclose(made.inputs[0, 0, 0], [128 / 255, 191 / 255], atol=1e-6)


def test_the_answers_counted_are_those_to_the_rounded_images():
    # 0.500 against 0.4985: 127.5 and 127.1 grey levels become 128 and 127. Moved by 0.002 pixel 1
    # leads by a hair, rounded (127.6 -> 128) it is a tie, which goes to label 0.
    split = Split(np.float32([[[[0.5, 0.4985]]]]), np.zeros(1, np.int64))
    method = Shift(amount=0.002, epsilon=0.1)
    assert make_candidates(method, models(), split, quantize=False).keys.tolist() == [1]
    assert make_candidates(method, models(), split).keys.tolist() == [0]


def test_conferrability_by_hand():
    # Image 0 gets the key 1: both agreeing surrogates of three say so, one reference of two too:
    # 2/3 * (1 - 1/2) = 1/3. Image 2 keeps the key 0: 2/3 * (1 - 2/2) = 0.
    many = models([SAME, SAME, SWAPPED], [SAME, ALWAYS_0])
    made = make_candidates(Shift(), many, FIVE.test.take(np.array([0, 2])))
    assert made.keys.tolist() == [1, 0]
    np.testing.assert_allclose(made.confer, [1 / 3, 0], atol=1e-6)


def test_no_scores_without_both_kinds_of_helpers():
    assert make_candidates(Shift(), models([SAME], []), FIVE.test).confer is None
    assert make_candidates(Shift(), models([], [SAME]), FIVE.test).confer is None


def test_seed_and_progress_reach_the_method():
    class Spy(Shift):
        def __call__(self, images, models, *, seed, progress=None):
            calls.append((seed, progress))
            return images

    calls = []
    make_candidates(Spy(), models(), FIVE.test, seed=9, progress=print)
    assert calls == [(9, print)]


# Fingerprints


def test_only_accepted_candidates_become_inputs():
    fingerprint, shortfall = make_fingerprint(Shift(), models(), FIVE, size=4, seed=5)
    assert distinct_starts(fingerprint) == [0.45, 0.52]
    assert fingerprint.keys.tolist() == [1, 1] and fingerprint.true_labels.tolist() == [0, 0]
    np.testing.assert_allclose(fingerprint.conferrability, [1, 1])
    # Two for each class were wanted, and label 0 cannot be reached.
    assert (shortfall.wanted, shortfall.found, shortfall.missing) == (4, 2, {0: 2})
    assert fingerprint.shortfall == {0: 2}


def test_the_threshold_applies_to_the_defenders_models():
    many = models([SAME, SWAPPED])  # Confer = 1/2
    with pytest.raises(FingerprintFailure):
        make_fingerprint(Shift(), many, FIVE, size=2, threshold=0.51)
    fingerprint, _ = make_fingerprint(Shift(), many, FIVE, size=2, threshold=0.5)
    np.testing.assert_allclose(fingerprint.conferrability, [0.5, 0.5])
    # A method that never sees the ensemble is not filtered by it.
    alone, _ = make_fingerprint(Alone(), many, FIVE, size=2, threshold=0.99)
    assert len(alone) == 2 and alone.conferrability is None


def test_a_method_that_is_not_adversarial_may_keep_the_true_class():
    fingerprint, _ = make_fingerprint(
        Boundary(), models([SAME], [SWAPPED]), FIVE, size=10, threshold=0.0
    )
    assert distinct_starts(fingerprint) == [0.10, 0.45, 0.52, 0.60]


def test_balance_can_be_left_out():
    _, shortfall = make_fingerprint(Shift(), models(), FIVE, size=2, balance=False)
    assert not shortfall and shortfall.missing == {}


def test_candidates_default_to_three_times_the_size():
    labels = np.zeros(20, np.int64)
    many = dataset(np.linspace([0.5, 0.41], [0.5, 0.49], 20), labels)
    assert make_fingerprint(Alone(), models(), many, size=2)[0].parameters["candidates"] == 6
    few, _ = make_fingerprint(Alone(), models(), many, size=2, candidates=4)
    assert few.parameters["candidates"] == 4


def test_a_fingerprint_says_how_it_was_made():
    many = models()
    fingerprint, _ = make_fingerprint(Shift(), many, FIVE, size=2, threshold=0.9, seed=7)
    assert fingerprint.parameters == {
        "amount": 0.1,
        "epsilon": 0.1,
        "threshold": 0.9,
        "candidates": 4,
        "size": 2,
        "balance": True,
        "seed": 7,
    }
    assert (fingerprint.method, fingerprint.epsilon, fingerprint.eight_bit) == ("shift", 0.1, True)
    assert fingerprint.source_sha256 == many.source.weights_sha256
    assert fingerprint.data["sha256"] == FIVE.provenance.sha256
    np.testing.assert_array_equal(many.source.predict_labels(fingerprint.inputs), fingerprint.keys)


def convolutional(role=Role.SOURCE, origin=Origin.SOURCE):
    """Untrained; images 4 x 4 x 1 to 2 classes."""
    inputs = tf.keras.Input((4, 4, 1))
    x = tf.keras.layers.Flatten()(tf.keras.layers.Conv2D(2, 3)(inputs))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(2)(x))
    return Classifier(model, ClassifierConfig("keras", (4, 4, 1), 2, {}, role, origin))


@pytest.mark.parametrize("chosen", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["cem", "rc", "misclassified"])
def test_the_number_format_that_was_chosen_is_recorded(name, chosen, bfloat16, monkeypatch):
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[chosen]
    monkeypatch.setattr(precision, "_fastest", lambda: policy)
    defender = [convolutional(Role.DEFENDER, origin) for origin in (SURROGATE, REFERENCE)]
    everyone = Models(convolutional(), defender[:1], defender[1:])
    method = METHODS[name](**({} if name == "misclassified" else {"steps": 1}))
    starts = Split(np.full((2, 4, 4, 1), 0.5, np.float32), np.zeros(2, np.int64))
    made = make_candidates(method, everyone, starts)
    # A method that always computes in the nets' own format has nothing to say.
    assert made.precision == (None if name == "misclassified" else chosen)
    assert made.where(np.array([1])).precision == made.precision
    made = made._replace(keys=1 - made.truth, confer=np.ones(2, np.float32))
    settings = {"size": 1, "threshold": 0.5, "quantize": True, "balance": False, "seed": 0}
    monkeypatch.setattr(generate, "_own_choice", lambda made, *_: made)
    fingerprint, _ = generate.assemble(made, method, everyone.source, None, **settings)
    loaded = Fingerprint.from_bytes(fingerprint.to_bytes())
    assert loaded.parameters.get("precision") == made.precision


def test_failure_says_what_happened_and_what_to_change():
    with pytest.raises(FingerprintFailure) as caught:
        make_fingerprint(Shift(), models([SWAPPED]), FIVE, size=4)
    message = str(caught.value)
    assert message.startswith(
        "shift: expected inputs that pass the filters. Received: 4 candidates"
    )
    assert "2 of them off their true class, highest conferrability 0.00, threshold 0.95" in message
    assert "Raise epsilon or the number of candidates, or lower the threshold" in message


def test_a_source_that_is_right_on_nothing_is_named():
    wrong = dataset([[0.9, 0.1]], [1])
    with pytest.raises(FingerprintFailure, match=r"right on none; check its data set and input"):
        make_fingerprint(Shift(), models(), wrong, size=2)


def test_a_source_that_is_wrong_on_nothing_has_no_mistakes_to_ask_for():
    right = dataset([[0.9, 0.1]], [0])
    with pytest.raises(FingerprintFailure, match=r"wrong on none; .*take another method"):
        make_fingerprint(METHODS["misclassified"](), models(), right, size=2)


@pytest.mark.parametrize("sizes", [{"size": 0}, {"size": -1}, {"size": 2, "candidates": -1}])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match=r"expected size >= 1 and candidates >= 0. Received"):
        make_fingerprint(Shift(), models(), FIVE, **sizes)
