"""The owner's own model as the source of a study: a Keras model, or whatever answers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

from cemfp.data import load
from cemfp.engine.jobs import Job, Progress
from cemfp.models.classifier import Classifier
from cemfp.models.convention import UNIT, Convention
from cemfp.models.directory import CONFIG, KERAS_FILE
from cemfp.models.roles import Origin, Role, require_roles
from cemfp.storage.files import hash_bytes, hash_file, read_json, write_atomic
from cemfp.storage.store import Store
from cemfp.suspects import Suspect, open_suspect
from cemfp.suspects.source import AskedSource

ASKED, ACCURACY = "asked.json", "accuracy.json"
LOGS = "queries"  # in the store: answers outlive the job that asked

# Functions given in Python, by their identity; they live in this process alone.
LIVE: dict[str, Suspect] = {}


@dataclasses.dataclass(frozen=True)
class OwnSource(Job):
    """Open the owner's model, measure its test accuracy, and keep it where other jobs find it.

    Attributes:
        spec: What the user typed: a path, or `python:module:function`. Not part of the identity.
        sha256: Hash of the file, or of what else tells the model from others.
        data: Name of the data set.
        convention: How it wants its images.
        asked: Whether it is a black box, which only answers.
    """

    kind: ClassVar[str] = "own-source"
    heavy: ClassVar[bool] = False

    spec: str = dataclasses.field(metadata={"identity": False})
    sha256: str
    data: str
    convention: Convention = UNIT
    asked: bool = False

    def label(self) -> str:
        """Short name for people."""
        return "the source"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Save a Keras model as a classifier directory, and of a black box how to ask it."""
        dataset = load(self.data)
        if self.asked:
            asking = self.asking(store)
            facts = dataclasses.asdict(asking)
            del facts["log"]  # where that is depends on where the store is
            write_atomic(out / ASKED, json.dumps(facts, indent=1).encode())
            source: Classifier | AskedSource = asking.open()
        else:
            source = open_own(Path(self.spec), self.convention)
            source.save(out)
        test = dataset.test
        progress(f"{len(test)} test images")
        accuracy = source.accuracy(test.images, test.labels)
        write_atomic(out / ACCURACY, json.dumps({"test_accuracy": accuracy}).encode())

    def asking(self, store: Store) -> Asking:
        """Return how to ask a black box; what it answers is remembered in `store`."""
        dataset, log = load(self.data), _log_of(store.root, self.sha256)
        shape, classes = dataset.input_shape, len(dataset.classes)
        return Asking(self.spec, self.sha256, shape, classes, self.convention, str(log))


@dataclasses.dataclass(frozen=True)
class Asking:
    """How a black box is asked, all of it JSON; see `AskedSource`."""

    spec: str
    sha256: str
    input_shape: tuple[int, int, int]
    classes: int
    convention: Convention
    log: str

    def open(self) -> AskedSource:
        """Return the black box."""
        log = Path(self.log)
        log.parent.mkdir(parents=True, exist_ok=True)
        return AskedSource(
            self.spec,
            self._suspect,
            input_shape=self.input_shape,
            classes=self.classes,
            sha256=self.sha256,
            convention=self.convention,
            log=log,
        )

    def _suspect(self) -> Suspect:
        """Who answers."""
        if self.sha256 in LIVE:
            return LIVE[self.sha256]
        shape, fed = self.input_shape, self.convention
        return open_suspect(self.spec, input_shape=shape, classes=self.classes, convention=fed)


@dataclasses.dataclass(frozen=True)
class OwnIndependent(Job):
    """Keep a net that the owner trained as the model was, but that copied nothing.

    Attributes:
        spec: Its path. Not part of the identity.
        sha256: Hash of what is there.
        convention: How it wants its images.
    """

    kind: ClassVar[str] = "own-independent"
    heavy: ClassVar[bool] = False

    spec: str = dataclasses.field(metadata={"identity": False})
    sha256: str
    convention: Convention = UNIT

    def label(self) -> str:
        """Short name for people."""
        return f"independent net {Path(self.spec).name}"

    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Save it as a classifier directory, for calibration."""
        del store, progress
        open_own(Path(self.spec), self.convention, Role.CALIBRATION).save(out)


def load_source(directory: Path) -> Classifier | AskedSource:
    """Return what `OwnSource`, or a training, left in `directory`, an entry of a store.

    A black box is asked nothing twice, also after its store was moved: the log is found beside it.
    """
    if not (directory / ASKED).is_file():
        return Classifier.load(directory)
    facts: dict[str, Any] = read_json(directory / ASKED)
    facts["log"] = str(_log_of(directory.parents[2], facts["sha256"]))
    facts["input_shape"] = tuple(facts["input_shape"])
    facts["convention"] = Convention.of(facts["convention"])
    return Asking(**facts).open()


def _log_of(root: Path, sha256: str) -> Path:
    """Where a store keeps what a black box answered."""
    return root / LOGS / f"{sha256}.jsonl"


def open_own(path: Path, convention: Convention, role: Role = Role.SOURCE) -> Classifier:
    """Open the owner's own Keras file, or a classifier directory.

    Args:
        path: Where it is.
        convention: How a Keras file wants its images.
        role: The source's, or an independent net's.

    Raises:
        ClassifierError: It is none.
        RoleError: The directory says that it is for something else: a suspect, say.
    """
    if (path / CONFIG).is_file():
        made = Classifier.load(path)
        what = "the model to protect" if role == Role.SOURCE else "an independent net"
        require_roles([made], [role], what)
        return made
    file = path / KERAS_FILE if path.is_dir() else path
    made = Classifier.from_keras(file, **dataclasses.asdict(convention))
    return made.with_role(role, Origin.SOURCE if role == Role.SOURCE else Origin.REFERENCE)


def identity(spec: str) -> str:
    """Return what tells the model of `spec` from others, as a SHA-256.

    Of a file or a directory its content. Of a function its name, and the text of its module where
    there is one: what stands behind it nobody sees.
    """
    path = Path(spec)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        parts = [f"{p.relative_to(path).as_posix()} {hash_file(p)}" for p in files]
        return hash_bytes("\n".join(parts).encode())
    if path.is_file():
        return hash_file(path)
    text = ""
    if spec.startswith("python:"):
        module = Path(*spec.split(":")[1].split(".")).with_suffix(".py")
        text = module.read_text("utf-8") if module.is_file() else ""
    return hash_bytes(f"{spec}\n{text}".encode())
