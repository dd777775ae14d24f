"""One contract for every net of the table, and each net's own facts."""

import numpy as np
import pytest
import tensorflow as tf

from cemfp.models.nets import NETS

SHAPE, CLASSES = (8, 8, 1), 5
TINY = {
    "resnet20": {"width": 4, "depth": 8},
    "resnet56": {"width": 4, "depth": 8},
    "densenet": {"width": 4, "depth": 10},
    "vgg16": {"width": 4},
    "vgg19": {"width": 4},
    "mobilenetv2": {"width": 4},
    "cnn1": {"width": 4},
}


def build(name, seed=0, **changes):
    tf.keras.utils.set_random_seed(seed)
    return NETS[name](SHAPE, CLASSES, **TINY[name] | changes)


# The published nets take large images only and have a file of their own, test_imagenet.py.
@pytest.fixture(params=[name for name in NETS if not name.startswith("imagenet-")])
def name(request):
    return request.param


def test_images_in_the_unit_range_give_finite_float32_logits_and_gradients(name):
    model = build(name)
    x = tf.constant(np.random.default_rng(0).random((3, *SHAPE)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = model(x, training=False)
        loss = tf.reduce_sum(tf.nn.log_softmax(logits)[:, 0])
    gradient = tape.gradient(loss, x).numpy()
    assert logits.dtype == tf.float32 and logits.shape == (3, CLASSES)
    assert np.isfinite(logits).all() and np.isfinite(gradient).all()
    assert np.abs(gradient).max(axis=(1, 2, 3)).min() > 0
    # Probabilities would sum to 1.
    assert not np.allclose(tf.reduce_sum(logits, axis=1), 1.0)


def test_logits_are_float32_in_mixed_precision(name):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = build(name)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert model.output.dtype == tf.float32
    assert model.layers[2].compute_dtype == "bfloat16"


@pytest.mark.slow
def test_the_seed_decides_the_weights(name):
    first, same, other = (build(name, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_image_side_may_stay_open(name):
    model = NETS[name]((None, None, 1), CLASSES, **TINY[name])
    assert model(np.zeros((2, 12, 12, 1), np.float32)).shape == (2, CLASSES)


def test_one_image_does_not_depend_on_its_batch(name):
    model = build(name)
    x = np.random.default_rng(0).random((4, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(model(x)[:1], model(x[:1]), atol=1e-5)


def test_resnet20_has_as_many_weights_as_worked_out_by_hand():
    # Convolutions are 3x3 without bias; a batch norm has 4 numbers per channel.
    # stem: 9*3*16 = 432, norm 64                                                   ->     496
    # 16 channels: 6 convolutions of 9*16*16 = 2,304, 6 norms of 64                 ->  14,208
    # 32 channels: 9*16*32 = 4,608, 5 of 9*32*32 = 9,216, 6 norms of 128,
    #              1x1 shortcut 512, norm 128                                       ->  52,096
    # 64 channels: 9*32*64 = 18,432, 5 of 9*64*64 = 36,864, 6 norms of 256,
    #              1x1 shortcut 2,048, norm 256                                     -> 206,592
    # head: 64*10 + 10                                                              ->     650
    by_hand = 496 + 14_208 + 52_096 + 206_592 + 650
    assert by_hand == 274_042
    assert NETS["resnet20"]((32, 32, 3), 10).count_params() == by_hand


def test_width_and_depth_of_a_resnet():
    def layers(kind, **arguments):
        model = NETS["resnet20"]((32, 32, 3), 10, **arguments)
        return [layer for layer in model.layers if isinstance(layer, kind)]

    def weighted(depth):
        convolutions = layers(tf.keras.layers.Conv2D, depth=depth, width=4)
        return 1 + sum(layer.kernel_size == (3, 3) for layer in convolutions)

    assert [weighted(depth) for depth in (8, 14, 20)] == [8, 14, 20]
    assert layers(tf.keras.layers.Conv2D, width=5)[-1].filters == 20


def test_a_resnet_halves_the_side_at_each_stage_and_adds_every_block_to_its_input():
    model = NETS["resnet20"]((32, 32, 3), 10, width=4, depth=14)
    sums = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.Add)]
    assert [layer.output_shape[1:] for layer in sums] == [
        *[(32, 32, 4)] * 2,
        *[(16, 16, 8)] * 2,
        *[(8, 8, 16)] * 2,
    ]


@pytest.mark.parametrize("arguments", [{"depth": 18}, {"depth": 2}, {"depth": 0}, {"width": 0}])
def test_a_resnet_of_impossible_size_is_refused(arguments):
    with pytest.raises(ValueError, match=r"expected depth 8, 14, 20.*Received"):
        NETS["resnet20"](SHAPE, CLASSES, **arguments)


@pytest.mark.parametrize("name", ["densenet", "vgg16", "vgg19", "mobilenetv2"])
@pytest.mark.parametrize("width", [0, -1])
def test_a_net_without_channels_is_refused(name, width):
    with pytest.raises(ValueError, match=f"expected .*width >= 1.*Received: .*width {width}"):
        NETS[name](SHAPE, CLASSES, width=width)


@pytest.mark.parametrize(("name", "depth"), [("densenet", 41), ("densenet", 4), ("vgg16", 13)])
def test_a_net_of_impossible_depth_is_refused(name, depth):
    with pytest.raises(ValueError, match=f"expected depth 1.*Received: depth {depth}"):
        NETS[name](SHAPE, CLASSES, depth=depth)


def test_resnet56_has_as_many_weights_as_worked_out_by_hand():
    # As ResNet20, with 18 convolutions in each stage in place of 6.
    # 16 channels: 18 * (2,304 + 64)                                                ->  42,624
    # 32 channels: 4,608 + 17 * 9,216 + 18 * 128, shortcut 512 + 128                -> 164,224
    # 64 channels: 18,432 + 17 * 36,864 + 18 * 256, shortcut 2,048 + 256            -> 652,032
    by_hand = 496 + 42_624 + 164_224 + 652_032 + 650
    assert NETS["resnet56"]((32, 32, 3), 10).count_params() == by_hand


def test_a_densenet_has_as_many_weights_as_worked_out_by_hand():
    # Growth 4, one layer a block; a layer: norm of its c channels, 1x1 to 16, norm, 3x3 to 4, which
    # is 4*c + 16*c + 64 + 9*16*4 = 20*c + 640.
    # stem: 9*1*8 = 72
    # block of  8 -> 12: 160 + 640 = 800; to half: norm 48, 1x1 12*6 = 72     ->   920
    # block of  6 -> 10: 120 + 640 = 760; to half: norm 40, 1x1 10*5 = 50     ->   850
    # block of  5 ->  9: 100 + 640 = 740; last norm 36                        ->   776
    # head: 9*5 + 5 = 50
    assert build("densenet").count_params() == 72 + 920 + 850 + 776 + 50


def test_vggs_have_as_many_weights_as_worked_out_by_hand():
    # Channels 2, 4, 8, 16, 16; a convolution with its norm: 9*from*to + 4*to.
    # (18 + 8) + (36 + 8) = 70; (72 + 16) + (144 + 16) = 248;
    # (288 + 32) + 2 * (576 + 32) = 1,536; (1,152 + 64) + 2 * (2,304 + 64) = 5,952;
    # 3 * (2,304 + 64) = 7,104; head 16*5 + 5 = 85
    by_hand = 70 + 248 + 1_536 + 5_952 + 7_104 + 85
    assert build("vgg16", width=2).count_params() == by_hand
    # One more in each of the last three stages.
    assert build("vgg19", width=2).count_params() == by_hand + 608 + 2 * 2_368


def test_a_mobilenet_has_as_many_weights_as_worked_out_by_hand():
    # Stem 2, stages 1, 1, 2, 4, 6, 10, 20, last 80 channels. A block from i to o with h = 6*i:
    # 1x1 i*h + 4*h, depthwise 9*h + 4*h, 1x1 h*o + 4*o, which is h*(i + o + 17) + 4*o.
    # stem: 9*2 + 8 = 26; stage 1, without the first 1x1: 2*13 + 2*1 + 4 = 32
    # 2: 2 * (6*19 + 4) = 236;             3: 6*20 + 8 + 2 * (12*21 + 8) = 648
    # 4: 12*23 + 16 + 3 * (24*25 + 16) = 2,140;  5: 24*27 + 24 + 2 * (36*29 + 24) = 2,808
    # 6: 36*33 + 40 + 2 * (60*37 + 40) = 5,748;  7: 60*47 + 80 = 2,900
    # last: 20*80 + 4*80 = 1,920; head: 80*5 + 5 = 405
    by_hand = 26 + 32 + 236 + 648 + 2_140 + 2_808 + 5_748 + 2_900 + 1_920 + 405
    assert build("mobilenetv2", width=2).count_params() == by_hand


@pytest.mark.parametrize(
    ("name", "sides"),
    [("densenet", (32, 16, 8)), ("vgg16", (32, 16, 8, 4, 2, 1)), ("mobilenetv2", (32, 16, 8, 4))],
)
def test_sides_of_the_maps_of_a_cifar_image(name, sides):
    model = NETS[name]((32, 32, 3), 10, **TINY[name])
    shapes = [layer.output_shape for layer in model.layers[1:]]
    assert tuple(dict.fromkeys(shape[1] for shape in shapes if len(shape) == 4)) == sides


def test_a_large_mobilenet_has_the_sides_of_the_original():
    # [Sandler18, Table 2]: 224 becomes 112 in the stem, then 56, 28, 14 and 7.
    model = NETS["mobilenetv2"]((224, 224, 3), 10, width=2, large=True)
    sides = {layer.output_shape[1] for layer in model.layers if len(layer.output_shape) == 4}
    assert sides - {224} == {112, 56, 28, 14, 7}
    assert model.count_params() == NETS["mobilenetv2"]((32, 32, 3), 10, width=2).count_params()


def test_a_mobilenet_adds_where_a_block_keeps_side_and_channels():
    model = NETS["mobilenetv2"]((32, 32, 3), 10, width=8)
    # All blocks of a stage but its first: 1 + 2 + 3 + 2 + 2.
    assert sum(isinstance(layer, tf.keras.layers.Add) for layer in model.layers) == 10


def test_with_group_norm_an_image_does_not_depend_on_its_batch_in_training_either():
    x = np.random.default_rng(0).random((4, *SHAPE)).astype(np.float32)

    def distance(**changes):
        model = build("resnet20", **changes)
        return np.abs(model(x, training=True)[:1] - model(x[:1], training=True)).max()

    assert distance(norm="group") < 1e-5 < 1e-2 < distance()
    groups = [
        layer.groups
        for layer in build("resnet20", norm="group").layers
        if isinstance(layer, tf.keras.layers.GroupNormalization)
    ]
    assert groups == [4] * 3 + [8] * 6  # of 4, 8 and 16 channels; two shortcuts


def test_batch_norm_is_the_default_and_another_norm_is_refused():
    default, named = build("resnet20"), build("resnet20", norm="batch")
    assert all(map(np.array_equal, default.get_weights(), named.get_weights()))
    with pytest.raises(ValueError, match=r"norm among batch, group. Received: 'layer'"):
        build("resnet20", norm="layer")


def test_preprocessing_maps_the_unit_range_to_minus_two_and_two():
    model = build("resnet20")
    scaled = tf.keras.Model(model.input, model.get_layer("preprocessing").output)
    x = np.full((1, *SHAPE), 0.75, np.float32)
    np.testing.assert_allclose(scaled(x), np.full_like(x, 1.0))


def test_no_one_by_one_convolution_has_strides(name):
    # TensorFlow's gradient of a narrow one is wrong on some processors, or ends the process.
    convolutions = [layer for layer in build(name).layers if type(layer) is tf.keras.layers.Conv2D]
    assert convolutions
    assert all(layer.kernel_size != (1, 1) or layer.strides == (1, 1) for layer in convolutions)


@pytest.mark.parametrize("side", [7, 8])
def test_a_resnets_shortcut_is_the_strided_convolution(side):
    tf.keras.utils.set_random_seed(0)
    model = NETS["resnet20"]((side, side, 1), CLASSES, width=4, depth=8)
    pools = [layer for layer in model.layers if type(layer) is tf.keras.layers.MaxPooling2D]
    assert len(pools) == 2
    for pool in pools:
        (convolution,) = [node.outbound_layer for node in pool.outbound_nodes]
        x = tf.random.stateless_normal((2, *pool.input_shape[1:]), (0, 1))
        strided = tf.nn.conv2d(x, convolution.kernel, 2, "SAME")
        np.testing.assert_allclose(convolution(pool(x)), strided, rtol=1e-4, atol=1e-5)
