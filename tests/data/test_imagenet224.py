"""ImageNet from a small directory in the form of TensorFlow Datasets."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cemfp.data import DATASETS, DataError, imagenet224
from cemfp.data.imagenet224 import central_square, load_imagenet224

LABELS = {"train": (7, 0, 999, 7, 3), "validation": (1, 7, 0)}
SIDES = ((300, 400), (512, 384), (224, 256), (280, 280), (150, 600))


def picture(height, width, label):
    """A smooth image: columns in red, rows in green, label in blue."""
    rows, columns = np.mgrid[0:height, 0:width]
    blue = np.full((height, width), label % 256)
    red, green = columns * 255 // (width - 1), rows * 255 // (height - 1)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def jpeg(height, width, label):
    """The image as a file has it."""
    return tf.io.encode_jpeg(picture(height, width, label)).numpy()


def by_pillow(image):
    """The same crop by another library, for an image whose longer side becomes a whole number."""
    height, width = (round(256 * side / min(image.shape[:2])) for side in image.shape[:2])
    scaled = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - 224) // 2, (height - 224) // 2
    return np.asarray(scaled.crop((left, top, left + 224, top + 224)))


def write_set(root):
    """Write images and descriptions where TFDS looks for them."""
    import tensorflow_datasets as tfds

    features = tfds.builder("imagenet2012", data_dir=root).info.features
    directory = root / "imagenet2012" / "5.1.0"
    directory.mkdir(parents=True)
    features.save_config(str(directory))
    for split, own in LABELS.items():
        path = directory / f"imagenet2012-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for label, sides in zip(own, SIDES, strict=False):
                path = root / f"{label}.jpg"
                path.write_bytes(jpeg(*sides, label))
                example = {"image": str(path), "label": label, "file_name": path.name}
                writer.write(features.serialize_example(features.encode_example(example)))
    splits = [
        {
            "name": split,
            "shardLengths": [str(len(own))],
            "numBytes": "1",
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        }
        for split, own in LABELS.items()
    ]
    info = {"name": "imagenet2012", "version": "5.1.0", "fileFormat": "tfrecord", "splits": splits}
    (directory / "dataset_info.json").write_text(json.dumps(info))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    return tmp_path


def test_a_part_is_read_in_order_and_called_a_stand_in(home, monkeypatch):
    # Batches of three, so that four images take two of them; there are five.
    monkeypatch.setattr(imagenet224, "BATCH", 3)
    monkeypatch.setattr(imagenet224, "SIZES", {"train": 4, "validation": 10})
    write_set(home)
    dataset = load_imagenet224()
    assert dataset.input_shape == (224, 224, 3) and dataset.train.images.dtype == np.uint8
    assert dataset.train.labels.tolist() == [7, 0, 999, 7]
    assert dataset.test.labels.tolist() == [1, 7, 0]
    for row, label, sides in zip(dataset.train.images, LABELS["train"], SIDES, strict=False):
        decoded = tf.io.decode_jpeg(jpeg(*sides, label)).numpy()
        assert np.abs(row.astype(int) - by_pillow(decoded)).max() <= 1
    provenance = dataset.provenance
    assert provenance.name == "imagenet224" and provenance.stand_in
    assert provenance.note == (
        "the first 4 of 5 training and 3 of 3 validation images, central 224 x 224 pixels"
    )


def test_labels_are_those_of_keras_nets(home):
    write_set(home)
    classes = load_imagenet224().classes
    # Keras' class index begins with the tench and ends with the toilet tissue.
    assert (classes[0], classes[1], classes[-1]) == ("n01440764", "n01443537", "n15075141")
    assert len(classes) == 1000 and list(classes) == sorted(classes)


@pytest.mark.parametrize("sides", SIDES)
def test_the_crop_is_the_central_one(sides):
    image = picture(*sides, 9)
    square = central_square(tf.constant(image)).numpy()
    assert square.shape == (224, 224, 3) and square.dtype == np.uint8
    distance = square.astype(int) - by_pillow(image)
    assert np.abs(distance).max() <= 1
    # A crop that is one pixel off is half a grey level off in red or green, on average.
    assert np.abs(distance.mean(axis=(0, 1))).max() < 0.2


def test_the_crop_of_a_wide_image_worked_out_by_hand():
    # 256 x 512 is not scaled; columns 144 to 367 and rows 16 to 239 stay.
    image = np.zeros((256, 512, 3), np.uint8)
    image[16, 144], image[239, 367], image[15, 144], image[240, 367] = 255, 254, 99, 99
    square = central_square(tf.constant(image)).numpy()
    assert square[0, 0, 0] == 255 and square[223, 223, 0] == 254
    assert square.astype(int).sum() == 3 * (255 + 254)


def test_without_the_images_the_line_says_what_to_do(home):
    manual = home / "downloads" / "manual"
    for there in ([], ["ILSVRC2012_img_train.tar"]):
        for name in there:
            manual.mkdir(parents=True)
            (manual / name).write_bytes(b"")
        with pytest.raises(DataError) as caught:
            DATASETS["imagenet224"]()
        message = str(caught.value)
        assert "\n" not in message and str(manual) in message and "TFDS_DATA_DIR" in message
        assert "ILSVRC2012_img_val.tar" in message
        assert ("ILSVRC2012_img_train.tar" in message) == (not there)


def test_archives_that_are_none_are_refused(home):
    manual = home / "downloads" / "manual"
    manual.mkdir(parents=True)
    for name in imagenet224.ARCHIVES:
        (manual / name).write_bytes(b"no archive")
    with pytest.raises(DataError, match="expected ImageNet's archives") as caught:
        load_imagenet224()
    assert "\n" not in str(caught.value)


def test_damaged_copies_are_refused(home):
    write_set(home)
    (info,) = home.rglob("dataset_info.json")
    (records,) = home.rglob("*-train.tfrecord-*")
    described, whole = info.read_text(), records.read_bytes()
    half = len(whole) // 2
    for text, content in (
        (described.replace('"5"', '"6"'), whole),
        (described, whole[:half]),
        (described, whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]),
        (described.replace('"validation"', '"test"'), whole),
    ):
        info.write_text(text)
        records.write_bytes(content)
        with pytest.raises(DataError, match=r"ImageNet. Received: a damaged copy") as caught:
            load_imagenet224()
        assert "\n" not in str(caught.value)
