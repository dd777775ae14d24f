"""A study killed with its whole process group, again and again, ends as if nothing had happened."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cemfp.engine.local import run_local
from cemfp.jobs.zoo import make_zoo
from cemfp.storage.store import Store
from experiments.profiles import PROFILES
from tests.engine.stores import differences
from tests.engine.toy_jobs import Heavy, Report, Train, litter

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
from cemfp.storage.store import Store
from cemfp.engine.local import run_local
from tests.engine.test_killed import JOBS
run_local(JOBS[sys.argv[2]](), Store(Path(sys.argv[1])), processes=2, progress=False)
"""


def toy_jobs():
    models = tuple(Train(seed, seconds=0.4) for seed in range(6))
    return [Report(models), Heavy(models[:3]), Heavy(models[3:])]


def zoo_jobs():
    """Trainings of digits, a pair in each role."""
    one = dataclasses.replace(PROFILES["demo"], defender=1, calibration=1, evaluation=1)
    return list(make_zoo(one).everyone)


JOBS = {"toy": toy_jobs, "zoo": zoo_jobs}


def run_until_done(command, *, kills, longest, seed):
    """Run `command`, killing its process group `kills` times at random moments; then let it end.

    Returns:
        How many runs were killed before they ended by themselves.
    """
    chance, killed = random.Random(seed), 0
    for _ in range(kills):
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        try:
            process.wait(chance.uniform(0.1, longest))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    subprocess.run(command, cwd=ROOT, check=True)
    return killed


@pytest.mark.parametrize(
    ("name", "longest"), [("toy", 7.0), pytest.param("zoo", 20.0, marks=pytest.mark.slow)]
)
def test_a_killed_study_ends_with_the_same_store(tmp_path, name, longest):
    whole, killed = Store(tmp_path / "whole"), Store(tmp_path / "killed")
    assert run_local(JOBS[name](), whole, processes=2, progress=False).ok
    command = [sys.executable, "-c", SCRIPT, str(killed.root), name]
    assert run_until_done(command, kills=4, longest=longest, seed=0) > 0
    assert differences(whole, killed) == []
    time.sleep(1.0)  # workers notice within half a second that their parent is gone
    killed.sweep()
    assert litter(killed) == [] and not (killed.root / "corrupt").exists()
