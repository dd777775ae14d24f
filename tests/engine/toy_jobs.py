"""Small jobs without TensorFlow, in a module that a worker process can import."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import ClassVar

from cemfp.engine.jobs import Job


@dataclasses.dataclass(frozen=True)
class Recipe:
    epochs: int
    rate: float = 0.5
    note: str = dataclasses.field(default="", metadata={"identity": False})
    later: int = dataclasses.field(default=1, metadata={"omit_default": True})


@dataclasses.dataclass(frozen=True)
class Train(Job):
    """Writes `parts` files of bytes that its seed fixes, pausing between them."""

    kind: ClassVar[str] = "train"
    seed: int
    parts: int = 3
    seconds: float = dataclasses.field(default=0.0, metadata={"identity": False})
    # Each run adds one line with the process's id here.
    journal: str | None = dataclasses.field(default=None, metadata={"identity": False})

    def label(self):
        return f"train s{self.seed}"

    def run(self, store, out, progress):
        if self.journal:
            descriptor = os.open(self.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(descriptor, f"{self.seed} {os.getpid()}\n".encode())
            os.close(descriptor)
        for part in range(self.parts):
            progress(f"part {part + 1}/{self.parts}")
            data = hashlib.sha256(f"{self.seed}/{part}".encode()).digest() * 2000
            folder = out / f"d{part}"
            folder.mkdir()
            (folder / "weights.bin").write_bytes(data)
            time.sleep(self.seconds / self.parts)


@dataclasses.dataclass(frozen=True)
class LightTrain(Train):
    kind: ClassVar[str] = "light train"
    heavy: ClassVar[bool] = False


@dataclasses.dataclass(frozen=True)
class Report(Job):
    """Hash of what it is about; a light job."""

    kind: ClassVar[str] = "report"
    heavy: ClassVar[bool] = False
    models: tuple[Job, ...]
    recipe: Recipe | None = None

    def run(self, store, out, progress):
        lines = []
        for model in self.models:
            files = sorted(p for p in store.get(model.key()).rglob("*") if p.is_file())
            content = b"".join(p.read_bytes() for p in files if p.name != "manifest.json")
            lines.append(hashlib.sha256(content).hexdigest())
        (out / "report.txt").write_text("\n".join(lines))


@dataclasses.dataclass(frozen=True)
class Heavy(Report):
    kind: ClassVar[str] = "heavy report"
    heavy: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True)
class Fail(Job):
    kind: ClassVar[str] = "fail"
    how: str = "raise"

    def run(self, store, out, progress):
        (out / "half.bin").write_bytes(b"half")
        sys.stdout.write("said before the end\n")
        if self.how == "kill":
            os.kill(os.getpid(), 9)
        raise RuntimeError("the toy broke")


@dataclasses.dataclass(frozen=True)
class LightFail(Fail):
    kind: ClassVar[str] = "light fail"
    heavy: ClassVar[bool] = False


@dataclasses.dataclass(frozen=True)
class Threads(Job):
    """Notes the thread settings that its process sees."""

    kind: ClassVar[str] = "threads"

    def run(self, store, out, progress):
        names = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
        (out / "threads.txt").write_text(" ".join(os.environ[name] for name in names))


@dataclasses.dataclass(frozen=True)
class Meet(Job):
    """Notes how many of its like it met at work in `folder`, waiting `seconds` for a second one."""

    kind: ClassVar[str] = "meet"
    number: int
    folder: str
    seconds: float

    def run(self, store, out, progress):
        mark = Path(self.folder, str(self.number))
        mark.touch()
        end, met = time.monotonic() + self.seconds, 1
        while time.monotonic() < end and met < 2:
            met = len(list(Path(self.folder).iterdir()))
            time.sleep(0.02)
        (out / "met").write_text(str(met))
        if met > 1:
            time.sleep(0.5)  # for the other one to see it too
        mark.unlink()


@dataclasses.dataclass(frozen=True)
class Device(Job):
    """Notes which GPU its process was given, and from when to when it worked."""

    kind: ClassVar[str] = "device"
    number: int

    def run(self, store, out, progress):
        begin = time.time()
        time.sleep(0.3)
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
        (out / "device.txt").write_text(f"{gpu} {begin} {time.time()}")


def contents(store, job) -> dict[str, str]:
    """File hashes of a job's entry, without the manifest, which holds times."""
    root = Path(store.get(job.key()))
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name != "manifest.json"
    }


def litter(store) -> list[str]:
    """What lies in the store's folder for half-written entries."""
    return sorted(path.name for path in (store.root / "tmp").glob("*"))
