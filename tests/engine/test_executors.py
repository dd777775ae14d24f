import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cemfp.engine import progress
from cemfp.engine.executors import execute
from cemfp.engine.jobs import obtain
from cemfp.engine.local import LocalBackend, run_local
from cemfp.storage.store import Store
from tests.engine.toy_jobs import (
    Device,
    Fail,
    Heavy,
    LightFail,
    LightTrain,
    Meet,
    Report,
    Threads,
    Train,
    contents,
    litter,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def run(jobs, store, **options):
    return run_local(jobs, store, progress=False, **options)


def started(journal):
    """Seeds and process ids in the order in which the jobs started."""
    return [tuple(map(int, line.split())) for line in journal.read_text().splitlines()]


def test_jobs_run_after_what_they_need_each_in_its_process(store, tmp_path):
    journal = tmp_path / "journal"
    models = tuple(Train(seed, journal=str(journal)) for seed in range(3))
    top = Report((Heavy(models), models[0]))
    outcome = run([top], store, processes=2)
    assert outcome.ok and len(outcome.done) == 5 and outcome.seconds > 0
    assert {seed for seed, _ in started(journal)} == {0, 1, 2}
    processes = {process for _, process in started(journal)}
    assert len(processes) == 3 and os.getpid() not in processes
    assert store.get(top.key()) and litter(store) == []


def test_what_is_there_is_not_run_again(store, tmp_path):
    journal = tmp_path / "journal"
    jobs = [Train(seed, journal=str(journal)) for seed in range(3)]
    obtain(jobs[1], store)
    assert len(run(jobs, store).done) == 3
    assert len(run(jobs, store).done) == 3
    assert sorted(seed for seed, _ in started(journal)) == [0, 1, 2]


def test_a_damaged_result_is_rebuilt(store, caplog):
    job = Train(1)
    weights = obtain(job, store) / "d0" / "weights.bin"
    before = contents(store, job)
    weights.write_bytes(b"x" * weights.stat().st_size)  # the right size, the wrong bytes
    assert run([job], store).ok
    assert contents(store, job) == before
    assert "d0/weights.bin" in caplog.text


@pytest.mark.parametrize(("processes", "seconds", "met"), [(2, 30.0, "2"), (1, 0.3, "1")])
def test_as_many_jobs_at_once_as_asked_for(store, tmp_path, processes, seconds, met):
    (tmp_path / "room").mkdir()
    jobs = [Meet(number, str(tmp_path / "room"), seconds) for number in range(2)]
    assert run(jobs, store, processes=processes).ok
    assert [(store.get(job.key()) / "met").read_text() for job in jobs] == [met, met]


@pytest.mark.parametrize("bad", [Fail(), Fail("kill"), LightFail()])
def test_a_failure_stops_only_what_depends_on_it(store, caplog, bad):
    middle = Heavy((bad,))
    top = Report((middle, Train(1)))
    outcome = run([top, Train(2)], store, processes=2)
    assert not outcome.ok
    assert set(outcome.done) == {Train(1), Train(2)}
    assert set(outcome.skipped) == {middle, top}
    (failure,) = outcome.failed
    assert failure.job == bad
    assert failure.log == store.root / "logs" / f"{bad.key()}.log"
    killed = "killed by signal 9, maybe for want of memory; fewer jobs at once need less"
    assert failure.reason == (killed if bad == Fail("kill") else "RuntimeError: the toy broke")
    assert str(failure.log) in outcome.summary() and str(failure.log) in caplog.text
    store.sweep()
    assert litter(store) == []


def test_the_log_holds_output_progress_and_traceback(store):
    run([Fail(), Train(1), LightFail()], store)
    for bad in (Fail(), LightFail()):
        log = (store.root / "logs" / f"{bad.key()}.log").read_text()
        assert "said before the end" in log and "Traceback" in log
    assert "part 3/3" in (store.root / "logs" / f"{Train(1).key()}.log").read_text()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"threads_per_process": 3}, "3 3"),
        ({"processes": 1}, " ".join(2 * [str(os.cpu_count())])),
        ({"processes": 10_000}, "1 1"),
    ],
)
def test_threads_are_set_before_the_process_starts(store, options, expected):
    run([Threads()], store, **options)
    assert (store.get(Threads().key()) / "threads.txt").read_text() == expected


def test_each_gpu_has_one_job_at_a_time(store):
    jobs = [Device(number) for number in range(5)]
    backend = LocalBackend(store, 4, 1, gpus=("3", "5"))
    assert backend.slots == 2
    assert execute(jobs, store, backend, progress=False).ok
    notes = [(store.get(job.key()) / "device.txt").read_text().split() for job in jobs]
    assert {gpu for gpu, *_ in notes} == {"3", "5"}
    for gpu in ("3", "5"):
        spans = sorted((float(a), float(b)) for name, a, b in notes if name == gpu)
        ends, begins = [end for _, end in spans[:-1]], [begin for begin, _ in spans[1:]]
        assert all(end <= begin for end, begin in zip(ends, begins, strict=True))


