"""The job that keeps public pre-trained weights, from which an owner's nets start."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import ClassVar

import numpy as np

from cemfp.engine.jobs import Job, Progress
from cemfp.models.start import Named, read_start
from cemfp.storage.files import read_json, write_atomic
from cemfp.storage.store import Store

ARRAYS, LAYERS = "arrays.npz", "layers.json"


@dataclasses.dataclass(frozen=True)
class KeepStart(Job):
    """Keep the arrays of a weights file where trainings on any machine find them.

    Attributes:
        path: The file; see `models.start`. Not part of the identity.
        sha256: Its hash.
    """

    kind: ClassVar[str] = "start"
    heavy: ClassVar[bool] = False

    path: str = dataclasses.field(metadata={"identity": False})
    sha256: str

    def label(self) -> str:
        """Short name for people."""
        return "weights to start from"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write every array, numbered, and the names of the layers."""
        named = read_start(Path(self.path))
        progress(f"{len(named)} layers")
        arrays = [array for own in named.values() for array in own]
        np.savez(out / ARRAYS, *arrays)
        counts = {name: len(own) for name, own in named.items()}
        write_atomic(out / LAYERS, json.dumps(counts).encode())

    def read(self, store: Store) -> Named:
        """Return the arrays by layer, from what `run` wrote."""
        entry = store.get(self.key())
        counts: dict[str, int] = read_json(entry / LAYERS)
        with np.load(entry / ARRAYS, allow_pickle=False) as file:
            arrays = iter([file[f"arr_{number}"] for number in range(len(file.files))])
            return {name: list(itertools.islice(arrays, n)) for name, n in counts.items()}
