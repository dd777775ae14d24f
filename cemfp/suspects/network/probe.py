"""What is behind an address: asked with a grey image or two, and told."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from cemfp.suspects.base import NoAnswer, SuspectError, read_answer
from cemfp.suspects.network.api import Api
from cemfp.suspects.network.bodies import SCALE
from cemfp.suspects.network.remote import Remote

GUESSED = (32, 32, 3)
SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Found:
    """What a probe found.

    Attributes:
        speaks: The protocol, with the names of input and output.
        takes: How an image is sent.
        answers: What comes back for a grey image.
        asked: How often, and how long it took.
        notes: What to know before verifying.
    """

    speaks: str
    takes: str
    answers: str
    asked: str
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The screen."""
        facts = {name: getattr(self, name) for name in ("speaks", "takes", "answers", "asked")}
        shown = [f"{name:<8} {text}" for name, text in facts.items()]
        return shown + [f"{'note':<8} {note}" for note in self.notes]


def probe(remote: Remote, shape: Sequence[int] | None = None) -> Found:
    """Ask a suspect about one grey image and, where several may be asked at once, about two.

    Args:
        remote: As `open_address` or `open_description` returns it.
        shape: Of an image (h, w, c), where the server does not say; 32 x 32 x 3 by default.

    Raises:
        NoAnswer: It cannot be reached.
    """
    known = remote.input_shape or (None, None, None)
    sizes = tuple(own or wish for own, wish in zip(known, shape or GUESSED, strict=True))
    grey = np.full((1, *sizes), 0.5, np.float32)
    if remote.api.image.numbers == "whole":
        grey = np.rint(grey * SCALE)
    start = time.monotonic()
    notes = []
    try:
        answer = _ask(remote, grey)
        seconds, count = time.monotonic() - start, 1
        said = _described(answer)
        if remote.insists is None:
            count, note = 2, _two(remote, grey)
            notes += note
    except NoAnswer:
        raise
    except SuspectError as error:
        seconds, count, said = time.monotonic() - start, 1, f"nothing of use: {error}"
    if None in known:
        notes.append(f"the size of an image is not told; {_times(sizes)} was tried (--shape)")
    if not remote.pictures:
        notes.append("the range of its numbers is not told: `cemfp verify --scale auto` finds it")
    return Found(
        remote.api.speaks,
        _takes(remote.api, known),
        said,
        f"one grey image in {1000 * seconds:.0f} ms" + (", then two at once" if count == 2 else ""),
        tuple(notes),
    )


def _ask(remote: Remote, images: np.ndarray) -> np.ndarray:
    return remote.client.connection.pace(lambda: read_answer(remote(images), len(images)))


def _two(remote: Remote, grey: np.ndarray) -> list[str]:
    """Say what is wrong with the answer on two images at once, if anything is."""
    try:
        _ask(remote, np.concatenate([grey, grey]))
    except NoAnswer:
        raise
    except SuspectError as error:
        return [f"one image at a time, please; two at once give: {error}"]
    return []


def _described(answer: np.ndarray) -> str:
    if answer.ndim == 1:
        return f"a label: {answer[0]}"
    row = answer[0]
    first = ", ".join(f"{x:.4g}" for x in row[:SHOWN]) + (", ..." if len(row) > SHOWN else "")
    if not np.all(np.isfinite(row)):
        return f"{len(row)} numbers, not all of them finite: {first}"
    sums = np.all(row >= 0) and abs(row.sum() - 1) < 1e-3
    kind = "probabilities" if sums else "scores"
    return f"{kind} for {len(row)} classes: {first}; the highest is class {row.argmax()}"


def _takes(api: Api, known: tuple[int | None, ...]) -> str:
    picture = api.image
    size = _times(known) if any(known) else "of any size"
    if api.pictures:
        text = f"{picture.format.upper()} files {size}"
    else:
        layout = {"hwc": "channels last", "chw": "channels first", "hw": "grey, without channels"}
        numbers = "whole numbers" if picture.numbers == "whole" else "floating-point numbers"
        text = f"arrays {size}, {layout.get(picture.layout, 'flat')}, {numbers}"
    if api.insists is None:
        return text
    return text + (", one at a time" if api.insists == 1 else f", {api.insists} at once")


def _times(sizes: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in sizes)
