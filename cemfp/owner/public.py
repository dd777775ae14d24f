"""What `import cemfp` offers: protect a model, verify a suspect, try one theft, load images.

These names and their keyword arguments stay as they are between minor versions. Everything else in
the package may move.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cemfp.data import Dataset, DataSpec, job_name, load
from cemfp.data.arrays import from_value
from cemfp.data.conversion import make_entry
from cemfp.fingerprint import artifact
from cemfp.jobs.fingerprint import FINGERPRINT
from cemfp.jobs.source import LIVE, identity
from cemfp.models.classifier import Classifier
from cemfp.models.convention import UNIT, Convention
from cemfp.models.roles import Origin, Role
from cemfp.owner import means
from cemfp.owner.opening import name_unlabelled, open_white_box
from cemfp.owner.planning import Say, Wish
from cemfp.owner.protect import Protected
from cemfp.owner.protect import protect as carry_out
from cemfp.removal import REMOVALS, Removal, Thief, remove
from cemfp.storage.files import hash_bytes, write_atomic
from cemfp.suspects import Fed, Suspect, matched, open_suspect
from cemfp.suspects.names import named
from cemfp.verification import Verdict, verify

# A path or address, a Keras model, a `Classifier`, or a function of images (n, h, w, c).
Model = Any
Images = str | Path | Dataset | tuple[Any, Any]

FEW = 8  # images whose answers tell one function from another
OWN_MODEL = "model.keras"  # in the output: a model that was given in Python


class Fingerprint(artifact.Fingerprint):
    """A fingerprint: inputs and the answers that copies give; `load`, `save`, `verify`."""

    def verify(
        self,
        suspect: Model,
        *,
        scale: Any = 1.0,
        offset: Any = 0.0,
        bgr: bool = False,
        threshold: float | None = None,
        confidence: float = 0.95,
        controls: int | None = None,
        alpha: float | None = None,
        max_queries: int | None = None,
    ) -> Verdict:
        """Say whether a suspect is a copy of the model whose fingerprint this is.

        Args:
            suspect: A Keras model, a function of images to labels or scores, or whatever
                `cemfp verify` takes: a path, `python:module:function`, an address.
            scale: It is fed `x * scale + offset` for x in [0, 1].
            offset: See `scale`.
            bgr: Whether it wants blue first.
            threshold: Overrides the calibration's.
            confidence: Of the interval.
            controls: Ordinary images to ask first; all by default, 0 for none.
            alpha: Of a sequential test; None asks a fixed number of inputs.
            max_queries: Most inputs to ask; all by default.

        Raises:
            SuspectError: It does not fit or gave no usable answer.
        """
        convention = Convention(scale, offset, bgr)
        with named(str(suspect)) if isinstance(suspect, str | Path) else contextlib.nullcontext():
            opened = _suspect(suspect, convention, self)
            return verify(
                self,
                opened,
                threshold=threshold,
                confidence=confidence,
                controls=controls,
                alpha=alpha,
                max_queries=max_queries,
            )


def _suspect(suspect: Model, convention: Convention, asked: artifact.Fingerprint) -> Suspect:
    if isinstance(suspect, str | Path):
        shape, classes = asked.inputs.shape[1:], asked.classes
        opened = open_suspect(
            str(suspect),
            input_shape=shape,
            classes=classes,
            convention=convention,
            class_names=asked.class_names,
        )
        return matched(opened, asked.class_names)
    if isinstance(suspect, Classifier):
        return suspect.predict_labels
    if isinstance(suspect, tf.keras.Model):
        return Classifier.from_keras(suspect, **dataclasses.asdict(convention)).predict_labels
    return Fed(suspect, convention)


def load_data(data: Images, **settings: Any) -> Dataset:
    """Return images as a data set with a training and a test part.

    Args:
        data: A known name, a folder, an `.npz` file, `tfds:NAME`; arrays (images, labels), or two
            such pairs for training and test.
        settings: See `cemfp.data.DataSpec`: `size`, `classes`, `test_share`, `seed`, ...

    Raises:
        DataError: There are no such images.
    """
    return load(_name_of(data, **settings))


def _name_of(data: Images, **settings: Any) -> str:
    if isinstance(data, str | Path):
        return job_name(DataSpec(str(data), **settings))
    spec = DataSpec("python:arrays", **settings)
    return make_entry(spec, from_value("arrays", data))


def protect(
    model: Model,
    data: Images,
    *,
    out: str | Path,
    budget: str | float = "1h",
    store: str | Path | None = None,
    say: Say | None = None,
    progress: bool = True,
    unlabelled: str | Path | None = None,
    **wishes: Any,
) -> Protected:
    """Make a fingerprint of a model from its data, set its threshold, and find what it survives.

    A run that was stopped goes on when it is called again with the same arguments. Nets are trained
    in processes of their own: a script calls this under `if __name__ == "__main__":`.

    Args:
        model: A Keras model or its file; or a black box: a function of images (n, h, w, c) to
            labels or scores, or what else `cemfp protect` takes.
        data: See `load_data`.
        out: Directory of the fingerprint, the report and the summary.
        budget: Time that it may take: `20m`, `2h`, or seconds.
        store: Where models are kept; by default `store` in `out`.
        say: Takes each line for people, `print` say.
        progress: Whether to show progress on standard error.
        unlabelled: Folder of images without labels, from which every second copy learns.
        wishes: See `cemfp.owner.planning.Wish`: `nets`, `surrogates`, `references`, `epsilon`,
            `inputs`, `seed`, `convention`, `start`, `independents`.

    Returns:
        With `fingerprint`, a `Fingerprint`, and `judged`, the suspects of the self-test.
    """
    directory = Path(out)
    seconds = means.seconds(budget) if isinstance(budget, str) else float(budget)
    images = _name_of(data)
    if unlabelled is not None:
        wishes["unlabelled"] = name_unlabelled(Path(unlabelled), images)
    wish = Wish(_spec_of(model, directory, load(images)), images, seconds, **wishes)
    root = Path(store) if store is not None else directory / "store"
    made = carry_out(wish, directory, root, say=say or _silent, progress=progress)
    return dataclasses.replace(made, fingerprint=Fingerprint.load(directory / FINGERPRINT))


def _spec_of(model: Model, out: Path, dataset: Dataset) -> str:
    """Return how jobs find the model: a model of this process is saved, or remembered."""
    if isinstance(model, str | Path):
        return str(model)
    if isinstance(model, Classifier):
        model.save(out / "model")
        return str(out / "model")
    if isinstance(model, tf.keras.Model):
        return str(_saved(model, out / OWN_MODEL))
    # A function's name does not say whether another stands behind it now; some answers do.
    answers = np.asarray(model(dataset.test.take(np.arange(min(FEW, len(dataset.test)))).floats()))
    seen = hash_bytes(np.ascontiguousarray(answers).tobytes())[:12]
    module, name = getattr(model, "__module__", ""), getattr(model, "__qualname__", "model")
    spec = f"python:{module}:{name}:{seen}"
    LIVE[identity(spec)] = model
    return spec


def _saved(model: tf.keras.Model, path: Path) -> Path:
    """Save a model, unless what is there has the same weights: then its file's hash stays."""
    if path.is_file():
        known = Classifier.from_keras(path).weights_sha256
        if known == Classifier.from_keras(model).weights_sha256:
            return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("." + path.name)
    model.save(temporary)
    write_atomic(path, temporary.read_bytes())
    temporary.unlink()
    return path


