"""A folder with a CSV file of file names and labels: paired by name, never by position."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from cemfp.data.dataset import DataError
from cemfp.data.listing import (
    TEST,
    TEST_FOLDERS,
    TRAIN,
    TRAIN_FOLDERS,
    Item,
    Listing,
    Remarks,
    images_below,
)

FILE_HEADERS = (
    *("file", "filename", "file_name", "filepath", "path", "image", "image_name", "image_path"),
    *("img", "name", "id", "image_id"),
)
LABEL_HEADERS = ("label", "labels", "class", "class_name", "category", "target", "y")
PART_HEADERS = ("split", "part", "subset", "set")


def table_of(root: Path) -> Path | None:
    """Return the one CSV file of a folder; None if there is none, or folders of classes beside it.

    Raises:
        DataError: There are several.
    """
    found = sorted(path for path in root.iterdir() if path.suffix.lower() in (".csv", ".tsv"))
    if len(found) > 1:
        named = [path for path in found if path.stem.lower() == "labels"]
        if len(named) != 1:
            raise DataError(
                f"expected one CSV file of file names and labels in {root}. Received: "
                f"{', '.join(path.name for path in found[:5])}; name the one that is meant"
            )
        return named[0]
    return found[0] if found else None


def list_table(table: Path) -> Listing:
    """List the images below a CSV file's folder that it names.

    Columns are found by their headers; without headers the first has the names and the second the
    labels. A name is a path below the folder, or the name of the one file below it called so, with
    or without its ending. A column `split` (or `part`, `subset`, `set`) gives the parts. Labels
    that are all whole numbers are in the order of numbers, others in the order of strings.

    Raises:
        DataError: No such columns, two labels for one file, or a name that several files have.
    """
    root, remarks = table.parent, Remarks()
    files = {p.relative_to(root).as_posix(): p for p in images_below(root, root, remarks)}
    index = _index(files)
    items: dict[str, Item] = {}
    missing = []
    for name, label, part in _rows(table, index):
        places = index.get(PurePosixPath(name.replace("\\", "/")).as_posix(), set())
        if len(places) > 1:
            raise DataError(
                f"expected a path that one file has. Received: {name} in {table}, which is "
                f"{' and '.join(sorted(places)[:3])}"
            )
        if not places:
            missing.append(name)
            continue
        (place,) = places
        item = Item(part, place, label, files[place])
        if items.setdefault(place, item) != item:
            raise DataError(
                f"expected one label of each file. Received: {items[place].label} and {label} for "
                f"{name} in {table}"
            )
    for name in sorted(set(files) - set(items)):
        remarks.left_out(f"images that {table.name} does not name", name)
    classes = _classes(table, items)
    ordered = sorted(items.values(), key=lambda item: item.name)
    return Listing(tuple(ordered), classes, remarks.all(), tuple(missing))


def _classes(table: Path, items: dict[str, Item]) -> tuple[str, ...]:
    labels = {item.label for item in items.values()}
    if len(labels) < 2:
        raise DataError(
            f"expected images of two or more classes. Received: {table}, which names "
            f"{len(items)} images that are there, of {len(labels)}"
        )
    numbers = all(label.isdecimal() for label in labels)
    return tuple(sorted(labels, key=int if numbers else str))


def _index(files: dict[str, Path]) -> dict[str, set[str]]:
    """Return the files that each way of naming one may mean, the whole path above all."""
    index: dict[str, set[str]] = {}
    for name in files:
        path = PurePosixPath(name)
        for short in {path.name, path.stem, path.with_suffix("").as_posix()}:
            index.setdefault(short, set()).add(name)
    return index | {name: {name} for name in files}


def _rows(table: Path, index: dict[str, set[str]]) -> list[tuple[str, str, str]]:
    """Return (name, label, part) of each row."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            rows = [[x.strip() for x in row] for row in csv.reader(file, delimiter=delimiter)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"expected a CSV file in UTF-8. Received: {table} ({error})") from error
    rows = [row for row in rows if any(row)]
    names, labels, parts = _columns(table, rows, index)
    rows = rows if names is None else rows[1:]
    first_column = 0 if names is None else names
    width = max(first_column, labels, parts or 0)
    if short := next((row for row in rows if len(row) <= width or not row[labels]), None):
        raise DataError(
            f"expected a file name and a label in each row of {table}. Received: {','.join(short)}"
        )
    return [
        (row[first_column], row[labels], "" if parts is None else _part(table, row[parts]))
        for row in rows
    ]


def _columns(
    table: Path, rows: list[list[str]], index: dict[str, set[str]]
) -> tuple[int | None, int, int | None]:
    """Return the places of name, label and part; no place of the name if there are no headers."""
    head = [cell.lower().replace(" ", "_") for cell in rows[0]] if rows else []

    def find(known: tuple[str, ...]) -> int | None:
        return next((head.index(name) for name in known if name in head), None)

    names, labels = find(FILE_HEADERS), find(LABEL_HEADERS)
    if names is not None and labels is not None:
        return names, labels, find(PART_HEADERS)
    if len(head) == 2 and names is None and labels is None:
        return None, 1, None
    raise DataError(
        f"expected columns `file` and `label` in {table}. "
        f"Received: {', '.join(head[:10]) or 'none'}"
    )


def _part(table: Path, cell: str) -> str:
    if cell.lower() in TRAIN_FOLDERS:
        return TRAIN
    if cell.lower() in TEST_FOLDERS:
        return TEST
    raise DataError(f"expected `train` or `test` as the part in {table}. Received: {cell!r}")
