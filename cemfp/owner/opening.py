"""From what an owner names to the source that is protected, fed as it wants."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cemfp.data import Dataset, DataSpec, job_name, load
from cemfp.jobs.source import OwnIndependent, OwnSource, identity, open_own
from cemfp.models import kept
from cemfp.models.classifier import Classifier, ClassifierError
from cemfp.models.convention import UNIT, Convention
from cemfp.models.directory import CONFIG, KERAS_FILE
from cemfp.models.roles import Role
from cemfp.models.source import Source
from cemfp.owner.probe import ASKED, ASKED_OF_OWN, Probed, probe
from cemfp.storage.store import Store


def is_white_box(spec: str) -> bool:
    """Whether it is a Keras file or a classifier directory, whose weights can be read."""
    path = Path(spec)
    return path.suffix == ".keras" or any((path / name).is_file() for name in (CONFIG, KERAS_FILE))


def name_unlabelled(folder: Path, data: str, max_damaged: int = 0) -> str:
    """Convert the images in and below `folder` to the shape of those of `data`; return their name.

    Raises:
        DataError: There are none, or more than `max_damaged` cannot be read.
    """
    height, width, channels = load(data).input_shape
    return job_name(
        DataSpec(
            str(folder),
            size=(height, width),
            max_damaged=max_damaged,
            channels=channels,
            unlabelled=True,
        )
    )


def open_source(
    spec: str, data: str, store: Store, convention: Convention | None = None
) -> tuple[OwnSource, Probed]:
    """Open the model to protect, and find out how it wants its images.

    Args:
        spec: `.keras` file, classifier directory, `zoo:NAME`, or what else answers; see
            `suspects`.
        data: Name of the data set.
        store: Where a black box's answers are remembered.
        convention: How it wants its images, if that is known.

    Returns:
        The job that keeps it for other jobs, and what was found.

    Raises:
        NotItsTask: It is right on hardly more than chance.
        ClassifierError, SuspectError: It cannot be opened.
    """
    spec = kept.resolve(spec)
    white = is_white_box(spec)
    if white and not Path(spec).exists():
        raise ClassifierError(f"{spec}: no such file or directory")
    place = str(Path(spec).absolute()) if Path(spec).exists() else spec
    job = OwnSource(place, identity(spec), data, UNIT, asked=not white)

    def open_as(chosen: Convention) -> Source:
        if white:
            return open_own(Path(spec), chosen)
        return dataclasses.replace(job, convention=chosen).asking(store).open()

    given = UNIT if (Path(spec) / CONFIG).is_file() else convention
    count = ASKED_OF_OWN if white else ASKED
    found = probe(spec, open_as, load(data), given, count)
    return dataclasses.replace(job, convention=found.convention), found


def open_independent(spec: str, dataset: Dataset, source: OwnSource) -> OwnIndependent:
    """Open a net that the owner trained himself, and find out how it wants its images.

    Args:
        spec: `.keras` file, or a classifier directory of the role `calibration`.
        dataset: What it was trained for.
        source: The model to protect, which it must not be.

    Raises:
        ClassifierError: It is neither, or the model to protect.
        NotItsTask: It is right on hardly more than chance.
        RoleError: The directory says that it is for something else.
    """
    path = Path(spec)
    if not is_white_box(spec):
        raise ClassifierError(
            "expected a .keras file or a classifier directory as an independent net. Received: "
            f"{spec}"
        )
    if identity(spec) == source.sha256:
        raise ClassifierError(
            "expected independent nets, trained again with other seeds. Received: "
            f"{spec}, the model to protect"
        )
    given = UNIT if (path / CONFIG).is_file() else None
    found = probe(
        spec, lambda chosen: open_own(path, chosen, Role.CALIBRATION), dataset, given, ASKED_OF_OWN
    )
    return OwnIndependent(str(path.absolute()), identity(spec), found.convention)


def open_white_box(
    path: Path, dataset: Dataset, convention: Convention | None = None
) -> Classifier:
    """Open a Keras file or a classifier directory, in the convention in which it does its task.

    Raises:
        NotItsTask: It is right on hardly more than chance.
        ClassifierError: It cannot be opened.
    """
    given = UNIT if (path / CONFIG).is_file() else convention
    found = probe(str(path), lambda chosen: open_own(path, chosen), dataset, given, ASKED_OF_OWN)
    assert isinstance(found.source, Classifier)
    return found.source
