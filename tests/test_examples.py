"""The tutorial's model and photos: what `cemfp protect` gets from plain Keras code."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cemfp.jobs.source import open_own
from cemfp.jobs.train import Net
from cemfp.models.convention import Convention
from examples import own_model, tutorial

CLASSES = 3


@pytest.fixture
def photos(tmp_path):
    """A folder of noise, for training and for testing."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in range(CLASSES):
            place = tmp_path / "photos" / part / f"class-{name}"
            place.mkdir(parents=True)
            for number in range(4):
                levels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(levels).save(place / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("name", own_model.NETS)
def test_a_net_is_trained_saved_and_can_be_made_again(name, photos, tmp_path):
    command = ["train", str(photos), str(tmp_path / "my.keras"), "--epochs", "1", "--net", name]
    done = CliRunner().invoke(own_model.main, command)
    assert done.exit_code == 0 and "my.keras: right on " in done.output, done.output
    source = open_own(tmp_path / "my.keras", Convention(255.0))
    again = Net.like(source).build((32, 32, 3), CLASSES)
    assert [w.shape for w in again.get_weights()] == [w.shape for w in source.model.get_weights()]


def test_what_a_command_printed_is_kept_without_the_folder(tmp_path):
    code = "import os; print(os.path.join(os.getcwd(), 'made.txt')); raise SystemExit(3)"
    row = tutorial.run(f'python -c "{code}"', tmp_path)
    assert (row["status"], row["output"]) == (3, ["made.txt"])


def test_the_committed_rows_are_those_of_the_tutorials_commands():
    rows = json.loads((tutorial.RESULTS / "tutorial.json").read_bytes())
    said = [row["command"] for row in rows["commands"]]
    assert said == [c.format(budget="20m", net="plain") for c in tutorial.COMMANDS]
    page = (tutorial.ROOT / "docs" / "tutorial.md").read_text()
    text = " ".join(page.split())
    printed = [line for row in rows["commands"] for line in row["output"]]
    verdicts = [line for line in printed if " answers are the key's" in line]
    assert len(verdicts) == 3
    for line in (*verdicts, *rows["summary"]["conclusion"]):
        assert line in text
