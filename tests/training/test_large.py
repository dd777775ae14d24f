"""Sets that are fed call by call: the same net, bit for bit, and no more memory than a call."""

import numpy as np
import pytest

from cemfp.training import loop
from tests.training.test_training import change, tiny_net


def weights(images, labels, recipe):
    return loop.train(tiny_net, images, labels, recipe, seed=3).get_weights()


@pytest.mark.parametrize("crop", [0, 6])
def test_feeding_gives_the_same_net(tmp_path, monkeypatch, crop):
    rng = np.random.default_rng(0)
    # More than one call in an epoch, and a shorter one at its end.
    count = 2 * (loop.STEPS_PER_CALL + 3)
    images = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, count)
    recipe = change(epochs=2, flip=True, pad=2, crop=crop, learning_rate=0.1)
    held = weights(images, labels, recipe)
    np.save(tmp_path / "x.npy", images)
    monkeypatch.setattr(loop, "LARGEST_HELD", 0)
    fed = weights(np.load(tmp_path / "x.npy", mmap_mode="r"), labels, recipe)
    assert all(np.array_equal(one, other) for one, other in zip(held, fed, strict=True))


def test_a_set_larger_than_what_may_be_held_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LARGEST_HELD", 1 << 20)
    shape = (4096, 128, 128, 3)  # 200 MB, of which a call takes 12; the net sees little of each
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, shape).flush()
    images = np.load(tmp_path / "x.npy", mmap_mode="r")
    recipe = change(epochs=1, batch_size=16, crop=8, full_size=0.0, learning_rate=0.01)
    labels, watched = np.zeros(len(images), np.int64), []

    def train(count):
        loop.train(
            tiny_net, images[:count], labels[:count], recipe, seed=0,
            watch=lambda *_: watched.append(anonymous()),
        )  # fmt: skip

    train(64)  # what TensorFlow keeps for itself
    before = max(watched)
    train(len(images))
    assert max(watched) - before < images.nbytes / 2


def anonymous():
    """Bytes of this process that no file backs."""
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    if "RssAnon" not in lines:
        pytest.skip("this system does not tell anonymous memory from a file's")
    return int(lines["RssAnon"].split()[0]) * 1024
