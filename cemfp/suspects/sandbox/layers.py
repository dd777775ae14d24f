"""How many layers a Keras file asks for: each costs time to build, and a small file can ask for
millions. Counted in the sandbox, before Keras sees the file.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from cemfp.models.architecture import MOST_LAYERS
from cemfp.models.directory import LARGEST_CONFIG


def check_layers(path: Path) -> None:
    """Refuse a `.keras` or HDF5 file of more layers than any net for images has.

    Raises:
        ValueError: It has more than `MOST_LAYERS`, or describes them in more than `LARGEST_CONFIG`
            bytes; or the description is no JSON.
        KeyError: It has none.
    """
    text = _zipped(path) if path.suffix == ".keras" else _attribute(path)
    if len(text) > LARGEST_CONFIG:
        raise ValueError(f"a config of at most {LARGEST_CONFIG >> 20} MiB is expected")
    count = count_layers(json.loads(text))
    if count > MOST_LAYERS:
        raise ValueError(f"at most {MOST_LAYERS} layers are expected, this has {count}")


def count_layers(config: Any) -> int:
    """Return how many layers a config of models lists, those of models inside it included."""
    count, rest = 0, [config]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            listed = part.get("layers")
            count += len(listed) if isinstance(listed, list) else 0
            rest += part.values()
        elif isinstance(part, list):
            rest += part
    return count


def _zipped(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
        return file.read(LARGEST_CONFIG + 1)


def _attribute(path: Path) -> bytes | str:
    import h5py

    with h5py.File(path, "r") as file:
        found = file.attrs["model_config"]
    return found if isinstance(found, bytes | str) else str(found)
