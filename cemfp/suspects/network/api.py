"""What an address takes and answers, whoever said so: a server of itself, or a description."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

IMAGES, IMAGE, SHAPE = "{images}", "{image}", "{shape}"


@dataclasses.dataclass(frozen=True)
class Picture:
    """How an image is written.

    Attributes:
        format: png or jpeg, which is base64 in JSON, or array.
        quality: Of a JPEG.
        layout: Of an array: hwc, chw (channels first), hw (grey, without channels) or flat.
        numbers: Of an array: float, or whole for integers only.
    """

    format: str = "array"
    quality: int = 95
    layout: str = "hwc"
    numbers: str = "float"


@dataclasses.dataclass(frozen=True)
class Body:
    """What is sent; one of `json`, `form` and `raw`.

    Attributes:
        json: Template.
        each: Template of each image in a list.
        form: Field of a form that holds the image as a file.
        fields: Other fields of the form.
        raw: The image file alone.
    """

    json: Any = None
    each: Any = IMAGE
    form: str | None = None
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
    raw: bool = False


@dataclasses.dataclass(frozen=True)
class Form:
    """Where the answer is in what comes back.

    Attributes:
        path: JSONPath; what it finds is one answer, or one for each image.
        kind: scores, labels, top (entries with scores, the best of which counts), or auto.
        label, score: Keys in an entry that is an object.
    """

    path: str = "$"
    kind: str = "auto"
    label: str = "label"
    score: str = "score"


@dataclasses.dataclass(frozen=True)
class Api:
    """An address, what it takes and what it answers.

    Attributes:
        url: With `${NAME}`s.
        headers: With `${NAME}`s.
        image: How an image is written.
        shape: Of an image (h, w, c), None for any size, if that is known.
        body: What is sent.
        answer: Where the answer is.
        labels: Names of the classes in the fingerprint's order, if it answers names.
        classes: Number of them, if that is known.
        insists: Images that every question holds, if it takes no other number.
        speaks: Whose protocol, for people.
    """

    url: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    image: Picture = Picture()
    shape: tuple[int | None, ...] | None = None
    body: Body = Body(json=IMAGES)
    answer: Form = Form()
    labels: tuple[str, ...] | None = None
    classes: int | None = None
    insists: int | None = None
    speaks: str = "a protocol of its own"

    @property
    def pictures(self) -> bool:
        """Whether images are sent as files, which have 8 bits and no other range of numbers."""
        return self.image.format != "array"
