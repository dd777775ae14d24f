"""`cemfp data`, and a user's own images in the other commands."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures_on_disk import folder

TRAINING = ("--width", 4, "--depth", 8, "--epochs", 30, "--batch-size", 16, "--learning-rate", 0.1)
TRAINING += ("--no-flip", "--pad", 0, "--precision", "float32", "--quiet")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CEMFP_DATA_CACHE", str(tmp_path / "cache"))


def bars(root, count=20, side=12):
    """Images anybody tells apart: a bright bar on the left, in the middle, on the right."""
    rng = np.random.default_rng(0)
    for place, name in enumerate(("left", "middle", "right")):
        (root / name).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 60, (side, side), dtype=np.uint8)
            image[:, place * side // 3 : (place + 1) * side // 3] += np.uint8(150)
            Image.fromarray(image).save(root / name / f"{number}.png")
    return root


def test_it_shows_what_a_folder_holds(run, tmp_path):
    root = folder(tmp_path / "pets")
    (root / "ant" / "again.png").write_bytes((root / "bee" / "0.png").read_bytes())
    (root / "cat" / "page.png").write_text("<html>")
    (root / ".DS_Store").write_bytes(b"x")
    settings = ("--max-damaged", 1, "--image-size", "4x4")
    result = run("data", root, *settings, "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert "pets: 13 training and 3 test images of 3 classes, 4 x 4 x 3, uint8" in result.stdout
    for said in (".DS_Store", "cat/page.png: HTML", "resized (16)", "6 x 5 (16)", "RGB (16)"):
        assert said in result.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height == 3 * 68
    facts = json.loads(run("data", root, *settings, "--json").stdout)
    assert [row["name"] for row in facts["classes"]] == ["ant", "bee", "cat"]
    assert [row["index"] for row in facts["classes"]] == [0, 1, 2]
    twice = facts["duplicates"]
    assert twice["train"] + twice["test"] + twice["between"] == 1 == twice["other_class"]
    assert sorted(twice["examples"][0]) == ["ant/again.png", "bee/0.png"]
    assert facts["data"].startswith("cached:") and f"content {facts['sha256']}" in result.stdout
    cached = json.loads(run("data", facts["data"], "--json").stdout)
    assert cached == facts


def test_it_shows_known_sets_and_lists_them(run):
    facts = json.loads(run("data", "digits", "--json").stdout)
    assert facts["stand_in"] and facts["report"] == {} and facts["train_size"] == 1200
    assert "digits-turned" in run("data", "--list").stdout.split()


def test_it_needs_no_tensorflow(tmp_path):
    root = folder(tmp_path / "pets")
    code = (
        "import sys; from cemfp.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "data", str(root), "--sheet", str(tmp_path / "s.png")]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_bad_use_is_one_line(fails, tmp_path):
    root = folder(tmp_path / "pets", count=2)
    (root / "cat" / "page.png").write_text("<html>")
    assert "--max-damaged 1" in fails("data", root)
    assert "224x224" in fails("data", root, "--image-size", "12")
    assert "images of your own" in fails("data", "digits", "--image-size", "8x8")
    assert "not there" in fails("data", tmp_path / "nowhere")
    assert "names.txt" in fails("data", root, "--classes", "names.txt")
    assert "expected a PNG" in fails("data", "digits", "--sheet", "x.pdf")


def test_from_own_images_to_a_fingerprint(run, tmp_path):
    root, net = bars(tmp_path / "bars"), tmp_path / "net"
    result = run("train", "--data", root, *TRAINING, "--out", net)
    assert result.exit_code == 0, result.output
    right = json.loads(run("evaluate", net, "--data", root, "--json").stdout)
    assert right["accuracy"] == 1.0 and right["data"]["name"] == "bars"
    # Other sizes come in the model's without an option.
    large = bars(tmp_path / "large", side=24)
    right = json.loads(run("evaluate", net, "--data", large, "--json").stdout)
    assert right["accuracy"] == 1.0
    made = run(
        *("fingerprint", "ipguard", "--source", net, "--data", large),
        *("--size", 2, "--out", tmp_path / "x.cemfp", "--quiet", "--dry-run"),
    )
    assert json.loads(made.stdout)["data"] == str(large)
    made = run(
        *("fingerprint", "ipguard", "--source", net, "--data", large, "--size", 4),
        *("--out", tmp_path / "x.cemfp", "--quiet"),
    )
    assert made.exit_code == 0, made.output
    stolen = run(
        *("attack", "ftal", "--victim", net, "--data", large, "--epochs", 1, "--batch-size", 16),
        *("--out", tmp_path / "stolen", "--quiet", "--precision", "float32"),
    )
    assert stolen.exit_code == 0, stolen.output
