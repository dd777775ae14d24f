"""A classifier's directory: what it is in `config.json`, its weights in `weights.npz`.

Both are hashed, so that damage and an edited role are noticed. The hashes are no signature: who
rewrites a file can rewrite its hash. Nothing here is code.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from cemfp.models.convention import Convention
from cemfp.models.roles import Origin, Role
from cemfp.storage.files import hash_bytes, read_json, write_atomic

SCHEMA_VERSION = 2
UNSEALED = 1  # the version before the config had a hash of its own
CONFIG, WEIGHTS = "config.json", "weights.npz"
KERAS_FILE = "model.keras"  # in place of both, where a user's own model has layers of his own
LARGEST_SIDE, MOST_CLASSES, LARGEST_CONFIG = 4_096, 100_000, 2**25
KERAS = "keras"  # the net of a config whose architecture is not one of ours
WEIGHTS_HASH, CONFIG_HASH = "weights_file_sha256", "config_sha256"


class ClassifierError(ValueError):
    """A classifier cannot be read or used; the message names the file and says what to do."""


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """What a classifier is, all of it JSON.

    Attributes:
        net: Name in `NETS`, or `keras` for a model of another architecture.
        input_shape: Height, width and channels.
        classes: Number of classes.
        arguments: Keyword arguments of the net's builder; of `keras` the convention in which a
            user's own model, which is inside, is fed.
        role: What it may be used for; see `roles.Role`.
        origin: Where its labels came from; see `roles.Origin`.
        training: Whatever describes its training: recipe, seed, data provenance, source's hash,
            accuracies.
        architecture: The layers of a net that is not in `NETS`, as Keras describes them; see
            `architecture.check`. None: not looked up, or one of `NETS`.
        class_names: Names of the classes in their order; empty where nobody said them.
    """

    net: str
    input_shape: tuple[int, int, int]
    classes: int
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    role: str = Role.SOURCE
    origin: str = Origin.SOURCE
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    architecture: dict[str, Any] | None = None
    class_names: tuple[str, ...] = ()


def write(directory: Path, config: ClassifierConfig, weights: bytes) -> None:
    """Write both files; the config comes last and holds the weights' hash and its own."""
    directory.mkdir(parents=True, exist_ok=True)
    write_atomic(directory / WEIGHTS, weights)
    head = {"schema_version": SCHEMA_VERSION, WEIGHTS_HASH: hash_bytes(weights)}
    content = head | dataclasses.asdict(config)
    if config.architecture is None:  # a directory of before had no such field
        del content["architecture"]
    if not config.class_names:  # as before there were any
        del content["class_names"]
    text = json.dumps({CONFIG_HASH: _hash(content), **content}, indent=2)
    write_atomic(directory / CONFIG, text.encode())


def read(directory: Path) -> tuple[ClassifierConfig, bytes]:
    """Return a directory's config and the bytes of its weights, hashes compared.

    Raises:
        ClassifierError: A file is missing or was altered, or the config is not one.
    """
    try:
        if (size := (directory / CONFIG).stat().st_size) > LARGEST_CONFIG:
            raise ValueError(f"{size} bytes of {CONFIG}, at most {LARGEST_CONFIG} are read")
        raw = read_json(directory / CONFIG)
        data = (directory / WEIGHTS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise ClassifierError(
            f"expected a classifier directory with {CONFIG} and {WEIGHTS}. "
            f"Received: {directory} ({error})"
        ) from error
    try:
        _check(directory / CONFIG, raw)
        del raw["schema_version"]
        expected, raw["input_shape"] = raw.pop(WEIGHTS_HASH), tuple(raw["input_shape"])
        raw["class_names"] = tuple(raw.get("class_names", ()))
        config = ClassifierConfig(**raw)
        Role(config.role), Origin(config.origin)
        _check_sizes(config)
    except ClassifierError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ClassifierError(
            f"{directory / CONFIG}: not a classifier's config ({error})"
        ) from error
    if hash_bytes(data) != expected:
        raise ClassifierError(
            f"{directory / WEIGHTS}: not what was written (hash differs); train or copy it again"
        )
    return config, data


def _check_sizes(config: ClassifierConfig) -> None:
    """Refuse sizes that no net has, before one is built with them."""
    arguments = {} if config.net == KERAS else config.arguments
    if config.net == KERAS and not Convention.of(config.arguments).fits(config.input_shape[-1]):
        raise ValueError(f"expected an input convention, got {config.arguments}")
    if (config.net == KERAS) != (config.architecture is not None):
        raise ValueError(f"expected an architecture of {KERAS!r} alone, got one of {config.net!r}")
    for name, sizes, most in (
        ("input_shape", config.input_shape, LARGEST_SIDE),
        ("classes", [config.classes], MOST_CLASSES),
        ("arguments", [x for x in arguments.values() if isinstance(x, int)], LARGEST_SIDE),
    ):
        if not all(isinstance(size, int) and 0 < size <= most for size in sizes):
            raise ValueError(f"expected {name} from 1 to {most}, got {list(sizes)}")
    names = config.class_names
    plain = all(isinstance(name, str) and name.isprintable() for name in names)
    if names and not (plain and len(set(names)) == len(names) == config.classes):
        raise ValueError(f"expected {config.classes} class names, each once, got {len(names)}")


def _check(path: Path, raw: dict[str, Any]) -> None:
    """Compare version and hash of a config, and take the hash out."""
    version = raw["schema_version"]
    if version not in (UNSEALED, SCHEMA_VERSION):
        raise ClassifierError(
            f"expected schema version {SCHEMA_VERSION} or before. Received: {version} in {path}"
        )
    if version != UNSEALED and raw.pop(CONFIG_HASH, None) != _hash(raw):
        raise ClassifierError(
            f"{path}: not what was written (hash differs); roles are decided in training, not "
            "edited: train or copy it again"
        )


def _hash(content: dict[str, Any]) -> str:
    """Hash of a config's JSON, whatever its layout and the order of its keys."""
    # To JSON and back: keys are text then, and tuples lists, as in the file. Not `canonical_json`,
    # for which a training with an infinite number in its record could not be saved.
    plain = json.loads(json.dumps(content))
    return hash_bytes(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())