def test_light_jobs_share_a_process_and_survive_its_end(store, tmp_path):
    journal = tmp_path / "journal"
    lights = [LightTrain(seed, journal=str(journal)) for seed in range(3)]
    assert run([*lights, LightFail()], store).failed
    assert len({process for _, process in started(journal)}) == 1
    assert run([LightTrain(9, journal=str(journal)), LightFail("kill")], store).failed
    assert store.has(LightTrain(9).key())


@pytest.mark.parametrize("name", ["processes", "threads_per_process"])
def test_bad_counts_are_refused(store, name):
    with pytest.raises(ValueError, match=f"`{name}` of at least 1. Received: 0"):
        run([], store, **{name: 0})


def test_the_line_shows_jobs_and_time_left(store, capfd):
    run_local([Train(seed) for seed in range(2)], store, progress=True)
    shown = capfd.readouterr().err
    lines = shown.splitlines()
    assert lines[0].startswith("0/2 jobs, time left unknown, 1 running, train s0")
    assert lines[-1].startswith("2/2 jobs, 00:00 left, 0 running")


RUN = """
import signal, sys
# A shell starts its background jobs with interrupts ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
from cemfp.storage.store import Store
from cemfp.engine.local import run_local
from tests.engine.toy_jobs import Train
jobs = [Train(seed, seconds=0.0 if seed == 0 else 60.0, journal=sys.argv[2]) for seed in range(4)]
run_local(jobs, Store(sys.argv[1]), processes=2, progress=False)
"""


@pytest.fixture
def study(store, tmp_path):
    """A study in a process of its own, with one job done, two at work and one waiting."""
    journal = tmp_path / "journal"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(store.root), str(journal)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: journal.exists() and len(started(journal)) == 3)
    wait_for(lambda: store.has(Train(0).key()))
    yield process, [pid for seed, pid in started(journal) if seed > 0]
    process.kill()
    process.communicate()


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def alive(process_id):
    process = Path(f"/proc/{process_id}")
    try:
        state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
        threads = len(list((process / "task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return False
    # A zombie is dead, and whoever adopted it reaps it later; but as long as one of its threads is
    # still ending, it holds its locks.
    return state != "Z" or threads > 1


def test_an_interrupt_ends_the_children_and_is_raised_again(store, study):
    process, children = study
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in error
    assert process.returncode == -signal.SIGINT
    assert not any(map(alive, children))
    assert litter(store) == []
    assert store.get(Train(0).key())
    assert [store.has(Train(seed).key()) for seed in range(4)] == [True, False, False, False]


def test_a_terminated_child_cleans_up_after_itself(store, study):
    _, children = study
    os.kill(children[0], signal.SIGTERM)
    wait_for(lambda: not alive(children[0]))
    assert not [name for name in litter(store) if name.startswith(f"{children[0]}-")]
    assert [name for name in litter(store) if name.startswith(f"{children[1]}-")]


def test_children_die_with_a_killed_parent_and_the_study_resumes(store, study):
    process, children = study
    assert len(litter(store)) == 4  # two folders with their locks
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(alive, children)))
    assert run([Train(seed) for seed in range(4)], store, processes=2).ok
    assert litter(store) == [] and not (store.root / "corrupt").exists()


def test_a_worker_finds_the_experiments_wherever_it_is_started(tmp_path):
    """Ray's own processes do not have the checkout in their path."""
    code = (
        "import sys, pathlib; from cemfp.engine.worker import start_worker; "
        "process = start_worker(pathlib.Path('log'), 1, {}, ['experiments.profiles']); "
        "process.communicate(); sys.exit(process.returncode)"
    )
    path = os.pathsep.join(p for p in sys.path if p and not (Path(p) / "experiments").is_dir())
    run = [sys.executable, "-P", "-c", code]
    done = subprocess.run(run, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 0, (tmp_path / "log").read_text()


def test_a_long_job_without_a_terminal_still_speaks(store, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 0.3)
    assert run_local([Train(0, seconds=1.5)], store, processes=1).ok
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("0/1 jobs, time left unknown, 1 running, ") for line in lines) >= 3


NICE = """
import os, pathlib, sys, time
from cemfp.engine.worker import start_worker
worker = start_worker(pathlib.Path(sys.argv[1]), 1, {})
for _ in range(300):
    said = pathlib.Path(f"/proc/{worker.pid}/autogroup").read_text()
    if said.endswith(f"nice {os.nice(0)}\\n"):
        break
    time.sleep(0.1)
worker.kill()
print(said)
"""


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="Linux with autogroups only")
def test_a_nice_study_has_nice_workers(tmp_path):
    command = ["nice", "-n", "5", sys.executable, "-c", NICE, tmp_path / "log"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert f"nice {min(os.nice(0) + 5, 19)}" in said.stdout
