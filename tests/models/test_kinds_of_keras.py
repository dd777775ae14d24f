"""Keras models as users have them: right as source, victim and suspect, or one clear line."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.data import Split, make_dataset
from cemfp.models.classifier import Classifier, ClassifierError
from cemfp.models.convention import Convention
from cemfp.removal import Thief, remove
from cemfp.removal.fine_tuning import FTAL
from cemfp.removal.quantization import Quantize
from cemfp.suspects import answer_labels, open_suspect
from cemfp.training.recipe import Recipe

L, SHAPE, CLASSES = tf.keras.layers, (12, 12, 3), 4
IMAGES = np.rint(np.random.default_rng(0).random((40, *SHAPE)) * 255).astype(np.float32) / 255


def stacked(*layers, head="softmax", units=CLASSES, inputs=None):
    x = inputs = tf.keras.Input(SHAPE) if inputs is None else inputs
    for layer in layers:
        x = layer(x)
    if len(x.shape) == 4:
        x = L.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, L.Dense(units, activation=head)(x))


def conv(width=6, **settings):
    return L.Conv2D(width, 3, **{"activation": "relu", "padding": "same"} | settings)


def residual():
    inputs = tf.keras.Input(SHAPE)
    x = conv()(inputs)
    joined = L.concatenate([L.add([x, conv()(x)]), x])
    return tf.keras.Model(inputs, L.Dense(CLASSES)(L.Flatten()(joined)))


def separate_softmax():
    bare = stacked(conv(), head=None)
    return tf.keras.Model(bare.inputs, L.Softmax()(bare.output))


def activation_layer():
    bare = stacked(conv(), head=None)
    return tf.keras.Model(bare.inputs, L.Activation("softmax")(bare.output))


def softmax_of_tensorflow():
    bare = stacked(conv(), head=None)
    return tf.keras.Model(bare.inputs, tf.nn.softmax(bare.output))


def nested():
    return tf.keras.Sequential([tf.keras.Input(SHAPE), L.Rescaling(2.0, -1.0), stacked(conv())])


def half_precision(name):
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        return stacked(conv(), L.BatchNormalization(), L.Flatten())
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)


def whole_numbers(dtype):
    inputs = tf.keras.Input(SHAPE, dtype=dtype)
    return stacked(L.Rescaling(1 / 255), conv(), inputs=inputs)


def attention():
    inputs = tf.keras.Input(SHAPE)
    x = L.Reshape((36, 12))(L.Conv2D(12, 2, 2)(inputs))
    x = L.LayerNormalization()(L.MultiHeadAttention(2, 6)(x, x) + x)
    return tf.keras.Model(inputs, L.Dense(CLASSES, "softmax")(L.GlobalAveragePooling1D()(x)))


def squeeze_and_excite():
    def gate(x):
        weights = L.Dense(6, "sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
        return x * weights

    return stacked(conv(), gate, conv())


KINDS = {
    "logits": lambda: stacked(conv(), head=None),
    "softmax": lambda: stacked(conv()),
    "sigmoid for each class": lambda: stacked(conv(), head="sigmoid"),
    "softmax layer": separate_softmax,
    "activation layer": activation_layer,
    "softmax of TensorFlow": softmax_of_tensorflow,
    "two classes": lambda: stacked(conv(), units=2),
    "sequential": lambda: tf.keras.Sequential(
        [tf.keras.Input(SHAPE), conv(), L.MaxPooling2D(), L.Flatten(), L.Dense(CLASSES, "softmax")]
    ),
    "nested": nested,
    "rescaling": lambda: stacked(L.Rescaling(1 / 127.5, -1), conv()),
    "normalization": lambda: stacked(L.Normalization(mean=[0.5] * 3, variance=[0.1] * 3), conv()),
    "augmentation": lambda: stacked(L.RandomFlip(), L.RandomRotation(0.1), conv()),
    "batch norm": lambda: stacked(conv(), L.BatchNormalization(), L.ReLU(), conv()),
    "batch norm without scale": lambda: stacked(conv(), L.BatchNormalization(scale=False)),
    "group norm": lambda: stacked(conv(), L.GroupNormalization(2)),
    "layer norm": lambda: stacked(conv(), L.LayerNormalization()),
    "dropout": lambda: stacked(conv(), L.Dropout(0.5), L.SpatialDropout2D(0.5)),
    "residual": residual,
    "depthwise": lambda: stacked(L.DepthwiseConv2D(3), L.SeparableConv2D(6, 3), conv()),
    "odd strides and dilation": lambda: stacked(
        conv(strides=3, padding="valid"), conv(dilation_rate=2), conv(16)
    ),
    "other activations": lambda: stacked(
        conv(activation="swish"), L.LeakyReLU(), L.PReLU(), conv(activation="gelu"), L.ELU()
    ),
    "relu6": lambda: stacked(conv(activation=None), L.ReLU(6.0)),
    "squeeze and excite": squeeze_and_excite,
    "attention": attention,
    "transposed": lambda: stacked(conv(), L.Conv2DTranspose(6, 3, 2), L.UpSampling2D()),
    "mixed float16": lambda: half_precision("mixed_float16"),
    "mixed bfloat16": lambda: half_precision("mixed_bfloat16"),
    "uint8 input": lambda: whole_numbers("uint8"),
    "int32 input": lambda: whole_numbers("int32"),
    "float16 input": lambda: stacked(conv(), inputs=tf.keras.Input(SHAPE, dtype="float16")),
    "no bias": lambda: stacked(conv(use_bias=False), L.Flatten()),
}
ONE_EPOCH = Recipe(epochs=1, batch_size=20, flip=False, pad=0, precision="float32")
GREY = {"uint8 input", "int32 input", "rescaling"}


@pytest.fixture(scope="module", params=KINDS)
def kind(request, tmp_path_factory):
    """Name, file, the model's own answers, and the convention that it wants."""
    tf.keras.utils.set_random_seed(1)
    model = KINDS[request.param]()
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            w + np.asarray(0.1 * rng.random(w.shape), w.dtype) if w.dtype.kind == "f" else w
            for w in model.get_weights()
        ]
    )
    path = tmp_path_factory.mktemp("keras") / "own.keras"
    model.save(path)
    scale = 255.0 if request.param in GREY else 1.0
    wanted = IMAGES * scale
    if request.param.startswith(("uint8", "int32")):
        wanted = np.rint(wanted).astype(request.param.split()[0])
    scores = np.asarray(model(wanted, training=False), np.float32)
    return request.param, path, scores, scale


