"""A suspect among known models, as SVG."""

import xml.etree.ElementTree as ElementTree

from cemfp.figures.scale import Suspect, scale
from cemfp.models.roles import Origin

GROUPS = {Origin.SURROGATE: (0.75, 1.0), Origin.REFERENCE: (0.0,)}


def test_each_mark_stands_at_its_score():
    drawn = scale(GROUPS, Suspect("one", 0.5, 0.25, 0.75), 0.5)
    root = ElementTree.fromstring(drawn)
    # The line from 0 to 1 is 480 wide and begins at 190: 0.75 -> 550, 1 -> 670.
    assert [circle.get("cx") for circle in root.iter("circle")] == ["550.0", "670.0"]
    paths = [path.get("d") for path in root.iter("path")]
    assert [path for path in paths if path.startswith("M190.0 ") and path.endswith("h-10z")]
    assert [path for path in paths if path.startswith("M310.0") and path.endswith("H550.0")]
    texts = [text.text for text in root.iter("text")]
    assert {"stolen copies (2)", "independent (1)", "one", "100 %"} <= set(texts)


def test_names_of_strangers_are_text():
    drawn = scale(GROUPS, Suspect("<script>&", 0.5, 0.0, 1.0), 0.5)
    assert "<script>" not in drawn and "&lt;script&gt;&amp;" in drawn
    ElementTree.fromstring(drawn)


def test_without_a_score_there_is_no_suspect():
    assert "l7 7-7 7-7-7z" not in scale(GROUPS, None, 0.5)
