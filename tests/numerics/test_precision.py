import math

import pytest
import tensorflow as tf

from cemfp.numerics import precision


def current():
    return tf.keras.mixed_precision.global_policy().name


@pytest.fixture
def no_memory():
    precision._fastest.cache_clear()
    yield
    precision._fastest.cache_clear()


@pytest.mark.parametrize("name", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_name_is_taken_at_its_word(name, monkeypatch):
    monkeypatch.setattr(precision, "_seconds", None)
    monkeypatch.setattr(precision, "relative_error", lambda kind: 0.004)
    assert precision.choose(name) == name


def test_a_format_that_the_machine_cannot_compute_is_refused_and_never_chosen(
    no_memory, monkeypatch
):
    monkeypatch.setattr(precision, "relative_error", lambda kind: math.inf)
    monkeypatch.setattr(precision, "_seconds", None)
    assert precision.choose("auto") == "float32"
    assert precision.compute_type("auto") == tf.float32
    for ask, name in ((precision.choose, "mixed_bfloat16"), (precision.compute_type, "bfloat16")):
        with pytest.raises(ValueError, match="Received: bfloat16, which it cannot"):
            ask(name)


def test_the_error_of_a_format_is_that_of_its_digits():
    assert precision.relative_error("float32") == 0.0
    error = precision.relative_error("bfloat16")
    # Eight binary digits round by at most 2^-9 each time; a machine may refuse altogether.
    assert math.isinf(error) or 2**-11 < error < 2**-5


@pytest.mark.parametrize("name", ["bfloat16", "", "AUTO"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=f"auto, float32, mixed_bfloat16.*Received: '{name}'"):
        precision.choose(name)


@pytest.mark.parametrize(
    ("half_seconds", "gpus", "expected"),
    [
        (0.5, [], "mixed_bfloat16"),
        (0.95, [], "float32"),  # a gain of 5 % does not pay for the lost digits
        (2.0, [], "float32"),
        (0.5, ["GPU:0"], "mixed_float16"),
    ],
)
def test_the_probe_decides_and_is_asked_once(no_memory, monkeypatch, half_seconds, gpus, expected):
    asked = []

    def seconds(dtype):
        asked.append(dtype)
        return 1.0 if dtype == tf.float32 else half_seconds

    monkeypatch.setattr(precision, "relative_error", lambda kind: 0.004)
    monkeypatch.setattr(precision, "_seconds", seconds)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert precision.choose("auto") == precision.choose("auto") == expected
    assert asked == [tf.float32, tf.float16 if gpus else tf.bfloat16]


def test_the_real_probe_gives_a_policy_that_exists(no_memory):
    assert precision.choose("auto") in precision.POLICIES[1:]


def test_the_former_policy_comes_back_after_use_and_after_an_error():
    with precision.policy("mixed_bfloat16"):
        assert current() == "mixed_bfloat16"
        with precision.policy("float32"):
            assert current() == "float32"
        assert current() == "mixed_bfloat16"
    assert current() == "float32"
    with pytest.raises(RuntimeError, match="inside"), precision.policy("mixed_bfloat16"):
        raise RuntimeError("inside")
    assert current() == "float32"


def test_the_speed_is_the_probes_work_over_its_time(no_memory, monkeypatch):
    monkeypatch.setattr(precision, "_seconds", lambda dtype: 0.5)
    monkeypatch.setattr(precision.os, "cpu_count", lambda: 4)
    precision.speed.cache_clear()
    try:
        # Four convolutions of 64 images of 32 x 32 places, 9 * 16 * 16 multiplications each.
        assert precision.speed() == 4 * 2 * 64 * 32 * 32 * 9 * 16 * 16 / 0.5 / 4
    finally:
        precision.speed.cache_clear()
