"""The one look of all figures: colours, markers and names, the same thing alike everywhere."""

from __future__ import annotations

from typing import Any, NamedTuple

from cemfp.models.roles import Origin

# Okabe and Ito's palette, which stays apart for every kind of colour vision.
ORANGE, SKY, GREEN, BLUE, RED, PURPLE = (
    "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
BLACK, GREY = "0.1", "0.5"


class Look(NamedTuple):
    """How a line is drawn: never by its colour alone."""

    name: str
    colour: str
    marker: str
    dashes: str = "-"


# By the name in rows.
METHODS = {
    "cem": Look("CEM", BLUE, "o"),
    "fgm": Look("FGM", PURPLE, "s"),
    "bim": Look("BIM", SKY, "D"),
    "pgd": Look("PGD", ORANGE, "^"),
    "cw": Look("CW-L∞", RED, "v"),
    "ipguard": Look("IPGuard", GREEN, "P"),
    "misclassified": Look("misclassified images", GREY, "X"),
    "sac": Look("SAC", GREY, "*"),
    "own task": Look("own task", BLACK, "*", "--"),
    "random noise": Look("random noise", BLACK, "x", ":"),
}
# The second paper's methods, by the name in figures.
FORMS = {
    "C": Look("C", BLACK, "*"),
    "RC": Look("RC", BLUE, "o"),
    "RC+GM": Look("RC+GM", SKY, "s"),
    "LTRC k=1": Look("LTRC k=1", ORANGE, "^"),
    "LTRC k=2": Look("LTRC k=2", RED, "v"),
    "LTRC k=3": Look("LTRC k=3", PURPLE, "D"),
    "LTRC k=20": Look("LTRC k=20", PURPLE, "D"),
    "LTRC k=2, image": Look("LTRC k=2, image", GREEN, "P"),
    "LTRC k=3, image": Look("LTRC k=3, image", GREY, "X"),
    "LTRC k=20, image": Look("LTRC k=20, image", GREEN, "P"),
}
GROUPS = {
    Origin.SURROGATE: Look("stolen copies", RED, "o"),
    Origin.REFERENCE: Look("independent", BLUE, "^"),
}
# For what has no look of its own: removal attacks, beside the references' blue band.
OTHERS = [
    Look("", colour, marker)
    for colour, marker in zip((RED, ORANGE, GREEN, PURPLE, SKY, BLACK), "osD^vP", strict=True)
]
STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "image.interpolation": "nearest",
    "lines.markersize": 5,
    "errorbar.capsize": 3,
    "pdf.fonttype": 42,
    "svg.hashsalt": "cemfp",
}


def method(name: str) -> Look:
    """The look of a method; one without a look has its own name."""
    return METHODS.get(name, Look(name, PURPLE, "d"))


def other(place: int) -> Look:
    """The look of the line at `place` among lines that have none of their own."""
    return OTHERS[place % len(OTHERS)]