def close_calls(name, scores):
    """Where the two best classes are so close that rounding decides."""
    top = np.sort(scores, axis=1)
    # Numbers of 8 bits, which a processor that has them rounds in another way when it is compiled:
    # probabilities then differ by up to 0.03.
    share = 2e-1 if "bfloat16" in name else 1e-2
    return top[:, -1] - top[:, -2] < share * (np.abs(top[:, -1]) + 1e-3)


def test_as_a_source(kind):
    name, path, scores, scale = kind
    source = Classifier.from_keras(path, scale=scale)
    labels = source.predict_labels(IMAGES)
    clear = ~close_calls(name, scores)
    np.testing.assert_array_equal(labels[clear], scores.argmax(axis=1)[clear])
    logits = source.predict_logits(IMAGES)
    assert logits.dtype == np.float32 and np.isfinite(logits).all()
    # What leads to these logits can be followed back to the pixels: attacks need it.
    pixels = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        loss = tf.reduce_sum(source(pixels)[:, 0])
    gradient = tape.gradient(loss, pixels)
    assert gradient is not None and float(tf.reduce_max(tf.abs(gradient))) > 0, name


def test_soft_labels_are_those_of_a_softmax(kind):
    """One sigmoid for each class is no logit: its softmax would be nearly flat."""
    name, path, _, scale = kind
    logits = Classifier.from_keras(path, scale=scale).predict_logits(IMAGES)
    if name == "sigmoid for each class":
        assert logits.min() < 0 or logits.max() > 1
    if name == "softmax":
        model = tf.keras.models.load_model(path, compile=False)
        probabilities = tf.nn.softmax(logits).numpy()
        np.testing.assert_allclose(probabilities, model(IMAGES).numpy(), atol=1e-5)


