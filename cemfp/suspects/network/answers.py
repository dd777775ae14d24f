"""From what a server's JSON holds to labels or scores, nothing taken for granted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from cemfp.suspects.base import SuspectError
from cemfp.suspects.network.api import Api, Form
from cemfp.suspects.network.reading import quoted

# Open Inference's classification: score, class and perhaps the class's name.
_CLASSIFIED = re.compile(r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?):([0-9]{1,9})(?::.*)?", re.DOTALL)
_LARGEST = 2**53


class UnknownName(SuspectError):
    """A suspect answers a name that is none of those listed, or there is no list."""


def read_answer(api: Api, value: Any, count: int) -> np.ndarray:
    """Return labels (count,), int64, or scores (count, C), float64.

    Args:
        api: Says where the answer is and what it means.
        value: The whole JSON that came.
        count: Number of images asked.

    Raises:
        SuspectError: There is no answer in it, or not one for each image.
    """
    rows = _per_image(_find(api.answer.path, value), count)
    if _kind(api.answer, rows[0]) == "scores":
        return _scores([_by_name(row, api.labels) for row in rows])
    return np.array([_best(row, api.answer, api.labels) for row in rows], np.int64)


def read_guesses(rows: list[Any], names: Sequence[str] | None) -> np.ndarray:
    """Return the label (n,), int64, of each image.

    Args:
        rows: For each image a label or a name, a pair of one and its score, an object with `label`
            and `score`, an object of names and scores, or a list of such, best first.
        names: Of the classes.

    Raises:
        UnknownName: A row names another class.
        SuspectError: A row is none of that.
    """
    return np.array([_best(_pairs(row), Form(), names) for row in rows], np.int64)


def _pairs(row: Any) -> Any:
    """Return pairs of name and score, and objects of them, as entries."""
    if isinstance(row, dict) and "label" not in row:
        row = [[name, score] for name, score in row.items()]
    if not isinstance(row, list | tuple):
        return row
    if len(row) == 2 and isinstance(row[0], str) and _is_number(row[1]):
        row = [row]
    paired = [isinstance(x, list | tuple) and len(x) == 2 and _is_number(x[1]) for x in row]
    if paired and all(paired):
        return [{"label": label, "score": score} for label, score in row]
    return list(row)


def _find(path: str, value: Any) -> list[Any]:
    import jsonpath

    try:
        found = jsonpath.findall(path, value)
    except (jsonpath.JSONPathError, RecursionError, TypeError) as error:
        what = quoted(str(error).strip().partition("\n")[0])
        raise SuspectError(f"the answer cannot be searched for {path}: {what}.") from error
    if not found:
        has = f"an object with {quoted(', '.join(value))}" if isinstance(value, dict) else "none"
        raise SuspectError(f"expected the answer at {path}. Received: {has}.")
    return found


def _per_image(found: list[Any], count: int) -> list[Any]:
    """Return one answer for each image: found one by one, or all in one list, flat or not."""
    rows = found[0] if len(found) == 1 else found
    if count == 1 and not (isinstance(rows, list) and len(rows) == 1):
        return [rows]
    if not isinstance(rows, list) or not rows or len(rows) % count:
        size = len(rows) if isinstance(rows, list) else "one that is no list"
        raise SuspectError(f"expected {count} answers from the server. Received: {size}.")
    size = len(rows) // count
    if size == 1:
        return rows
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _kind(form: Form, row: Any) -> str:
    if form.kind != "auto":
        return form.kind
    if isinstance(row, list) and len(row) > 1 and all(map(_is_number, row)):
        return "scores"
    return "labels"


def _by_name(row: Any, names: Sequence[str] | None) -> Any:
    """Return the scores of an object of names and scores in the order of the names."""
    while isinstance(row, list) and len(row) == 1 and isinstance(row[0], list | dict):
        row = row[0]
    if not isinstance(row, dict):
        return row
    if names is None:
        raise SuspectError(
            f"expected scores from the server. Received: an object with {quoted(', '.join(row))}; "
            "a description that lists `labels` says their order."
        )
    if set(row) != set(names):
        other = sorted(set(row) ^ set(names))
        raise SuspectError(
            f"expected a score for each of {len(names)} labels. Received: not the same names, "
            f"{quoted(other[0])} among them."
        )
    return [row[name] for name in names]


def _scores(rows: list[Any]) -> np.ndarray:
    for row in rows:
        if not isinstance(row, list) or not row or not all(map(_is_number, row)):
            raise SuspectError(
                "expected a row of scores for each image from the server. Received: "
                f"{quoted(repr(row))}."
            )
    sizes = sorted({len(row) for row in rows})
    if len(sizes) > 1:
        raise SuspectError(
            f"expected rows of one length. Received: rows of {' and '.join(map(str, sizes))}."
        )
    return np.array(rows, np.float64)


def _best(row: Any, form: Form, names: Sequence[str] | None) -> int:
    """Return the label of one image: of several entries that with the highest score, or the first.

    A row is a label, an object with label and score, or a list of such entries, best first if they
    have no scores.
    """
    while isinstance(row, list) and len(row) == 1:
        row = row[0]
    entries = [_entry(entry, form, names) for entry in (row if isinstance(row, list) else [row])]
    if not entries:
        raise SuspectError("expected a label for each image from the server. Received: none.")
    scores = [score for _, score in entries]
    if any(score is None for score in scores):
        return entries[0][0]
    return entries[int(np.argmax(np.array(scores, np.float64)))][0]


def _entry(entry: Any, form: Form, names: Sequence[str] | None) -> tuple[int, float | None]:
    """Return label and, if there is one, score."""
    score = None
    if isinstance(entry, dict):
        if form.label not in entry:
            raise SuspectError(
                f"expected the key {form.label!a} in an answer. Received: "
                f"{quoted(', '.join(entry))}."
            )
        entry, score = entry[form.label], entry.get(form.score)
        if score is not None and not _is_number(score):
            raise SuspectError(f"expected a number as score. Received: {quoted(repr(score))}.")
    if isinstance(entry, str):
        classified = None if names and entry in names else _CLASSIFIED.fullmatch(entry)
        if classified:
            return int(classified[2]), _number(classified[1])
        return _named(entry, names), score
    if not _is_number(entry) or entry != int(entry):
        raise SuspectError(f"expected a label from the server. Received: {quoted(repr(entry))}.")
    return int(entry), score


def _named(name: str, names: Sequence[str] | None) -> int:
    if names is not None:
        if name in names:
            return names.index(name)
        raise UnknownName(
            f"expected one of the {len(names)} labels listed. Received: {quoted(name)}."
        )
    if name.isascii() and name.isdecimal() and len(name) < 10:
        return int(name)
    raise UnknownName(
        f"it answers names, {quoted(name)} say: list them in a description under `labels`, in the "
        "order of the fingerprint's classes (`cemfp suspect probe URL --out api.yaml`)."
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SuspectError(f"expected a number as score. Received: {quoted(text)}.") from None


def _is_number(value: Any) -> bool:
    """Whether it is a number that float64 can hold; NaN and infinity are for others to refuse."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not isinstance(value, int) or abs(value) < _LARGEST
