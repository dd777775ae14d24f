"""What a data set holds, for people: counts, what was converted, images that are there twice."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from cemfp.data.cache import facts, row_names
from cemfp.data.dataset import Dataset, Split
from cemfp.data.spec import CACHED

EXAMPLES = 5


def describe(dataset: Dataset, name: str) -> dict[str, Any]:
    """Return everything that is known of a data set but its images, JSON-able.

    Args:
        dataset: Itself.
        name: What `job_name` says: `cached:HASH` for own images, which have a report.
    """
    own = name.startswith(CACHED)
    counts = {
        part: np.bincount(split.labels, minlength=len(dataset.classes))
        for part, split in (("train", dataset.train), ("test", dataset.test))
    }
    classes = [
        {"index": i, "name": label, **{part: int(count[i]) for part, count in counts.items()}}
        for i, label in enumerate(dataset.classes)
    ]
    return {
        "data": name,
        **dataclasses.asdict(dataset.provenance),
        "input_shape": list(dataset.input_shape),
        "type": str(dataset.train.images.dtype),
        "classes": classes,
        "duplicates": duplicates(dataset, row_names(name) if own else {}),
        "report": facts(name)["report"] if own else {},
    }


def duplicates(dataset: Dataset, names: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Count images whose pixels occur before: within a part, in both, and under another class.

    Args:
        dataset: Training images come first.
        names: Files that the rows of `train` and `test` were, for examples; if known.

    Returns:
        `train`, `test`: repetitions within the part; `between`: test images that are training
        images, too; `other_class`: images that occurred before with another label; `examples`:
        pairs of rows or files.
    """
    found: dict[str, Any] = {"train": 0, "test": 0, "between": 0, "other_class": 0}
    first: dict[bytes, tuple[str, int, int]] = {}
    examples: list[list[str]] = []
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        own: set[bytes] = set()
        for row, digest in enumerate(_digests(split)):
            label = int(split.labels[row])
            before = first.setdefault(digest, (part, row, label))
            if before[:2] != (part, row):
                found[part] += digest in own
                found["between"] += before[0] != part
                found["other_class"] += before[2] != label
                if len(examples) < EXAMPLES:
                    examples.append(
                        [_called(before[0], before[1], names), _called(part, row, names)]
                    )
            own.add(digest)
    return {**found, "examples": examples}


def _digests(split: Split) -> Any:
    for image in split.images:
        yield hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _called(part: str, row: int, names: dict[str, list[str]] | None) -> str:
    known = (names or {}).get(part, [])
    return known[row] if row < len(known) else f"{part} {row}"
