"""A user's own images: every way to name them, parts, order of classes, what is damaged."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from cemfp.data import DataError, DataSpec, job_name, load, make_dataset, read_classes
from cemfp.data.cache import cache, facts, row_names
from cemfp.data.dataset import Split
from tests.data.pictures_on_disk import folder, pixels, rows

CLASSES = ("ant", "bee", "cat")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CEMFP_DATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path):
    return folder(tmp_path / "pets")


def refused(where, **settings):
    with pytest.raises(DataError) as caught:
        load(DataSpec(str(where), **settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_of_classes_is_a_data_set(pets):
    made = load(str(pets))
    assert made.classes == CLASSES and made.input_shape == (6, 5, 3)
    assert isinstance(made.train.images, np.memmap) and made.train.images.dtype == np.uint8
    # A fifth of each class is for the test.
    assert np.bincount(made.test.labels).tolist() == [1, 1, 1]
    assert np.bincount(made.train.labels).tolist() == [4, 4, 4]
    everything = {(pixels(i).tobytes(), CLASSES[i // 5]) for i in range(15)}
    assert rows(made.train, CLASSES) | rows(made.test, CLASSES) == everything
    assert made.provenance.name == "pets" and not made.provenance.stand_in


def test_the_cached_name_follows_from_the_content_alone(pets, tmp_path, home):
    name = job_name(str(pets))
    assert name.startswith("cached:") and job_name(name) == name
    assert load(name).provenance == load(str(pets)).provenance
    elsewhere = tmp_path / "elsewhere"
    for path in sorted(pets.rglob("*.png"), reverse=True):  # written in another order
        target = elsewhere / path.relative_to(pets)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert job_name(str(elsewhere)) == name
    Image.fromarray(pixels(99)).save(elsewhere / "cat" / "4.png")
    assert job_name(str(elsewhere)) != name
    assert job_name(DataSpec(str(pets), seed=1)) != name
    assert job_name("digits") == "digits"


def test_given_parts_are_kept(tmp_path):
    folder(tmp_path / "set" / "train", count=3)
    folder(tmp_path / "set" / "validation", count=2, first=50)
    folder(tmp_path / "set" / "test", count=1, first=100)
    made = load(str(tmp_path / "set"))
    assert (len(made.train), len(made.test)) == (9, 3)
    assert rows(made.test, CLASSES) == {(pixels(100 + i).tobytes(), CLASSES[i]) for i in range(3)}
    report = facts(job_name(str(tmp_path / "set")))["report"]
    assert any("validation" in remark for remark in report["remarks"])
    folder(tmp_path / "set" / "test", classes=("dog",), count=1)
    with pytest.raises(DataError, match="dog, in the test part only"):
        job_name(str(tmp_path / "set"))


def test_hidden_folders_are_no_classes(pets):
    folder(pets, classes=(".ipynb_checkpoints", "__MACOSX"), count=2)
    (pets / ".DS_Store").write_bytes(b"x")
    (pets / "ant" / "Thumbs.db").write_bytes(b"x")
    (pets / "ant" / "notes.txt").write_text("x")
    made = load(str(pets))
    assert made.classes == CLASSES and len(made.train) + len(made.test) == 15
    said = " ".join(facts(job_name(str(pets)))["report"]["remarks"])
    for name in (".ipynb_checkpoints", ".DS_Store", "ant/notes.txt"):
        assert name in said


def test_numbers_are_ordered_as_strings_and_said_to_be_or_as_given(tmp_path):
    root = folder(tmp_path / "numbers", classes=[str(i) for i in range(12)], count=2)
    made = load(str(root))
    assert made.classes == ("0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9")
    assert any("order of strings" in r for r in facts(job_name(str(root)))["report"]["remarks"])
    numeric = tuple(str(i) for i in range(12))
    given = load(DataSpec(str(root), classes=numeric))
    assert given.classes == numeric
    assert rows(given.train, numeric) == rows(made.train, made.classes)


def test_a_file_of_classes_gives_the_order(pets, tmp_path):
    (tmp_path / "names.txt").write_text("cat\nzebra\nant\n\nbee\n")
    names = read_classes(tmp_path / "names.txt")
    made = load(DataSpec(str(pets), classes=names))
    assert made.classes == ("cat", "zebra", "ant", "bee") and set(made.train.labels) == {0, 2, 3}
    assert "Received: pets with bee" in refused(pets, classes=("ant", "cat"))
    (tmp_path / "names.txt").write_text("cat\ncat\n")
    with pytest.raises(DataError, match="twice: cat"):
        read_classes(tmp_path / "names.txt")


def test_a_link_out_of_the_folder_is_followed_to_a_file_but_not_deeper_folders(pets, tmp_path):
    other = folder(tmp_path / "other", classes=("far",), count=2, first=70)
    os.symlink(other / "far" / "0.png", pets / "ant" / "linked.png")
    os.symlink(other / "far", pets / "ant" / "more")
    os.symlink(pets, pets / "bee" / "loop")
    made = load(str(pets))
    assert len(made.train) + len(made.test) == 16
    assert "linked folders" in " ".join(facts(job_name(str(pets)))["report"]["remarks"])


def broken(pets):
    whole = (pets / "ant" / "0.png").read_bytes()
    (pets / "ant" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (pets / "bee" / "page.png").write_text("<html>404</html>")
    (pets / "bee" / "void.jpg").write_bytes(b"")
    Image.fromarray(pixels(80)).save(pets / "cat" / "cut.jpg", quality=95)
    jpeg = (pets / "cat" / "cut.jpg").read_bytes()
    (pets / "cat" / "cut.jpg").write_bytes(jpeg[:-40])


def test_damaged_files_are_named_and_left_out_on_demand(pets):
    good = rows(load(str(pets)).train, CLASSES) | rows(load(str(pets)).test, CLASSES)
    broken(pets)
    said = refused(pets, max_damaged=3)
    assert "bee/page.png: HTML" in said and "bee/void.jpg: empty file" in said
    assert "--max-damaged" in said
    made = load(DataSpec(str(pets), max_damaged=4))
    assert rows(made.train, CLASSES) | rows(made.test, CLASSES) == good
    entry = job_name(DataSpec(str(pets), max_damaged=4))
    skipped = {s["name"] for s in facts(entry)["report"]["skipped"]}
    assert skipped == {"ant/cut.png", "bee/page.png", "bee/void.jpg", "cat/cut.jpg"}
    # That they were once allowed does not make them good.
    assert "at most 3 damaged" in refused(pets, max_damaged=3)
    names = row_names(entry)
    assert [len(names[part]) for part in ("train", "test")] == [len(made.train), len(made.test)]
    assert len(load(entry).train) == len(made.train)


def test_sizes_that_differ_need_a_size(pets):
    Image.fromarray(pixels(90, (9, 9, 3))).save(pets / "cat" / "big.png")
    said = refused(pets)
    assert "6x5 (15), 9x9 (1)" in said and "--image-size HxW" in said
    made = load(DataSpec(str(pets), size=(4, 4)))
    assert made.input_shape == (4, 4, 3)


def write_table(root, lines):
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def flat(tmp_path, count=12):
    root = tmp_path / "flat"
    (root / "pictures").mkdir(parents=True)
    for i in range(count):
        Image.fromarray(pixels(i)).save(root / "pictures" / f"{i:02}.png")
    return root


@pytest.mark.parametrize("name", ["pictures/{:02}.png", "{:02}.png", "{:02}"])
@pytest.mark.parametrize("head", ["file,label", "Image,Class", None])
def test_a_table_pairs_by_name(tmp_path, name, head):
    root = flat(tmp_path)
    lines = [f"{name.format(i)},{CLASSES[i % 3]}" for i in np.random.default_rng(0).permutation(12)]
    write_table(root, ([head] if head else []) + lines)
    made = load(str(root))
    assert made.classes == CLASSES
    expected = {(pixels(i).tobytes(), CLASSES[i % 3]) for i in range(12)}
    assert rows(made.train, CLASSES) | rows(made.test, CLASSES) == expected
    assert load(str(root / "labels.csv")).provenance.sha256 == made.provenance.sha256


def test_a_table_says_what_is_missing_and_what_is_left_over(tmp_path):
    root = flat(tmp_path)
    lines = ["label;file"] + [f"{CLASSES[i % 3]};{i:02}.png" for i in range(10)]
    write_table(root, [*lines, "cat;nowhere.png"])
    assert "nowhere.png: named, but not there" in refused(root)
    made = load(DataSpec(str(root), max_damaged=1))
    assert len(made.train) + len(made.test) == 10
    remarks = facts(job_name(DataSpec(str(root), max_damaged=1)))["report"]["remarks"]
    assert any("2 images that labels.csv does not name" in remark for remark in remarks)
    write_table(root, [*lines, "bee;00.png"])
    assert "ant and bee for 00.png" in refused(root, max_damaged=9)
    write_table(root, ["a,b,c", "1,2,3"])
    assert "columns `file` and `label`" in refused(root, seed=2)


def test_a_table_gives_parts_and_orders_numbers_as_numbers(tmp_path):
    root = flat(tmp_path)
    lines = [f"{i:02}.png,{i % 11},{'val' if i == 11 else 'train'}" for i in range(12)]
    write_table(root, ["file,label,split", *lines])
    made = load(str(root))
    assert made.classes == tuple(map(str, range(11)))
    assert (len(made.train), made.test.labels.tolist()) == (11, [0])


def images_and_labels(count=20, classes=4):
    return np.stack([pixels(i) for i in range(count)]), np.arange(count) % classes


def test_arrays_in_every_file_give_the_same_entry(tmp_path):
    images, labels = images_and_labels()
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    (tmp_path / "pair").mkdir()
    np.save(tmp_path / "pair" / "images.npy", images)
    np.save(tmp_path / "pair" / "labels.npy", np.eye(4)[labels])  # one-hot
    np.savez(tmp_path / "b.npz", x=images.astype(np.float64), y=labels[:, None])
    names = {job_name(str(tmp_path / name)) for name in ("a.npz", "pair", "b.npz")}
    assert len(names) == 1
    made = load(names.pop())
    assert (len(made.train), len(made.test)) == (16, 4)
    assert rows(made.train, made.classes) | rows(made.test, made.classes) == {
        (x.tobytes(), str(y)) for x, y in zip(images, labels, strict=True)
    }


def test_keras_four_arrays_are_two_parts_and_words_are_classes(tmp_path):
    images, labels = images_and_labels()
    words = np.array(["d", "a", "c", "b"])[labels]
    arrays = {"x_train": images[:12], "y_train": words[:12], "x_test": images[12:]}
    np.savez(tmp_path / "a.npz", **arrays, y_test=words[12:])
    made = load(str(tmp_path / "a.npz"))
    assert made.classes == ("a", "b", "c", "d")
    assert np.array_equal(made.train.images, images[:12])
    assert [made.classes[i] for i in made.test.labels] == words[12:].tolist()


WRONG = {
    "objects": ({"images": np.array([{}, {}]), "labels": [0, 1]}, "Object arrays"),
    "other names": ({"a": [1]}, "Received: a"),
    "too few labels": ({"images": np.ones((3, 4, 4)), "labels": [0, 1]}, "3 images, 2 labels"),
    "channels first": ({"images": np.ones((3, 3, 8, 8)), "labels": [0, 1, 1]}, "channels to the"),
    "divided twice": (
        {"images": np.full((2, 4, 4), 1 / 65025), "labels": [0, 1]},
        "divided by 255 twice",
    ),
    "rounded after scaling": (
        {"images": np.eye(4, dtype=np.uint8)[None].repeat(2, 0), "labels": [0, 1]},
        "scaled before they were rounded",
    ),
    "signed": ({"images": np.full((2, 4, 4), -1.0), "labels": [0, 1]}, r"from \[-1, 1\]"),
    "not a number": ({"images": np.full((2, 4, 4), np.nan), "labels": [0, 1]}, "nan"),
    "from one on": ({"images": np.full((2, 4, 4), 0.5), "labels": [1, 2]}, "none of 0"),
    "several classes": (
        {"images": np.full((2, 4, 4), 0.5), "labels": [[1, 1], [0, 1]]},
        "mixed labels",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_are_no_images_are_refused(tmp_path, case):
    arrays, said = WRONG[case]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=said):
        job_name(str(tmp_path / "a.npz"))
    assert not list(cache().root.glob("objects/*/*"))


def test_ranges_are_brought_to_one(tmp_path):
    levels = np.stack([pixels(i, (4, 4)) for i in range(10)])
    labels = np.arange(10) % 2
    kinds = {"deep": levels.astype(np.uint16) * 257, "wide": levels.astype(np.float32)}
    for name, images in kinds.items():
        np.savez(tmp_path / f"{name}.npz", images=images, labels=labels)
        made = load(str(tmp_path / f"{name}.npz"))
        assert made.train.images.dtype == np.uint8 and made.input_shape == (4, 4, 1)
        assert rows(made.train, "01") <= {(x.tobytes(), str(i % 2)) for i, x in enumerate(levels)}
    np.savez(tmp_path / "unit.npz", images=levels / 255.0, labels=labels)
    assert load(str(tmp_path / "unit.npz")).train.images.dtype == np.float32
    np.savez(tmp_path / "bits.npz", images=levels > 127, labels=labels)
    assert set(np.unique(load(str(tmp_path / "bits.npz")).train.images)) == {0, 255}


def test_a_function_of_the_users_own(tmp_path, monkeypatch):
    images, labels = images_and_labels()
    np.savez(tmp_path / "raw.npz", images=images, labels=labels)
    (tmp_path / "own_images_here.py").write_text(
        "import numpy as np\n"
        "def whole():\n"
        "    file = np.load('raw.npz')\n"
        "    return file['images'], file['labels']\n"
        "def parts():\n"
        "    x, y = whole()\n"
        "    return (x[:15], y[:15]), (x[15:], y[15:])\n"
        "def broken():\n"
        "    raise RuntimeError('no images today')\n"
        "def nothing():\n"
        "    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    name = job_name("python:own_images_here:whole")
    assert name == job_name("raw.npz") and len(load(name).test) == 4
    assert len(load("python:own_images_here:parts").train) == 15
    for function, said in {
        "broken": "RuntimeError: no images today",
        "nothing": "Received: int",
        "missing": "Received: none",
    }.items():
        assert said in refused(f"python:own_images_here:{function}")
    split = Split(images, labels)
    own = make_dataset("mine", split, split, ("a", "b", "c", "d"))
    sys.modules["own_images_here"].own = lambda: own
    assert load("python:own_images_here:own").classes == own.classes


def test_tfds(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    images, labels = images_and_labels()
    features = {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
        "label": tfds.features.ClassLabel(names=["a", "b", "c", "d"]),
    }

    def rows_of(part):
        return [{"image": images[i], "label": int(labels[i])} for i in part]

    import tensorflow as tf

    def as_dataset(part):
        split = rows_of(part)
        return tf.data.Dataset.from_tensor_slices(
            {key: np.stack([row[key] for row in split]) for key in ("image", "label")}
        )

    tfds.dataset_builders.store_as_tfds_dataset(
        name="own_set",
        version="1.0.0",
        data_dir=str(tmp_path / "tfds"),
        split_datasets={"train": as_dataset(range(16)), "test": as_dataset(range(16, 20))},
        features=tfds.features.FeaturesDict(features),
        disable_shuffling=True,
    )
    made = load("tfds:own_set")
    assert made.classes == ("a", "b", "c", "d") and made.provenance.name == "own_set/1.0.0"
    assert rows(made.test, made.classes) == {
        (images[i].tobytes(), made.classes[labels[i]]) for i in range(16, 20)
    }
    assert len(load("tfds:own_set:train").test) == 4
    assert load(DataSpec("tfds:own_set", size=(3, 3))).input_shape == (3, 3, 3)
    assert "tfds:no_such_set" in refused("tfds:no_such_set")


def test_damage_of_an_entry_is_found_and_mended(pets):
    name = job_name(str(pets))
    key = name.removeprefix("cached:")
    file = cache().get(key) / "train.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert "is not what was written" in refused(name)
    assert "not there" in refused(name)
    assert len(load(str(pets)).train) == 12
    assert "64 hexadecimal" in refused("cached:../../etc", seed=1)


def _convert(path, home, queue):
    os.environ["CEMFP_DATA_CACHE"] = home
    made = load(path)
    queue.put((job_name(path), made.provenance.sha256))


def test_two_processes_at_once_make_one_good_entry(pets, home):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    both = [context.Process(target=_convert, args=(str(pets), str(home), queue)) for _ in range(2)]
    for process in both:
        process.start()
    found = {queue.get(timeout=60) for _ in both}
    for process in both:
        process.join()
    assert len(found) == 1
    name, sha256 = found.pop()
    assert load(name).provenance.sha256 == sha256
    assert not list((home / "tmp").glob("*"))


# So slow that it is still at work when it is interrupted, on any machine.
SLOW_CONVERSION = """
import sys, time
from cemfp.data import load, own

