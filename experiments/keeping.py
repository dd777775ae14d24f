"""From the store to `models/` and back: nets that were trained once are not trained again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from cemfp.engine.jobs import Job, plan
from cemfp.jobs.zoo import Profile
from cemfp.models import kept
from cemfp.models.classifier import CONFIG, Classifier, ClassifierError
from cemfp.removal import SUMMARY
from cemfp.storage.files import read_json
from cemfp.storage.store import Store
from experiments import zoo


def keep(profile: Profile, store: Store) -> list[str]:
    """Copy the nets of `profile` that the store has to `models/`; return the names of new ones.

    Raises:
        ClassifierError: Another net is kept by the name of one: there is room for one profile's.
    """
    known = kept.entries()
    made = {name: job for name, job in zoo.kept(profile).items() if store.has(job.key())}
    others = [
        name for name, job in made.items() if known.get(name, {}).get("key", job.key()) != job.key()
    ]
    if others:
        raise ClassifierError(
            f"expected a folder of this profile's nets, or an empty one. Received: "
            f"{kept.folder()}, where {', '.join(others[:3])} and so on are other nets; name "
            f"another folder with {kept.FOLDER_VARIABLE}"
        )
    new = {name: job for name, job in made.items() if name not in known}
    for name, job in new.items():
        directory, manifest = store.get(job.key()), store.manifest(job.key())
        training = read_json(directory / CONFIG)["training"]
        measured = read_json(directory / SUMMARY) if (directory / SUMMARY).is_file() else training
        facts = {
            "key": job.key(),
            "command": f"cemfp study run {_experiment(name)} --profile {profile.name}",
            "data": job.data,
            "precision": training.get("precision", ""),
            "test_accuracy": measured["test_accuracy"],
            "weights_sha256": Classifier.load(directory).weights_sha256,
            "test_accuracy_float16": measured["test_accuracy_float16"],
            "took_seconds": manifest["took_seconds"],
            "created_by": manifest["created_by"],
        }
        kept.keep(name, directory, facts)
    return list(new)


def _experiment(name: str) -> str:
    return "cifar10_irremovability" if name.startswith("thief-") else zoo.NAME


def restorable(jobs: Iterable[Job], store: Store) -> dict[str, Job]:
    """Return the jobs that have a kept model, but no result in the store, by the model's name."""
    names = {entry["key"]: name for name, entry in kept.entries().items()}
    known = {names[job.key()]: job for job in plan(jobs) if job.key() in names}
    return {name: job for name, job in known.items() if not store.has(job.key())}


def restore(jobs: Iterable[Job], store: Store) -> list[str]:
    """Put the kept models that `jobs` would train into the store; return their names."""
    found, entries = restorable(jobs, store), kept.entries()
    for name, job in found.items():
        directory, took = kept.find(name), entries[name]["took_seconds"]
        with store.write(job.key(), job.description(), took_seconds=took) as out:
            for file in directory.iterdir():
                shutil.copyfile(file, out / file.name)
    return list(found)
