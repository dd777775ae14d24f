"""Figures: files written whole, equal for equal rows, and nothing global changed."""

import matplotlib
import numpy as np
import pytest

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.study import figures

SUMMARY = {"auc": 1.0, "auc_interval": [1.0, 1.0], "auc_lower_bound": 0.22}


def result(method="cem", epsilon=0.2, threshold=0.5):
    """What `ScoreFingerprint` writes of two surrogates and two references."""
    scores = {"surrogate": (1.0, 0.9), "reference": (0.1, 0.2)}
    return {
        "fingerprint": {
            "method": method,
            "epsilon": epsilon,
            "inputs": 40,
            "data": {"name": "digits", "stand_in": True, "note": "8 x 8"},
        },
        "models": [
            {"role": role, "origin": origin, "cae_accuracy": score}
            for role in ("calibration", "evaluation")
            for origin, group in scores.items()
            for score in group
        ],
        "evaluation": SUMMARY,
        "decision": {"threshold": threshold},
    }


def fingerprint(channels=1, originals=True):
    inputs = np.full((3, 8, 8, channels), 128 / 255, np.float32)
    starts = {"originals": inputs * 0, "true_labels": [3, 4, 5]} if originals else {}
    return Fingerprint(
        inputs=inputs, keys=[0, 1, 2], classes=10, method="cem", parameters={},
        source_sha256="0" * 64, data={"name": "digits"}, epsilon=0.6, **starts,
    )  # fmt: skip


def test_save_takes_the_suffix_or_writes_both(tmp_path):
    figure = figures.new_figure(1, 1)
    assert figures.save(figure, tmp_path / "new" / "both") == [
        tmp_path / "new" / "both.png",
        tmp_path / "new" / "both.pdf",
    ]
    figures.save(figure, tmp_path / "one.pdf")
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    assert not (tmp_path / "one.png").exists()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("originals", [True, False])
def test_gallery(tmp_path, channels, originals):
    made = fingerprint(channels, originals)
    for name in ("a.png", "b.png"):
        figures.gallery(made, tmp_path / name, columns=2)
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG") and content == (tmp_path / "b.png").read_bytes()


def test_roc_of_several_methods_some_without_radius_or_threshold(tmp_path):
    rows = [result(), result("pgd", threshold=None), result("ipguard", None)]
    figures.roc(rows, tmp_path / "roc")
    assert (tmp_path / "roc.png").stat().st_size > 10_000
    assert (tmp_path / "roc.pdf").exists()


def test_the_caption_names_data_models_and_inputs():
    caption = figures._roc_caption([result()])
    for part in ("digits", "stand-in", "2 stolen and 2 independent", "n = 40"):
        assert part in caption


def test_only_evaluation_models_are_drawn():
    assert figures._scores(result(), "surrogate") == [1.0, 0.9]


def test_style_ends_with_its_block():
    before = dict(matplotlib.rcParams)
    with figures.style():
        assert matplotlib.rcParams["legend.frameon"] is False
    assert dict(matplotlib.rcParams) == before
