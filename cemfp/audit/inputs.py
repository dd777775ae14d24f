"""Are the inputs what they are said to be: images of the data set, moved by epsilon at most?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from cemfp.audit.checks import Check, of
from cemfp.data import Dataset, Split
from cemfp.fingerprint import fields
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.candidates import NO_DATA

# Rounding of float32 near 1.
SLACK = 1e-6
ROWS = 256


def check_inputs(fingerprint: Fingerprint, dataset: Dataset) -> Check:
    """Compare the inputs with their starting images, and those with the data set's test images.

    The starting images in the file are not believed: each has to be one of the test images, with
    its label.

    Args:
        fingerprint: Under audit.
        dataset: The judge's own copy of the data set that the owner names.
    """
    count, problems = len(fingerprint), list(_plain_problems(fingerprint))
    originals, truth = fingerprint.originals, fingerprint.true_labels
    if originals is None or truth is None:
        if fingerprint.data.get("name") != NO_DATA["name"]:
            problems.append(f"made of images of {fingerprint.data.get('name')}, and shows none")
        text = f"{count} inputs from noise: no image that they have to be near"
        return of("inputs", problems, text, inputs=count)
    found = find_images(originals, dataset.test)
    known, right = found >= 0, 0
    if known.any():
        right = int(np.sum(dataset.test.labels[found[known]] == truth[known]))
    if not known.all():
        problems.append(
            f"{int((~known).sum())} of {count} starting images are none of "
            f"{dataset.provenance.name}'s {len(dataset.test)} test images"
        )
    if right < int(known.sum()):
        problems.append(f"{int(known.sum()) - right} starting images have another label there")
    distance = float(np.abs(fingerprint.inputs - originals).max())
    epsilon = fingerprint.epsilon
    if epsilon is not None and distance > epsilon + SLACK:
        problems.append(f"an input is {distance:.4f} from its image, epsilon is {epsilon:g}")
    within = f"at most {distance:.4f} from them"
    within += f" (epsilon {epsilon:g})" if epsilon is not None else ""
    return of(
        "inputs",
        problems,
        f"{count} inputs on the 8-bit grid, all from test images of {dataset.provenance.name}, "
        f"{within}",
        inputs=count,
        starting_images_found=int(known.sum()),
        distance=distance,
        epsilon=epsilon,
        same_data=fingerprint.data.get("sha256") == dataset.provenance.sha256,
    )


def find_images(images: np.ndarray, split: Split) -> np.ndarray:
    """Return the number of each image (n, h, w, c) in a split (n,); -1 where it is not there."""
    wanted = images
    if split.images.dtype == np.uint8:
        if not fields.on_grid(images):
            return np.full(len(images), -1)
        wanted = fields.to_levels(images)
    numbers = {digest: number for number, digest in enumerate(_hashes(split.images))}
    return np.array([numbers.get(digest, -1) for digest in _hashes(wanted)], np.int64)


def _hashes(images: np.ndarray) -> Iterator[bytes]:
    """Yield a hash of each image; in pieces, since they may be a memory map."""
    for start in range(0, len(images), ROWS):
        for image in np.ascontiguousarray(images[start : start + ROWS]):
            yield hashlib.sha256(image.data).digest()


def _plain_problems(fingerprint: Fingerprint) -> Iterator[str]:
    """Yield what is wrong with the inputs as such."""
    if fingerprint.domain == "image" and not fingerprint.eight_bit:
        yield "the inputs are not on the 8-bit grid: a picture would carry others"
    repeated = len(fingerprint) - len(set(_hashes(fingerprint.inputs)))
    if repeated:
        yield f"{repeated} inputs occur twice"
