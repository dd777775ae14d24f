"""The jobs from candidates to a fingerprint file, run for real on a net that compiles at once."""

import shutil

import numpy as np
import pytest

from cemfp.engine.jobs import obtain
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.methods import METHODS
from cemfp.jobs.fingerprint import CANDIDATES, FINGERPRINT, MakeCandidates, MakeFingerprint
from cemfp.jobs.train import Net, TrainNet
from cemfp.jobs.zoo import Group
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe

RECIPE = Recipe(epochs=1, batch_size=50, learning_rate=0.02, flip=False, pad=0, precision="float32")
SOURCE = TrainNet(
    "digits", RECIPE, 0, "source", net=Net(arguments=(("width", 1), ("depth", 8))), images=100
)
METHOD = METHODS["c"](steps=30, step_size=0.1)
JOB = MakeFingerprint(MakeCandidates(METHOD, "", SOURCE, Group((), ()), 30), 5, balance=False)


def with_candidates(store, tmp_path, change):
    """Return a store whose candidates are those of `store` after `change`."""
    origin = JOB.candidates
    with np.load(store.get(origin.key()) / CANDIDATES) as arrays:
        changed = change(dict(arrays))
    shutil.copytree(store.root, tmp_path / "other")
    other = Store(tmp_path / "other")
    for job in (origin, JOB):
        other.discard(job.key())
    with other.write(origin.key(), origin.description()) as out:
        np.savez(out / CANDIDATES, **changed)
    return other


@pytest.mark.parametrize("found", ["float32", "bfloat16", None])
def test_the_number_format_of_the_candidates_is_in_the_fingerprint(quick_net, tmp_path, found):
    store = Store(tmp_path / "store")
    made = Fingerprint.load(obtain(JOB, store) / FINGERPRINT)
    assert made.parameters["precision"] == "float32"  # a dense net has no other

    def change(arrays):
        # Another machine chose bfloat16; what was stored before says nothing.
        del arrays["precision"]
        return arrays if found is None else arrays | {"precision": found}

    other = with_candidates(store, tmp_path, change)
    again = Fingerprint.load(obtain(JOB, other) / FINGERPRINT)
    assert again.parameters.get("precision") == found
    np.testing.assert_array_equal(again.inputs, made.inputs)
    assert {**made.parameters, "precision": found} == {"precision": None, **again.parameters}


def test_the_key_stays_as_it_is():
    """Another key means that the work is done again: change it only on purpose."""
    assert JOB.key() == "69cdaac0cc87fa510893ae886a1e82c7459d76845b567a953dba56e8677703dc"