def test_as_one_of_an_ensemble(kind):
    """However much of it is folded, the ensemble computes the model's own logits."""
    from cemfp.ensemble.ensemble import Ensemble

    _, path, _, scale = kind
    source = Classifier.from_keras(path, scale=scale)
    ours = Ensemble([source], precision="float32").logits(tf.constant(IMAGES))[0].numpy()
    theirs = source.predict_logits(IMAGES)
    # Half precision rounds each layer otherwise.
    bound = 3e-2 if "mixed" in path.read_bytes().decode("latin1") else 1e-3
    np.testing.assert_allclose(ours, theirs, atol=bound * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("kind", ["uint8 input", "attention"], indirect=True)
def test_as_a_suspect(kind):
    """Opened in a sandbox, by the same reader: some kinds stand for all."""
    name, path, scores, scale = kind
    classes = scores.shape[1]
    suspect = open_suspect(
        str(path), input_shape=SHAPE, classes=classes, convention=Convention(scale)
    )
    clear = ~close_calls(name, scores)
    labels = answer_labels(suspect, IMAGES, classes)
    np.testing.assert_array_equal(labels[clear], scores.argmax(axis=1)[clear])


def robbed(path, scale, attack, recipe):
    """What one attack makes of the user's own file, and the file's model after it."""
    victim = Classifier.from_keras(path, scale=scale).with_role("source", "source")
    names = tuple(map(str, range(victim.classes)))
    labels = np.arange(len(IMAGES)) % victim.classes
    parts = Split(IMAGES, labels), Split(IMAGES[:8], labels[:8])
    dataset = make_dataset("noise", *parts, names)
    before = victim.weights_sha256
    removal = remove(attack, Thief(victim, dataset, recipe, seed=0, images=dataset.train))
    assert victim.weights_sha256 == before
    return removal


def test_as_a_victim_that_is_quantized(kind):
    """The attack that trains nothing: every weight at 8 bits, the answers nearly the same."""
    name, path, scores, scale = kind
    removal = robbed(path, scale, Quantize(), ONE_EPOCH)
    labels = removal.classifier.predict_labels(IMAGES)
    assert (labels == scores.argmax(axis=1)).mean() >= 0.8, name


@pytest.mark.slow
def test_as_a_victim_that_is_trained_further(kind):
    name, path, _, scale = kind
    removal = robbed(path, scale, FTAL(), ONE_EPOCH)
    tuned, before = removal.classifier, Classifier.from_keras(path, scale=scale)
    assert np.isfinite(tuned.predict_logits(IMAGES)).all(), name
    assert tuned.weights_sha256 != before.weights_sha256, name
    for new, old in zip(tuned.model.weights, before.model.weights, strict=True):
        assert new.shape == old.shape, name


def test_norms_that_are_called_in_training_mode_are_not_folded():
    """They use the batch's own statistics, whatever the mode; folding took the stored ones."""
    from cemfp.ensemble.ensemble import Ensemble

    inputs = tf.keras.Input(SHAPE)
    x = L.BatchNormalization()(conv()(inputs), training=True)
    model = tf.keras.Model(inputs, L.Dense(CLASSES)(L.GlobalAveragePooling2D()(x)))
    source = Classifier.from_keras(model)
    ours = Ensemble([source], precision="float32").logits(tf.constant(IMAGES))[0].numpy()
    np.testing.assert_allclose(ours, source.predict_logits(IMAGES), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stacked(conv(), head="sigmoid", units=1), "at least two output units"),
        (lambda: stacked(conv(), inputs=tf.keras.Input((None, None, 3))), "fixed input size"),
        (lambda: tf.keras.Sequential([L.Flatten(), L.Dense(3)]), "never built"),
        (
            lambda: tf.keras.Model(
                (x := tf.keras.Input(SHAPE)), [L.Flatten()(x), L.Dense(3)(L.Flatten()(x))]
            ),
            "several inputs or outputs",
        ),
        (lambda: tf.keras.Model((x := tf.keras.Input((9,))), L.Dense(3)(x)), "from images"),
        (lambda: tf.keras.Model((x := tf.keras.Input(SHAPE)), conv()(x)), "from images"),
    ],
)
def test_what_is_no_classifier_of_images_is_one_line(make, message):
    with pytest.raises(ClassifierError, match=message) as caught:
        Classifier.from_keras(make())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layer", ["lambda", "custom"])
def test_code_in_a_file_is_refused_with_a_way_out(layer, tmp_path):
    class Own(L.Layer):
        def call(self, x):
            return 2 * x

    inputs = tf.keras.Input(SHAPE)
    x = (L.Lambda(lambda x: 2 * x) if layer == "lambda" else Own())(inputs)
    tf.keras.Model(inputs, L.Dense(3)(L.Flatten()(x))).save(tmp_path / "own.keras")
    with pytest.raises(ClassifierError, match=r"pass Classifier.from_keras\(model\) on"):
        Classifier.from_keras(tmp_path / "own.keras")


def test_a_net_that_answers_nan_is_named():
    model = stacked(conv())
    model.set_weights([w * np.nan for w in model.get_weights()])
    with pytest.raises(ClassifierError, match=r"the Keras model\. Received: NaN for 40 of 40"):
        Classifier.from_keras(model).predict_labels(IMAGES)
