"""Jobs: frozen descriptions of a result, and how to obtain it once.

A job's key is the hash of its description, its dependencies' keys included. What exists under that
key in the store need not be run again: resuming, caching and sharing work follow from this alone.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import logging
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from cemfp.storage.store import CorruptEntry, MissingEntry, Store, canonical_json, hash_bytes

logger = logging.getLogger(__name__)

Progress = Callable[[str], object]
"""Takes one line that says what the job is doing now."""


@dataclasses.dataclass(frozen=True)
class Job(ABC):
    """What is wanted and what it needs.

    A subclass is itself a `@dataclass(frozen=True)`. Its fields are None, bool, int, float or str
    of Python's own types, tuples, frozen dataclasses, or other jobs, nested at will. A field with
    `metadata={"identity": False}` changes nothing in the result and stays out of the key. One with
    `metadata={"omit_default": True}` came later, and stays out as long as it has its default, which
    stands for what was done before: keys of stored results stay valid.

    Attributes:
        kind: Name of this sort of job, part of the key.
        version: Part of the key; raise it when `run` gives another result for the same fields.
        heavy: Whether an executor gives the job a process of its own, as trainings need.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    heavy: ClassVar[bool] = True

    @abstractmethod
    def run(self, store: Store, out: Path, progress: Progress) -> None:
        """Write the result's files into the empty directory `out`.

        `store.get(dependency.key())` is the directory of each of `dependencies()`.
        """

    def label(self) -> str:
        """Short name for people."""
        return f"{self.kind} {self.key()[:8]}"

    def sort(self) -> str:
        """Return the name of jobs that take about as long, or in proportion to their `flops`.

        It is the kind, the names of what the job applies (its fields that have a `name`), and the
        data that it, or what it needs, works on.
        """
        fields = (getattr(self, field.name) for field in dataclasses.fields(self))
        names = [name for value in fields if isinstance(name := getattr(value, "name", None), str)]
        return " ".join([self.kind, *names, _data(self)])

    def flops(self) -> float:
        """Return the floating-point operations of `run`; 0 where they are not worth counting."""
        return 0.0

    def description(self) -> dict[str, Any]:
        """Return what defines the result, JSON-able; a nested job stands there as its key."""
        _check_class(type(self))
        return {"job": self.kind, "version": self.version, **_describe_fields(self)}

    def key(self) -> str:
        """Return the SHA-256 of the description's canonical JSON."""
        return self._key

    @functools.cached_property
    def _key(self) -> str:
        return hash_bytes(canonical_json(self.description()).encode())

    def dependencies(self) -> tuple[Job, ...]:
        """Return the jobs in the fields, each once, in the order of the fields."""
        fields = (getattr(self, field.name) for field in dataclasses.fields(self))
        return tuple({job.key(): job for value in fields for job in _jobs_in(value)}.values())


def _data(job: Job) -> str:
    data = getattr(job, "data", "")
    return data or next(filter(None, map(_data, job.dependencies())), "")


def plan(jobs: Iterable[Job]) -> list[Job]:
    """Return `jobs` and all they need, each key once, dependencies first, in a fixed order."""
    ordered: dict[str, Job] = {}

    def add(job: Job) -> None:
        if job.key() in ordered:
            return
        for dependency in job.dependencies():
            add(dependency)
        ordered[job.key()] = job

    for job in jobs:
        add(job)
    return list(ordered.values())


def obtain(job: Job, store: Store, progress: Progress = logger.info) -> Path:
    """Return the directory of the job's result; run it, and what it needs, if it is not there.

    Of several processes that want it at once, one runs it and the others wait. A corrupt entry is
    moved aside with a warning and built anew. Errors of the job pass through; nothing is stored.
    """
    key = job.key()
    # Taken from a job to what it needs, and jobs have no cycles: two processes cannot deadlock.
    with store.lock(key):
        try:
            return store.get(key)
        except MissingEntry:
            pass
        except CorruptEntry as error:
            logger.warning("%s; building %s again", error, job.label())
            store.discard(key)
        for dependency in job.dependencies():
            obtain(dependency, store, progress)
        with store.write(key, job.description()) as out:
            job.run(store, out, progress)
        return store.get(key)


def to_json(job: Job) -> str:
    """Return the job as text for `from_json` in another process of the same installation."""
    return json.dumps(_encode(job, _pack, "job"), allow_nan=False)


def from_json(text: str) -> Job:
    """Rebuild the job of `to_json`. It imports what the text names: not for a stranger's text."""
    job = _decode(json.loads(text))
    if not isinstance(job, Job):
        raise TypeError(f"expected the text of a job. Received: {job!r}")
    return job


def _check_class(cls: type) -> None:
    """Refuse what would give two different jobs one key."""
    if not getattr(cls.__dict__.get("__dataclass_params__"), "frozen", False):
        raise TypeError(f"expected @dataclasses.dataclass(frozen=True) on {cls.__qualname__}")
    reserved = {"job", "version", "class", "key"} & {f.name for f in dataclasses.fields(cls)}
    if reserved:
        raise TypeError(f"expected other field names in {cls.__qualname__}. Received: {reserved}")


def _describe_fields(value: Any) -> dict[str, Any]:
    return {
        field.name: _encode(getattr(value, field.name), _describe, field.name)
        for field in dataclasses.fields(value)
        if field.metadata.get("identity", True)
        and not (
            field.metadata.get("omit_default", False)
            and getattr(value, field.name) == field.default
        )
    }


def _describe(value: Any) -> dict[str, Any]:
    """What a nested dataclass contributes to the key: of a job its key, else class and fields."""
    if isinstance(value, Job):
        return {"key": value.key()}
    _check_class(type(value))
    return {"class": type(value).__name__, **_describe_fields(value)}


def _pack(value: Any) -> dict[str, Any]:
    """All fields and the place of the class, for the transport between processes."""
    return {
        "class": _class_path(type(value)),
        "fields": {
            field.name: _encode(getattr(value, field.name), _pack, field.name)
            for field in dataclasses.fields(value)
            if field.init
        },
    }


def _encode(value: Any, encode_dataclass: Callable[[Any], dict[str, Any]], name: str) -> Any:
    # Exact types: an enum or a NumPy scalar would come back as something else than it went.
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is tuple:
        return [_encode(item, encode_dataclass, name) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encode_dataclass(value)
    raise TypeError(
        f"expected None, bool, int, finite float, str, tuple, frozen dataclass or job in {name!r}. "
        f"Received: {value!r} of type {type(value).__name__}; convert it to one of these"
    )


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if isinstance(value, dict):
        module, name = value["class"].split(":")
        cls: Any = importlib.import_module(module)
        for part in name.split("."):
            cls = getattr(cls, part)
        return cls(**{key: _decode(item) for key, item in value["fields"].items()})
    return value


def _class_path(cls: type) -> str:
    module = cls.__module__
    if module == "__main__":
        # Run with `python -m package.module`, the module has a name that others can import.
        module = getattr(sys.modules["__main__"].__spec__, "name", "__main__")
    if module == "__main__" or "<locals>" in cls.__qualname__:
        raise TypeError(
            f"expected a class that another process can import. Received: {cls.__qualname__} of "
            f"{cls.__module__}; define it at the top of a module"
        )
    return f"{module}:{cls.__qualname__}"


def _jobs_in(value: Any) -> Iterator[Job]:
    if isinstance(value, Job):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _jobs_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _jobs_in(getattr(value, field.name))