real = own.decode


def decode(*given, **settings):
    time.sleep(0.3)
    return real(*given, **settings)


own.decode = decode
load(sys.argv[1])
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_conversion_breaks_no_later_one(tmp_path, home, how):
    root = folder(tmp_path / "many", count=20, shape=(300, 300, 3))
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_CONVERSION, str(root)],
        stderr=subprocess.DEVNULL,
        # A shell starts its background jobs with interrupts ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list(home.glob("tmp/*/train.npy")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(how)
    assert process.wait() != 0
    assert not list(home.glob("objects/*/*"))
    if how == signal.SIGINT:
        assert not list(home.glob("tmp/*"))
    made = load(str(root))
    assert len(made.train) == 48 and not list(home.glob("tmp/*"))


def test_settings_that_mean_nothing_are_refused():
    for settings in ({"test_share": 1.0}, {"classes": ("a", "a")}, {"channels": 2}):
        with pytest.raises(DataError):
            DataSpec("x", **settings)
    spec = DataSpec("x", size=(2, 3), classes=("a", "b"))
    assert json.loads(json.dumps(dataclasses.asdict(spec)))["classes"] == ["a", "b"]
    assert hash(spec) and not spec.plain and str(spec) == "x"


def test_nothing_there_lists_what_may_be_meant(tmp_path):
    assert "digits" in refused(tmp_path / "none") and "not there" in refused(tmp_path / "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "two or more classes" in refused(empty)
    folder(tmp_path / "outer" / "inner")
    assert "is" in refused(tmp_path / "outer")