def _silent(line: str) -> None:
    del line


def steal(
    model: Model,
    attack: str,
    data: Images,
    *,
    net: str = "",
    seed: int = 0,
    progress: Any = None,
    **parameters: Any,
) -> Removal:
    """Try one removal attack on a model of one's own.

    Args:
        model: A Keras model, a classifier, or the file of one.
        attack: Name in `REMOVALS`: `ftal`, `prune`, `retrain`, ...
        data: See `load_data`; its training images are the thief's.
        net: What an extraction attack trains; by default what is usual for such images.
        seed: Decides every random choice of the thief.
        progress: Called as (steps done, steps in all, text).
        parameters: The attack's own.

    Returns:
        With `classifier`, the copy, and `summary`.

    Raises:
        ValueError: There is no such attack.
    """
    if attack not in REMOVALS:
        raise ValueError(f"expected one of {', '.join(REMOVALS)}. Received: {attack!r}")
    dataset, chosen = load_data(data), REMOVALS[attack](**parameters)
    thief = Thief(
        victim=_victim(model, dataset),
        dataset=dataset,
        recipe=chosen.recipe or means.recipe(dataset, batch_norm=True),
        seed=seed,
        images=dataset.train,
        net=net or means.usual_net(dataset).name,
        progress=progress,
    )
    return remove(chosen, thief)


def _victim(model: Model, dataset: Dataset) -> Classifier:
    if isinstance(model, Classifier):
        return model
    if not isinstance(model, str | Path | tf.keras.Model):
        raise ValueError(
            f"expected a Keras model, a classifier, or the file of one. Received: {model!r}"
        )
    if not isinstance(model, tf.keras.Model):
        return open_white_box(Path(model), dataset)
    made = Classifier.from_keras(model, **dataclasses.asdict(UNIT))
    return made.with_role(Role.SOURCE, Origin.SOURCE)
