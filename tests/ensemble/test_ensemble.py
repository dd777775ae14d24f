"""The ensemble against the plain Keras models it was made from."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from cemfp.ensemble import steps
from cemfp.ensemble.ensemble import Ensemble, EnsembleError, number_format
from cemfp.ensemble.folding import fold
from cemfp.models.classifier import Classifier, ClassifierConfig
from cemfp.models.nets import NETS

SHAPE, CLASSES = (8, 8, 3), 4
LAYERS = tf.keras.layers


def images(n: int = 3, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).uniform(size=(n, *SHAPE)), tf.float32)


def randomised(model: tf.keras.Model, seed: int) -> tf.keras.Model:
    """Give every weight a random value: batch norm as built (1, 0, 0, 1) hides a wrong folding."""
    rng = np.random.default_rng(seed)
    weights = []
    for weight in model.weights:
        value = rng.normal(size=weight.shape) / np.sqrt(max(1, np.prod(weight.shape[:-1])))
        if "variance" in weight.name or "gamma" in weight.name:
            value = rng.uniform(0.5, 1.5, weight.shape)
        weights.append(value.astype(np.float32))
    model.set_weights(weights)
    return model


def classifier(model: tf.keras.Model, seed: int = 0) -> Classifier:
    return Classifier(randomised(model, seed), ClassifierConfig("keras", SHAPE, CLASSES))


def resnet(seed: int, **arguments: int) -> Classifier:
    return classifier(
        NETS["resnet20"](SHAPE, CLASSES, **{"width": 4, "depth": 8} | arguments), seed
    )


def functional(layers: list[tf.keras.layers.Layer]) -> tf.keras.Model:
    inputs = x = tf.keras.Input(SHAPE)
    for layer in layers:
        x = layer(x)
    return tf.keras.Model(inputs, x)


def mobile() -> tf.keras.Model:
    """Padding, strides, a depthwise convolution and ReLU6, as in MobileNet."""
    return functional(
        [
            LAYERS.Rescaling(2.0, offset=-1.0),
            LAYERS.ZeroPadding2D(((0, 1), (1, 2))),
            LAYERS.Conv2D(5, 3, strides=2, padding="valid"),
            LAYERS.BatchNormalization(),
            LAYERS.ReLU(6.0),
            LAYERS.DepthwiseConv2D(3, padding="same", use_bias=False, depth_multiplier=2),
            LAYERS.BatchNormalization(scale=False),
            LAYERS.Activation("relu"),
            LAYERS.Conv2D(6, 1, activation="relu"),
            LAYERS.GlobalAveragePooling2D(),
            LAYERS.Dense(CLASSES),
        ]
    )


def vgg() -> tf.keras.Model:
    """Sequential; batch norm behind an activation and behind a dense layer, pooling, dropout."""
    return tf.keras.Sequential(
        [
            tf.keras.Input(SHAPE),
            LAYERS.Conv2D(4, 3, padding="same", activation="relu"),
            LAYERS.BatchNormalization(),
            LAYERS.MaxPooling2D(),
            LAYERS.Conv2D(6, (2, 3), padding="same"),
            LAYERS.BatchNormalization(center=False),
            LAYERS.ReLU(),
            LAYERS.AveragePooling2D(3, strides=2, padding="same"),
            LAYERS.Flatten(),
            LAYERS.Dense(7),
            LAYERS.BatchNormalization(),
            LAYERS.Activation("relu"),
            LAYERS.Dropout(0.5),
            LAYERS.Dense(CLASSES),
        ]
    )


def dense_blocks() -> tf.keras.Model:
    """Batch norm first, concatenation, and a convolution that must stay: it has two readers."""
    inputs = tf.keras.Input(SHAPE)
    x = LAYERS.Conv2D(4, 3, padding="same")(inputs)
    for _ in range(2):
        y = LAYERS.ReLU()(LAYERS.BatchNormalization()(x))
        y = LAYERS.Conv2D(3, 3, padding="same", use_bias=False)(y)
        x = LAYERS.Concatenate()([x, y])
    x = LAYERS.Add()([x, x, x])
    x = LAYERS.GlobalAveragePooling2D(keepdims=True)(LAYERS.ReLU()(x))
    return tf.keras.Model(inputs, LAYERS.Dense(CLASSES)(LAYERS.Flatten()(x)))


BUILDERS = {
    "resnet": lambda: NETS["resnet20"](SHAPE, CLASSES, width=4, depth=8),
    "mobile": mobile,
    "vgg": vgg,
    "dense_blocks": dense_blocks,
}


def gradient(function, x: tf.Tensor) -> np.ndarray:
    """Gradient of a loss that couples the members: the log of their mean probability."""

    @tf.function
    def compiled(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.math.log(tf.reduce_mean(tf.nn.softmax(function(x)), 0))[:, 0])
        return tape.gradient(loss, x)

    return compiled(x).numpy()


def plain(classifiers: list[Classifier]):
    return lambda x: tf.stack([one(x) for one in classifiers])


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("recompute", [False, True])
def test_equals_the_keras_models(name: str, recompute: bool) -> None:
    members = [classifier(BUILDERS[name](), seed) for seed in (1, 2)]
    ensemble = Ensemble(members, precision="float32", recompute=recompute)
    assert not ensemble.singles and len(ensemble.groups) == 1
    x = images()
    np.testing.assert_allclose(ensemble.logits(x), plain(members)(x), rtol=1e-4, atol=1e-4)
    expected = gradient(plain(members), x)
    np.testing.assert_allclose(
        gradient(ensemble.logits, x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )


def test_batch_norm_is_gone_after_a_convolution_and_kept_where_it_cannot_go() -> None:
    folded = fold(NETS["resnet20"](SHAPE, CLASSES, width=4, depth=8))
    assert folded is not None
    # The one that remains is the net's own scaling of [0, 1], which has no convolution before it.
    assert [step.kind for step in folded.program].count("affine") == 1
    folded = fold(dense_blocks())
    assert folded is not None
    assert [step.kind for step in folded.program].count("affine") == 2


def test_members_keep_their_order_across_groups_and_fallbacks() -> None:
    odd = functional(
        [LAYERS.Conv2D(3, 3, activation="tanh"), LAYERS.Flatten(), LAYERS.Dense(CLASSES)]
    )
    members = [resnet(1), classifier(vgg(), 2), classifier(odd, 3), resnet(4), resnet(5, width=2)]
    ensemble = Ensemble(members, precision="float32")
    assert [group.places for group in ensemble.groups] == [(0, 3), (1,), (4,)]
    assert [place for place, _ in ensemble.singles] == [2]
    assert len(ensemble) == 5
    x = images()
    np.testing.assert_allclose(ensemble.logits(x), plain(members)(x), rtol=1e-4, atol=1e-4)
    expected = gradient(plain(members), x)
    np.testing.assert_allclose(
        gradient(ensemble.logits, x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )


def test_a_subclassed_model_falls_back(bfloat16: float) -> None:
    class Own(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.head = LAYERS.Dense(CLASSES)

        def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
            return self.head(tf.reduce_mean(x, [1, 2]))

    model = Own()
    model.build((None, *SHAPE))
    member = Classifier(model, ClassifierConfig("keras", SHAPE, CLASSES))
    ensemble = Ensemble([member], precision="bfloat16")
    assert not ensemble.groups
    np.testing.assert_allclose(ensemble.logits(images())[0], member(images()), rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        LAYERS.Conv2D(3, 3, dilation_rate=2),
        LAYERS.Conv2D(3, 3, groups=3),
        LAYERS.ReLU(negative_slope=0.1),
        LAYERS.LeakyReLU(),
        LAYERS.BatchNormalization(axis=1),
        LAYERS.Lambda(lambda x: x * x),
    ],
    ids=lambda layer: layer.name,
)
def test_what_no_step_describes_is_not_folded(layer: tf.keras.layers.Layer) -> None:
    assert fold(functional([layer, LAYERS.Flatten(), LAYERS.Dense(CLASSES)])) is None


def test_a_users_model_with_scaling_and_a_softmax_is_folded() -> None:
    inner = functional(
        [LAYERS.Conv2D(4, 3, activation="relu"), LAYERS.Flatten(), LAYERS.Dense(CLASSES, "softmax")]
    )
    member = Classifier.from_keras(randomised(inner, 1), scale=255.0, offset=-127.5)
    ensemble = Ensemble([member], precision="float32")
    assert len(ensemble.groups) == 1
    expected = member(images())
    np.testing.assert_allclose(ensemble.logits(images())[0], expected, rtol=1e-4, atol=1e-3)


def test_bfloat16_points_where_float32_points(bfloat16: float) -> None:
    members = [resnet(seed) for seed in range(3)]
    x = images(8)
    ensemble = Ensemble(members, precision="bfloat16")
    assert ensemble.logits(x).dtype == tf.float32
    low, high = gradient(ensemble.logits, x).ravel(), gradient(plain(members), x).ravel()
    cosine = low @ high / np.linalg.norm(low) / np.linalg.norm(high)
    # At worst each of twenty layers turns the gradient by the format's error, there and back.
    assert np.arccos(min(cosine, 1.0)) < 40 * bfloat16


def test_the_head_stays_in_float32() -> None:
    folded = fold(NETS["resnet20"](SHAPE, CLASSES, width=4, depth=8))
    assert folded is not None
    kinds = ["image", *(step.kind for step in folded.program)]
    by_kind = dict(zip(kinds, steps.types(folded.program, tf.bfloat16), strict=True))
    assert by_kind["image"] == by_kind["affine"] == by_kind["dense"] == tf.float32
    assert by_kind["convolution"] == by_kind["relu"] == by_kind["add"] == tf.bfloat16


def test_graph_does_not_grow_with_the_members() -> None:
    def nodes(count: int) -> int:
        ensemble = Ensemble([resnet(seed) for seed in range(count)], precision="float32")
        function = tf.function(lambda x: tf.gradients(ensemble.logits(x), x))
        definition = function.get_concrete_function(images()).graph.as_graph_def()
        return len(definition.node) + sum(len(f.node_def) for f in definition.library.function)

    assert nodes(2) == nodes(5)


def test_gradient_of_some_members_and_outside_a_compiled_function() -> None:
    members = [resnet(seed) for seed in range(3)]
    ensemble = Ensemble(members, precision="float32")
    x = images()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        some = tf.reduce_sum(tf.gather(ensemble.logits(x), [2, 0])[:, :, 1])
        expected = tf.reduce_sum(members[0](x)[:, 1] + members[2](x)[:, 1])
    np.testing.assert_allclose(
        tape.gradient(some, x), tape.gradient(expected, x), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("chosen", [[4, 0], [2], [1, 2, 3, 0, 4], [3, 2]])
@pytest.mark.parametrize("recompute", [False, True])
def test_some_members_answer_in_the_order_asked(chosen: list[int], recompute: bool) -> None:
    odd = functional(
        [LAYERS.Conv2D(3, 3, activation="tanh"), LAYERS.Flatten(), LAYERS.Dense(CLASSES)]
    )
    members = [resnet(1), classifier(vgg(), 2), classifier(odd, 3), resnet(4), resnet(5, width=2)]
    ensemble = Ensemble(members, precision="float32", recompute=recompute)
    x = images()
    some, asked = plain([members[place] for place in chosen]), tf.constant(chosen)
    np.testing.assert_allclose(ensemble.logits(x, asked), some(x), rtol=1e-4, atol=1e-4)
    expected = gradient(some, x)
    np.testing.assert_allclose(
        gradient(lambda x: ensemble.logits(x, asked), x),
        expected,
        rtol=1e-4,
        atol=1e-4 * np.abs(expected).max(),
    )


def test_members_are_frozen() -> None:
    member = resnet(1)
    before = [weight.copy() for weight in member.model.get_weights()]
    ensemble = Ensemble([member], precision="float32")
    first = ensemble.logits(images()).numpy()
    gradient(ensemble.logits, images())
    for weight, old in zip(member.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    member.model.set_weights([np.zeros_like(weight) for weight in before])
    np.testing.assert_array_equal(ensemble.logits(images()), first)


def test_the_number_format_is_that_of_the_convolutions(bfloat16: float) -> None:
    del bfloat16
    dense = Classifier(
        functional([LAYERS.Flatten(), LAYERS.Dense(CLASSES)]),
        ClassifierConfig("keras", SHAPE, CLASSES),
    )
    for members, expected in (([resnet(1)], "bfloat16"), ([dense, resnet(1)], "bfloat16")):
        assert number_format(members, "bfloat16") == expected
        types = {
            kind.name
            for group in Ensemble(members, precision="bfloat16").groups
            for kind in group.dtypes
        }
        assert expected in types
    # Nothing in it has a format that could be chosen.
    assert number_format([dense], "bfloat16") == "float32"
    assert number_format([resnet(1)], "float32") == "float32"


def test_bad_use() -> None:
    with pytest.raises(EnsembleError, match="Received: none"):
        Ensemble([])
    other = Classifier(
        NETS["resnet20"](SHAPE, 7, width=2, depth=8), ClassifierConfig("keras", SHAPE, 7)
    )
    with pytest.raises(EnsembleError, match="one input shape and number of classes"):
        Ensemble([resnet(1), other])
    with pytest.raises(ValueError, match="float16"):
        Ensemble([resnet(1)], precision="float16")
