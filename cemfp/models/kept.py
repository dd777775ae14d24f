"""The trained nets that the repository keeps: `models/NAME/`, and a manifest with their hashes.

A net enters once, when its recipe is settled. The weights are float16; a net's name on the command
line is `zoo:NAME`.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from pathlib import Path
from typing import Any

from cemfp.models.directory import CONFIG, ClassifierError
from cemfp.storage.files import hash_file, read_json, write_atomic

PREFIX = "zoo:"
MANIFEST = "manifest.json"
FOLDER_VARIABLE = "CEMFP_MODELS"


def folder() -> Path:
    """Return where the kept models are: `$CEMFP_MODELS`, or `models/` of the checkout."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else Path(__file__).parents[2] / "models"


def entries() -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each model, by name.

    An entry has `key` (the job that a study makes it by), `command` (which does so), `files`
    (SHA-256 by name), `took_seconds`, and of its config `net`, `role`, `origin`, `test_accuracy`
    and, as saved in float16, `test_accuracy_float16`.

    Raises:
        ClassifierError: There is a manifest, but it is not one.
    """
    path = folder() / MANIFEST
    if not path.is_file():
        return {}
    try:
        found = read_json(path)["models"]
        if any(not {"key", "files"} <= set(entry) for entry in found.values()):
            raise KeyError("key or files")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ClassifierError(f"{path}: not a manifest of models ({error})") from error
    return dict(found)


def find(name: str) -> Path:
    """Return the directory of the model `name`, its files compared with the manifest.

    Raises:
        ClassifierError: There is none of this name, or a file is missing or was altered.
    """
    known = entries()
    if name not in known:
        raise ClassifierError(
            f"expected one of {len(known)} kept models (`cemfp models list`). Received: {name!r}; "
            f"they are in {folder()}, or where {FOLDER_VARIABLE} says"
        )
    directory = folder() / name
    for file, expected in known[name]["files"].items():
        path = directory / file
        if not path.is_file() or hash_file(path) != expected:
            raise ClassifierError(
                f"{path}: not what {MANIFEST} says; get it again with `git checkout {path}`"
            )
    return directory


def resolve(spec: str) -> str:
    """Return the directory of a kept model for `zoo:NAME`; what is none stays as it is.

    Raises:
        ClassifierError: See `find`.
    """
    return str(find(spec.removeprefix(PREFIX))) if spec.startswith(PREFIX) else spec


def matching(pattern: str) -> list[Path]:
    """Return the directories of kept models whose `zoo:NAME` is of a pattern, by name."""
    names = fnmatch.filter(sorted(entries()), pattern.removeprefix(PREFIX))
    return [find(name) for name in names]


def keep(name: str, directory: Path, facts: dict[str, Any]) -> None:
    """Copy a classifier's `directory` to the kept models as `name`; one that is there stays.

    Args:
        name: Its name from now on.
        directory: Written by `Classifier.save`.
        facts: What its entry says beside files, net, role and origin.
    """
    known = entries()
    if name in known:
        return
    config = read_json(directory / CONFIG)
    place = folder() / name
    shutil.rmtree(place, ignore_errors=True)  # left by one who was interrupted
    shutil.copytree(directory, place, ignore=shutil.ignore_patterns(MANIFEST))
    known[name] = {
        **facts,
        **{fact: config[fact] for fact in ("net", "role", "origin")},
        "files": {path.name: hash_file(path) for path in sorted(place.iterdir())},
    }
    text = json.dumps({"models": known}, indent=1) + "\n"
    write_atomic(folder() / MANIFEST, text.encode())
