"""Nets like a user's own, trained anew."""

import numpy as np
import tensorflow as tf

from cemfp.data import load
from cemfp.jobs.cost import forward_flops
from cemfp.jobs.train import Net
from cemfp.models.classifier import Classifier
from cemfp.training.from_scratch import Plan, train_classifier
from cemfp.training.recipe import Recipe

L = tf.keras.layers
RECIPE = Recipe(epochs=1, batch_size=64, learning_rate=0.05, flip=False, pad=0)


def own():
    """Grey levels in, a frozen body with seeds, a softmax."""
    normal = L.Normalization()
    normal.adapt(load("digits").train.images[:200].astype(np.float32))
    seeded = tf.keras.initializers.GlorotUniform(seed=1)
    body = tf.keras.Sequential([L.Conv2D(4, 3, kernel_initializer=seeded), L.BatchNormalization()])
    body.trainable = False
    layers = [tf.keras.Input((8, 8, 1)), normal, body, L.Flatten(), L.Dense(10, "softmax")]
    return Classifier.from_keras(tf.keras.Sequential(layers), scale=255.0)


def test_a_net_like_a_users_own_learns_and_is_saved(tmp_path):
    net, digits = Net.like(source := own()), load("digits")
    plan = Plan(net.name, dict(net.arguments), 1, "source", architecture=net.layers())
    made = train_classifier(plan, digits, RECIPE)
    # Convolution with bias, batch norm, head: mean and variance of the images are constants now.
    assert [w.shape for w in made.model.trainable_weights][2:4] == [(4,), (4,)]
    assert len(made.model.weights) == 8 and made.convention == source.convention
    assert made.config.training["test_accuracy"] > 0.5
    moved = [w.numpy() for w in made.model.weights if "moving_mean" in w.name]
    assert np.abs(moved[0]).max() > 0
    made.save(tmp_path)
    images = digits.test.images
    np.testing.assert_array_equal(
        Classifier.load(tmp_path).predict_labels(images), made.predict_labels(images)
    )
    # 6 x 6 places of 9 x 4 weights, and a head of 144 x 10; two operations each.
    assert forward_flops(net, "digits") == 2 * (36 * 36 + 1440)


def test_other_seeds_give_other_weights():
    net = Net.like(own())

    def fresh(seed):
        tf.keras.utils.set_random_seed(seed)
        return net.build((8, 8, 1), 10).get_weights()[0]

    assert np.array_equal(fresh(1), fresh(1)) and not np.array_equal(fresh(1), fresh(2))
