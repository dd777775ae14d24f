"""One contract for every data set; files that are missing; the pieces data sets are made of."""

import hashlib
import urllib.error

import numpy as np
import pytest

from cemfp import data
from cemfp.data import DATASETS, DataError, Split, make_dataset, subset
from cemfp.data.download import data_directory
from cemfp.data.variants import VARIANTS

DIGITS_SHA256 = "993be00209da4d16abfb818720296d42406a6d34444f76369388a3b198f59dc8"


TFDS_NAMES = {
    "cifar10": "cifar10",
    **{f"cifar10-{variant}": "cifar10" for variant in VARIANTS},
    "imagenet32": "imagenet_resized/32x32",
    "imagenet32-100": "imagenet_resized/32x32",
    "imagenet224": "imagenet2012",
}


def require(name):
    """Skip the test unless the set is on this machine."""
    import tensorflow_datasets as tfds

    if name in TFDS_NAMES and not tfds.builder(TFDS_NAMES[name]).is_prepared():
        pytest.skip(f"{name} is not in the TFDS data directory; set TFDS_DATA_DIR")
    places = [data_directory() / place for place in ("CINIC-10", "CINIC-10.tar.gz")]
    if name == "cinic10" and not any(place.exists() for place in places):
        pytest.skip("CINIC-10 is not in the data directory; set CEMFP_DATA_DIR")


# One variant stands for all: `test_variants.py` has what tells them apart.
SETS = [name for name in DATASETS if "-" not in name or name in ("digits-turned", "imagenet32-100")]


@pytest.fixture(params=[*SETS, "cifar10-noise1"], scope="module")
def dataset(request):
    require(request.param)
    return data.load(request.param)


def test_contract(dataset):
    for split in (dataset.train, dataset.test):
        assert split.images.shape[1:] == dataset.input_shape and split.images.ndim == 4
        assert split.labels.dtype == np.int64 and split.labels.shape == (len(split.images),)
        present = np.unique(split.labels)
        # The part of ImageNet's validation images lacks a few of the thousand classes.
        if dataset.provenance.name != "imagenet224":
            assert np.array_equal(present, np.arange(len(dataset.classes)))
        assert present[0] >= 0 and present[-1] < len(dataset.classes)
        some = split.take(np.arange(500)).floats()
        assert some.dtype == np.float32 and some.min() == 0.0 and some.max() == 1.0
    provenance = dataset.provenance
    assert provenance.name in DATASETS and len(provenance.sha256) == 64
    sizes = (len(dataset.train), len(dataset.test))
    assert (provenance.train_size, provenance.test_size) == sizes


def test_training_and_test_images_are_disjoint(dataset):
    def hashes(split):
        return {hashlib.sha256(image.tobytes()).digest() for image in split.images}

    # ImageNet has some pictures twice.
    bound = 0 if dataset.provenance.name in ("digits", "cifar10") else 0.01 * len(dataset.test)
    assert len(hashes(dataset.train) & hashes(dataset.test)) <= bound


def test_digits():
    digits = data.load("digits")
    assert digits.input_shape == (8, 8, 1) and digits.classes == tuple("0123456789")
    assert (len(digits.train), len(digits.test)) == (1200, 597)
    assert digits.provenance.stand_in and "stand in" in digits.provenance.note
    # Grey levels 0..16: every pixel is a sixteenth, exactly.
    assert np.array_equal(digits.train.images * 16, np.round(digits.train.images * 16))
    # Changes with the split, the order, a type or a pixel: whatever was trained on it is then void.
    assert digits.provenance.sha256 == DIGITS_SHA256


def test_cifar10():
    require("cifar10")
    cifar10 = data.load("cifar10")
    assert cifar10.input_shape == (32, 32, 3) and cifar10.train.images.dtype == np.uint8
    assert (len(cifar10.train), len(cifar10.test)) == (50_000, 10_000)
    assert np.bincount(cifar10.test.labels).tolist() == [1000] * 10
    assert not cifar10.provenance.stand_in


def test_missing_files_without_a_network_say_so_in_one_line(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def offline(request, timeout):
        asked.append(request.full_url)
        raise urllib.error.URLError("no network")

    def download(*args, **kwargs):
        raise AssertionError("TFDS must not be asked: it retries for minutes")

    asked = []
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", download)
    with pytest.raises(DataError) as caught:
        DATASETS["cifar10"]()
    message = str(caught.value)
    assert "\n" not in message and "no network" in message and "TFDS_DATA_DIR" in message
    assert len(asked) == 1


def test_a_failed_download_is_the_same_error(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class Reply:
        def close(self):
            pass

    def download(*args, **kwargs):
        raise RuntimeError("checksum differs\nsecond line")

    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda request, timeout: Reply())
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", download)
    with pytest.raises(DataError, match=r"could not be downloaded \(checksum differs\)"):
        DATASETS["cifar10"]()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(DataError, match=r"digits-turned, cifar10, cinic10, .*Received: 'mnist'"):
        data.load("mnist")


def small_split(count=6, dtype=np.uint8):
    images = np.arange(count, dtype=dtype).reshape(count, 1, 1, 1)
    return Split(images, np.arange(count, dtype=np.int64))


def test_eight_bit_images_become_floats():
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    floats = Split(images, np.zeros(3, np.int64)).floats()
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats.ravel(), np.float32([0, 0.2, 1]))


