"""Figures: files written whole, equal for equal rows, and nothing global changed."""

import matplotlib
import numpy as np
import pytest

from cemfp.figures import drawing as figures
from cemfp.figures import looks
from cemfp.fingerprint.artifact import Fingerprint
from experiments.plots import sweeps

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


def test_a_caption_fits_its_figure_and_is_kept_in_the_file(tmp_path):
    from PIL import Image

    text = "cifar10 (real images): n = 5 models; " + "a long note " * 20
    figure = figures.new_figure(4, 2)
    figure.subplots()
    figures.caption(figure, text)
    figure.draw_without_rendering()
    box = figure._supxlabel.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    png, pdf = figures.save(figure, tmp_path / "kept")
    with Image.open(png) as image:
        assert image.info["Description"] == text.strip()
    assert b"/Subject" in pdf.read_bytes()


def test_the_same_figure_gives_the_same_bytes_as_pdf(tmp_path):
    for name in ("a.pdf", "b.pdf"):
        figures.roc([result()], tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_no_two_methods_look_alike_without_colour():
    for group in (looks.METHODS, looks.GROUPS):
        assert len({(look.marker, look.dashes) for look in group.values()}) == len(group)
    assert len({look.marker for look in looks.OTHERS}) == len(looks.OTHERS)


def test_signed_inputs_are_stretched_without_their_extremes():
    # 0 to 99 and one of 1000: the percentiles 1 and 99 cut the outlier and the 0 off.
    images = np.array([*range(100), 1000], np.float32).reshape(1, 101, 1, 1) - 50
    shown, stretched = figures.displayable(images)
    assert stretched and shown.min() == 0 and shown.max() == 1
    assert shown[0, 50, 0, 0] == pytest.approx(0.5, abs=0.01)
    same, stretched = figures.displayable(np.full((1, 2, 2, 1), 0.5))
    assert not stretched and (same == 0.5).all()


def test_lines_over_epsilon_stand_side_by_side():
    # The smallest gap is 0.02: three lines share half of it.
    shifts = sweeps._shifts([0.01, 0.03, 0.1], 3)
    assert shifts.tolist() == pytest.approx([-0.005, 0, 0.005])
    assert sweeps._shifts([0.1], 2).tolist() == pytest.approx([-0.005, 0.005])
    assert sweeps._shifts([], 1).tolist() == [0]
