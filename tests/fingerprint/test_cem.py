"""Equations 3 to 6 on numbers one can check with a pencil, and what a run of CEM guarantees."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cemfp.engine.jobs import _describe_fields
from cemfp.fingerprint import cem, members
from cemfp.fingerprint import cem_loss as losses
from cemfp.fingerprint.models import Models
from cemfp.models.roles import Origin
from tests.small_classifiers import helper, linear

# Logits ln p have the softmax p, if p sums to 1.
P_SOURCE = np.array([[0.5, 0.25, 0.25]], np.float32)
P_CLEAN = np.array([[0.25, 0.5, 0.25]], np.float32)
SURR = np.array([[0.6, 0.2, 0.2]], np.float32)
REF = np.array([[0.5, 0.4, 0.1]], np.float32)


def log(values: np.ndarray) -> tf.Tensor:
    return tf.math.log(tf.constant(values, tf.float32))


def loss(**changes: float) -> float:
    weights = {"alpha": 1.0, "beta": 1.0, "gamma": 1.0, "exclude_clean": False} | changes
    value = losses.cem_loss(log(P_SOURCE), tf.constant(P_CLEAN), log(SURR), log(REF), **weights)
    assert value.shape == (1,)
    return float(value[0])


def test_mean_of_the_models_outputs() -> None:
    # Eq. 3 without dropout: the mean of (.5, .25, .25) and (.25, .5, .25) is (.375, .375, .25).
    logits = tf.stack([log(P_SOURCE), log(P_CLEAN)])
    mean = tf.exp(losses.ensemble_probabilities(logits, tf.ones([2, 1, 1])))
    np.testing.assert_allclose(mean, [[0.375, 0.375, 0.25]], rtol=1e-5)


def test_dropped_outputs_count_as_zero() -> None:
    # Dropping the first model's class 0 and scaling the rest by 1 / (1 - .5) = 2:
    # ((0, .5, .5) + (.5, 1, .5)) / 2 = (.25, .75, .5).
    mask = np.full((2, 1, 3), 2.0, np.float32)
    mask[0, 0, 0] = 0.0
    logits = tf.stack([log(P_SOURCE), log(P_CLEAN)])
    mean = tf.exp(losses.ensemble_probabilities(logits, tf.constant(mask)))
    np.testing.assert_allclose(mean, [[0.25, 0.75, 0.5]], rtol=1e-5)


def test_conferrability_logits_are_equation_5() -> None:
    # (.6, .2, .2) * (1 - (.5, .4, .1)) = (.3, .12, .18)
    values = losses.conferrability_logits(log(SURR), log(REF))
    np.testing.assert_allclose(values, [[0.3, 0.12, 0.18]], rtol=1e-5)


def test_alpha_term_is_the_negative_log_of_the_highest_score() -> None:
    # softmax(.3, .12, .18): e^.3 = 1.34986, e^.12 = 1.12750, e^.18 = 1.19722, sum 3.67458.
    # Highest 1.34986 / 3.67458 = .367351, -ln = 1.001438.
    assert loss(beta=0.0, gamma=0.0) == pytest.approx(1.001438, abs=1e-5)


def test_alpha_term_can_leave_the_clean_class_out() -> None:
    # argmax of the clean answer is class 1, so classes 0 and 2 remain: class 0 as above.
    assert loss(beta=0.0, gamma=0.0, exclude_clean=True) == pytest.approx(1.001438, abs=1e-5)
    # With class 0 as the clean one, class 2 is the best left: 1.19722 / 3.67458, -ln = 1.121438.
    value = losses.cem_loss(
        log(P_SOURCE),
        tf.constant([[0.8, 0.1, 0.1]]),
        log(SURR),
        log(REF),
        alpha=1.0,
        beta=0.0,
        gamma=0.0,
        exclude_clean=True,
    )
    assert float(value[0]) == pytest.approx(1.121438, abs=1e-5)


def test_a_named_label_is_scored_by_the_logarithm() -> None:
    # (.6, .2, .2) * (1 - (.5, .4, .1)) = (.3, .12, .18): of classes 1 and 2 the best is .18.
    targets = tf.constant([[0.0, 1.0, 1.0]])
    value = loss(beta=0.0, gamma=0.0, targets=targets)
    assert value == pytest.approx(-np.log(0.18), abs=1e-5)
    # With the weight 2 and class 1 alone: -2 ln .12.
    value = loss(alpha=2.0, beta=0.0, gamma=0.0, targets=tf.constant([[0.0, 1.0, 0.0]]))
    assert value == pytest.approx(-2 * np.log(0.12), abs=1e-5)


def test_a_label_that_nobody_thinks_of_still_has_a_gradient() -> None:
    scores = tf.constant([[[0.0, 30.0, 0.0]]])  # class 0 has a share of 1e-13
    with tf.GradientTape() as tape:
        tape.watch(scores)
        log_p = losses.ensemble_probabilities(scores, tf.ones([1, 1, 1]))
        value = losses.log_conferrability(log_p, log_p)[0, 0]
    # d log softmax_0 / dz = (1, -1, 0) up to e-13.
    np.testing.assert_allclose(tape.gradient(value, scores)[0, 0], [1, -1, 0], atol=1e-5)


def test_the_best_target_is_chosen_by_what_all_models_say() -> None:
    # (.6, .2, .2) * (1 - (.5, .4, .1)) = (.3, .12, .18): of classes 1 and 2 class 2 is best.
    surr, ref = log(SURR)[tf.newaxis], log(REF)[tf.newaxis]
    best = losses.conferred_best(tf.constant([[0.0, 1.0, 1.0]]), surr, ref)
    assert best.numpy().tolist() == [[0.0, 0.0, 1.0]]
    best = losses.conferred_best(tf.constant([[1.0, 1.0, 1.0]]), surr, ref)
    assert best.numpy().tolist() == [[1.0, 0.0, 0.0]]


def test_beta_term_rewards_leaving_the_clean_answer() -> None:
    # H(M(x0), M(x')) = -(.25 ln .5 + .5 ln .25 + .25 ln .25) = .173287 + .693147 + .346574
    # = 1.213008, with a minus sign.
    assert loss(alpha=0.0, gamma=0.0) == pytest.approx(-1.213008, abs=1e-5)


def test_gamma_term_keeps_surrogates_with_the_source() -> None:
    # H(M(x'), Surr) = -(.5 ln .6 + .25 ln .2 + .25 ln .2) = .255413 + .402359 + .402359 = 1.060132
    assert loss(alpha=0.0, beta=0.0) == pytest.approx(1.060132, abs=1e-5)


def test_weights_scale_their_terms() -> None:
    # 2 * 1.001438 - 3 * 1.213008 + 4 * 1.060132 = 2.604380
    assert loss(alpha=2.0, beta=3.0, gamma=4.0) == pytest.approx(2.604380, abs=1e-4)


def test_loss_and_gradient_stay_finite_when_everything_saturates() -> None:
    sure = tf.constant([[200.0, -200.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(sure)
        log_p = losses.ensemble_probabilities(sure[tf.newaxis], tf.ones([1, 1, 1]))
        value = losses.cem_loss(
            sure,
            tf.constant([[0.0, 1.0, 0.0]]),
            log_p,
            log_p,
            alpha=1.0,
            beta=1.0,
            gamma=1.0,
            exclude_clean=False,
        )
    assert np.isfinite(value.numpy()).all()
    assert np.isfinite(tape.gradient(value, sure).numpy()).all()


def test_output_dropout_drops_the_asked_share_and_scales_the_rest() -> None:
    mask = members.output_mask(tf.constant([20, 50, 10]), 0.3, tf.constant([1, 2])).numpy()
    assert set(np.unique(mask).round(5)) == {0.0, np.float32(1 / 0.7).round(5)}
    assert np.mean(mask == 0) == pytest.approx(0.3, abs=0.02)


def test_model_dropout_averages_the_models_that_stay() -> None:
    for number in range(50):
        mask = members.model_mask(tf.constant([4, 2, 3]), 0.9, tf.constant([0, number])).numpy()
        assert mask.shape == (4, 1, 1)
        assert mask.max() > 0  # one model always stays
        assert mask.mean() == pytest.approx(1.0)  # so that the mean over four is over the kept


@pytest.fixture(scope="module")
def models() -> Models:
    """A source, two noisy copies of it, and two strangers."""
    rng = np.random.default_rng(0)
    kernels = 4 * rng.normal(size=(3, 8, 4))
    copies = [kernels[0] + rng.normal(size=(8, 4)) for _ in range(2)]
    return Models(
        linear(kernels[0], shape=(2, 2, 2)),
        [helper(kernel, Origin.SURROGATE, shape=(2, 2, 2)) for kernel in copies],
        [helper(kernel, Origin.REFERENCE, shape=(2, 2, 2)) for kernel in kernels[1:]],
    )


@pytest.fixture(scope="module")
def images(models: Models) -> np.ndarray:
    return np.random.default_rng(0).random((6, *models.source.input_shape), np.float32)


FORMS = [
    cem.CEM(epsilon=0.1, steps=5, learning_rate=0.05),
    cem.CEM(epsilon=0.1, steps=5, learning_rate=0.05, beta=1.0, gamma=1.0, exclude_clean=False),
    cem.CEM(epsilon=0.1, steps=5, learning_rate=0.05, dropout_of="model", random_start=True),
    cem.CEM(epsilon=0.1, steps=5, learning_rate=0.05, members_per_step=1),
    cem.CEM(epsilon=0.1, steps=5, learning_rate=0.05, dropout=0.0, early_stop=True),
]


@pytest.mark.parametrize("method", FORMS, ids=str)
def test_stays_in_the_ball_and_the_box(method: cem.CEM, models: Models, images: np.ndarray) -> None:
    result = method(images, models, seed=0)
    assert result.shape == images.shape and result.dtype == np.float32
    assert np.abs(result - images).max() <= 0.1 + 1e-6
    assert result.min() >= 0.0 and result.max() <= 1.0
    assert np.abs(result - images).max() > 0.01  # and it moves


@pytest.mark.parametrize("method", FORMS, ids=str)
def test_the_seed_decides(method: cem.CEM, models: Models, images: np.ndarray) -> None:
    first = method(images, models, seed=0)
    np.testing.assert_array_equal(first, method(images, models, seed=0))
    if method.dropout:
        assert np.abs(first - method(images, models, seed=1)).max() > 0


def test_epsilon_zero_gives_the_images_back(models: Models, images: np.ndarray) -> None:
    result = cem.CEM(epsilon=0.0, steps=2)(images, models, seed=0)
    np.testing.assert_array_equal(result, images)


def test_the_loss_falls(models: Models, images: np.ndarray) -> None:
    seen: list[float] = []
    method = cem.CEM(epsilon=0.3, steps=40, learning_rate=0.02, dropout=0.0)
    method(images, models, seed=0, progress=lambda _d, _t, text: seen.append(float(text[5:])))
    assert len(seen) == 40
    assert seen[-1] < seen[0] - 0.05


def test_early_stop_keeps_an_example_where_it_was_judged(
    models: Models, images: np.ndarray
) -> None:
    everyone = [models.source, *models.surrogates]
    same = dataclasses.replace(models, surrogates=models.surrogates[:0])
    with pytest.raises(ValueError, match="at least one surrogate"):
        cem.CEM()(images, same, seed=0)
    method = cem.CEM(epsilon=1.0, steps=60, learning_rate=0.05, dropout=0.0, early_stop=True)
    result = method(images, models, seed=0)
    label = models.source.predict_labels(result)
    left = label != models.source.predict_labels(images)
    follow = np.all([m.predict_labels(result) == label for m in everyone], axis=0)
    differ = np.all([m.predict_labels(result) != label for m in models.references], axis=0)
    assert (left & follow & differ).any()


@pytest.mark.parametrize("changes", [{"epsilon": -0.1}, {"steps": 0}, {"dropout": 1.0}])
def test_bad_settings_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        cem.CEM(**changes)  # type: ignore[arg-type]


def test_a_step_draws_different_members_each_equally_often(models: Models) -> None:
    many = Models(models.source, models.surrogates * 4, models.references * 4)
    asked = cem.CEM(members_per_step=2)._asked(many)
    assert not asked.with_source and len(asked.everyone) == len(many.surrogates) * 2
    draws = np.array([asked._draw(tf.constant([5, number])).numpy() for number in range(400)])
    surrogates, references = draws[:, :2], draws[:, 2:]
    assert (surrogates[:, 0] != surrogates[:, 1]).all()
    count = len(many.surrogates)
    assert set(np.unique(surrogates)) == set(range(count))
    assert set(np.unique(references)) == set(range(count, 2 * count))
    assert np.bincount(surrogates.ravel()).min() > 0.6 * 800 / count


def test_the_drawn_members_answer_each_group_for_itself(models: Models, images: np.ndarray) -> None:
    asked = cem.CEM(members_per_step=1)._asked(models)
    seed, x = tf.constant([3, 1]), tf.constant(images)
    place, other = asked._draw(seed).numpy()
    _, surr, ref = asked.logits(x, seed)
    everyone = [*models.surrogates, *models.references]
    assert (len(surr), len(ref)) == (1, 1)
    np.testing.assert_allclose(surr[0], everyone[place](x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ref[0], everyone[other](x), rtol=1e-4, atol=1e-5)


def test_a_field_that_came_later_leaves_old_keys_as_they_are() -> None:
    later = {"members_per_step", "shift", "noise", "twins"}
    assert not later & set(_describe_fields(cem.CEM()))
    assert _describe_fields(cem.CEM(members_per_step=2))["members_per_step"] == 2


def test_as_many_members_as_there_are_give_what_all_give(
    models: Models, images: np.ndarray
) -> None:
    everyone = cem.CEM(epsilon=0.1, steps=3)
    count = len(models.surrogates)
    same = cem.CEM(epsilon=0.1, steps=3, members_per_step=count)
    np.testing.assert_array_equal(same(images, models, seed=1), everyone(images, models, seed=1))


def test_the_source_answers_only_where_the_loss_looks_at_it(models: Models) -> None:
    for method in (cem.CEM(beta=1.0), cem.CEM(gamma=1.0), cem.CEM(early_stop=True)):
        asked = method._asked(models)
        assert asked.with_source
        source, surr, ref = asked.logits(tf.zeros((2, *models.source.input_shape)), tf.zeros(2))
        assert source.shape[0] == 2
        assert (len(surr), len(ref)) == (len(models.surrogates), len(models.references))


def test_what_a_step_shows_is_each_image_moved_and_mirrored_at_its_edges() -> None:
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1) / 9
    seen = members.shown(tf.constant(np.repeat(image, 200, 0)), 1, 0.0, tf.constant([4, 2])).numpy()
    # Moved down and right by one: the first row and column come twice, the last are gone.
    corner = np.array([[0, 0, 1], [0, 0, 1], [3, 3, 4]], np.float32)[..., None] / 9
    found = {one.tobytes() for one in seen}
    assert len(found) == 9 and image[0].tobytes() in found and corner.tobytes() in found
    still = members.shown(tf.constant(image), 0, 0.0, tf.constant([4, 2]))
    np.testing.assert_array_equal(still, image)


def test_what_a_step_shows_has_the_noise_that_was_asked_for() -> None:
    x = tf.fill((50, 8, 8, 3), 0.5)
    first = members.shown(x, 0, 0.02, tf.constant([1, 0])).numpy()
    assert first.std() == pytest.approx(0.02, rel=0.05)
    assert first.mean() == pytest.approx(0.5, abs=0.001)
    assert (members.shown(x, 0, 0.02, tf.constant([1, 1])).numpy() != first).any()


def test_a_twin_is_a_member_of_its_own(models: Models, images: np.ndarray) -> None:
    asked = cem.CEM(twins=0.03)._asked(models)
    count = len(models.surrogates)
    assert (asked.surrogates, asked.references) == (2 * count, 2 * len(models.references))
    before = models.surrogates[0].weights_sha256
    _, surr, _ = asked.logits(tf.constant(images), tf.constant([0, 0]))
    near, far = surr[0] - surr[count], surr[0] - surr[1]
    assert 0 < float(tf.norm(near)) < float(tf.norm(far))
    assert models.surrogates[0].weights_sha256 == before


@pytest.mark.parametrize(("shift", "noise"), [(1, 0.0), (0, 0.01), (1, 0.01)])
def test_transforms_move_images_within_the_ball(
    models: Models, images: np.ndarray, shift: int, noise: float
) -> None:
    method = cem.CEM(epsilon=0.1, steps=4, learning_rate=0.05, shift=shift, noise=noise)
    made = method(images, models, seed=0)
    assert 0 < np.abs(made - images).max() <= 0.1 + 1e-6
    np.testing.assert_array_equal(made, method(images, models, seed=0))