def test_take_keeps_the_order_and_images_with_their_labels():
    taken = small_split().take(np.array([4, 0]))
    assert taken.images.ravel().tolist() == taken.labels.tolist() == [4, 0]


def test_a_sample_is_drawn_without_replacement_and_decided_by_its_seed():
    split = small_split(100)
    first, same, other = (split.sample(50, seed=seed).labels for seed in (1, 1, 2))
    assert len(set(first.tolist())) == 50
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    assert sorted(split.sample(100, seed=0).labels.tolist()) == list(range(100))


@pytest.mark.parametrize("count", [0, -1, 7])
def test_an_impossible_sample_is_refused(count):
    with pytest.raises(DataError, match=f"sample of 1 to 6 images. Received: {count}"):
        small_split().sample(count, seed=0)


def test_images_and_labels_of_different_number_are_refused():
    with pytest.raises(DataError, match="as many labels"):
        Split(np.zeros((3, 2, 2, 1)), np.zeros(2, np.int64))
    with pytest.raises(DataError, match="as many labels"):
        Split(np.zeros((3, 2, 2)), np.zeros(3, np.int64))


def test_the_content_hash_sees_pixels_labels_types_and_splits():
    def sha256(train, test):
        return make_dataset("x", train, test, ("a",)).provenance.sha256

    split = small_split()
    pixel = Split(split.images.copy(), split.labels)
    pixel.images[5] = 9
    label = Split(split.images, split.labels[::-1])
    hashes = [
        sha256(*pair)
        for pair in (
            (split, split),
            (pixel, split),
            (split, pixel),
            (label, split),
            (small_split(dtype=np.float32), split),
            (split, small_split(5)),
        )
    ]
    assert len(set(hashes)) == len(hashes)
    assert hashes[0] == sha256(small_split(), small_split())


def three_classes(note=""):
    """Images that carry their old label: a, b, c, a, b, c to train on, a, b, c to test."""
    labels = np.array([0, 1, 2, 0, 1, 2])
    images = labels.astype(np.uint8).reshape(6, 1, 1, 1)
    train, test = Split(images, labels), Split(images[:3], labels[:3])
    return make_dataset("toy", train, test, ("a", "b", "c"), stand_in=True, note=note)


def test_a_subset_has_new_labels_and_a_hash_of_its_own():
    everything = three_classes(note="made up")
    chosen = subset(everything, ["c", "a"])
    assert chosen.classes == ("c", "a")
    # c, number 2, is now 0, and a, number 0, is now 1.
    assert chosen.train.images.ravel().tolist() == [0, 2, 0, 2]
    assert chosen.train.labels.tolist() == [1, 0, 1, 0]
    assert chosen.test.images.ravel().tolist() == [0, 2] and chosen.test.labels.tolist() == [1, 0]
    provenance = chosen.provenance
    assert (provenance.train_size, provenance.test_size) == (4, 2)
    assert provenance.name == "toy" and provenance.stand_in
    assert provenance.note == "made up; 2 of 3 classes"
    hashes = {made.provenance.sha256 for made in (everything, chosen, subset(everything, "ac"))}
    assert len(hashes) == 3
    assert everything.train.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_subset_of_all_classes_shares_the_images():
    everything = three_classes()
    assert subset(everything, ["b", "c", "a"]).train.images is everything.train.images
    same = subset(everything, everything.classes).provenance.sha256
    assert same == everything.provenance.sha256


@pytest.mark.parametrize(
    ("names", "words"), [(["a", "z"], "Received: z;"), (["a", "a"], "a, a"), ([], "none")]
)
def test_an_impossible_subset_is_refused(names, words):
    with pytest.raises(DataError, match=f"expected classes of toy, each once.*{words}"):
        subset(three_classes(), names)


def test_turned_digits_are_the_digits_by_a_quarter():
    digits, turned = data.load("digits"), data.load("digits-turned")
    assert turned.provenance.stand_in and turned.classes == digits.classes
    assert np.array_equal(turned.train.labels, digits.train.labels)
    # A quarter counter-clockwise: the last column becomes the first row.
    assert np.array_equal(turned.train.images[:, 0, :], digits.train.images[:, :, -1])
