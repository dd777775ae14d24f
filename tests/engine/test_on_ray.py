"""Jobs on a real local Ray: several workers, one of which is killed."""

import gc
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from cemfp.engine import ray_task
from cemfp.engine.jobs import to_json
from cemfp.engine.local import run_local
from cemfp.engine.on_ray import RayError, run_on_ray
from cemfp.storage.store import Store
from tests.engine.toy_jobs import Fail, Heavy, Report, Train, contents, litter

# Ray forgets its own processes without waiting for them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def store(tmp_path):
    yield Store(tmp_path / "store")
    gc.collect()


def run(jobs, store, **options):
    return run_on_ray(jobs, store, progress=False, **options)


def starts(journal):
    """Seeds and process ids in the order in which the jobs started."""
    if not journal.exists():
        return []
    return [tuple(map(int, line.split())) for line in journal.read_text().splitlines()]


def kill_first(journal, victim):
    """Wait for a job to start, then kill its process, or Ray's own that started it."""
    while not starts(journal):
        time.sleep(0.05)
    _, process = starts(journal)[0]
    if victim == "parent":
        status = Path(f"/proc/{process}/status").read_text()
        process = int(
            next(line for line in status.splitlines() if line.startswith("PPid")).split()[1]
        )
    os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["child", pytest.param("parent", marks=pytest.mark.slow)])
def test_a_killed_worker_is_replaced_and_the_results_are_the_same(store, tmp_path, victim):
    journal = tmp_path / "journal"
    models = tuple(Train(seed, seconds=1.5, journal=str(journal)) for seed in range(3))
    jobs = [Report(models), Heavy(models[:2])]
    killer = threading.Thread(target=kill_first, args=(journal, victim), daemon=True)
    killer.start()
    outcome = run(jobs, store, processes=2)
    killer.join()
    assert outcome.ok and len(outcome.done) == 5
    assert sorted(seed for seed, _ in starts(journal)).count(starts(journal)[0][0]) == 2
    assert len({process for _, process in starts(journal)}) == 4
    here = Store(tmp_path / "here")
    assert run_local(jobs, here, progress=False).ok
    for job in (*models, *jobs):
        assert contents(store, job) == contents(here, job)
    store.sweep()
    assert litter(store) == []


def test_a_failure_is_not_tried_again_and_names_its_log(store, tmp_path):
    bad = Fail()
    outcome = run([Report((bad,)), Train(1)], store, processes=1)
    assert set(outcome.done) == {Train(1)} and len(outcome.skipped) == 1
    (failure,) = outcome.failed
    assert failure.reason == "RuntimeError: the toy broke"
    assert failure.log.read_text().count("Traceback") == 1


def test_no_cluster_is_one_line(store):
    with pytest.raises(RayError, match=r"expected a Ray cluster at 127\.0\.0\.1:1\. Received"):
        run([], store, address="127.0.0.1:1")


@pytest.mark.parametrize(("limit", "kept"), [(10**6, 1), (0, 0)])
def test_a_process_that_jobs_share_goes_when_it_has_grown(store, monkeypatch, limit, kept):
    """Memory does not come back; the same holds for the local executor's."""
    monkeypatch.setattr(ray_task, "LARGE_MIB", limit)
    job = Train(1)
    well, _ = ray_task.run_task(to_json(job), job.key(), store.uri, threads=1, alone=False)
    shared = list(ray_task._shared)
    for process in shared:
        process.communicate()
        ray_task._shared.remove(process)
    assert well and store.has(job.key())
    assert len(shared) == kept
