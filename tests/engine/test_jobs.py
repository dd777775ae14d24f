import dataclasses
import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cemfp.engine.jobs import Job, from_json, obtain, plan, to_json
from cemfp.storage.store import Store
from tests.engine.toy_jobs import Fail, Heavy, Recipe, Report, Train, contents, litter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@dataclasses.dataclass(frozen=True)
class Anything(Job):
    kind: ClassVar[str] = "anything"
    value: Any = None

    def run(self, store, out, progress):
        (out / "value").write_text(repr(self.value))


def test_description_and_golden_key():
    """The key is the SHA-256 of this text, which one can type into `sha256sum`."""
    text = '{"job":"train","parts":3,"seed":7,"version":1}'
    job = Train(7)
    assert job.description() == {"job": "train", "version": 1, "seed": 7, "parts": 3}
    assert job.key() == hashlib.sha256(text.encode()).hexdigest()
    assert job.key() == "4d19b5573d4195ab1488086cfbc7128bd1506678892300dbb0f5d4262147e86e"


def test_nested_jobs_stand_as_keys_and_nested_dataclasses_with_their_class():
    job = Report((Train(1), Train(2)), Recipe(3, 0.25, note="cosmetic"))
    assert job.description() == {
        "job": "report",
        "version": 1,
        "models": [{"key": Train(1).key()}, {"key": Train(2).key()}],
        "recipe": {"class": "Recipe", "epochs": 3, "rate": 0.25},
    }
    assert job.key() == "6b5894278990cbb66e05b5314c2c151b5288ac01b79d6bdce65c57a61a896364"


@pytest.mark.parametrize(
    "other",
    [
        Report((Train(1),), Recipe(4)),
        Report((Train(1),), Recipe(3, rate=0.1)),
        Report((Train(1),), Recipe(3, later=2)),
        Report((Train(2),), Recipe(3)),
        Report((Train(1, parts=4),), Recipe(3)),
        Report((Train(1), Train(2)), Recipe(3)),
        Report((Train(1),)),
        Heavy((Train(1),), Recipe(3)),
    ],
)
def test_key_changes_with_a_field_a_nested_field_and_a_dependency(other):
    assert other.key() != Report((Train(1),), Recipe(3)).key()


def test_key_does_not_change_with_what_is_cosmetic():
    plain = Report((Train(1),), Recipe(3))
    assert Report((Train(1, seconds=9.0),), Recipe(3, note="x")).key() == plain.key()


def test_key_changes_with_the_version(monkeypatch):
    before = Train(1).key()
    monkeypatch.setattr(Train, "version", 2)
    assert Train(1).key() != before


def test_values_that_python_calls_equal_have_keys_of_their_own():
    keys = {Anything(value).key() for value in (1, 1.0, True, "1", (1,), None)}
    assert len(keys) == 6


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("nan"), Path("x"), {1}, (1, [2]), b"x"])
def test_a_value_that_is_not_canonical_is_refused(value):
    with pytest.raises(TypeError, match=r"expected .* in 'value'\. Received"):
        Anything(value).key()


def test_a_subclass_without_its_own_decorator_is_refused():
    class Forgotten(Train):
        more: int = 3  # would be missing from the key

    with pytest.raises(TypeError, match="Forgotten"):
        Forgotten(1).key()


def test_dependencies_are_found_at_any_depth_and_once():
    first, second = Train(1), Train(2)
    job = Anything((first, ("x", (second, Train(1)))))
    assert job.dependencies() == (first, second)


def test_plan_is_closed_in_order_and_without_doubles():
    report = Report((Train(2), Train(1)))
    top = Anything((report, Train(1), Train(3)))
    expected = [Train(2), Train(1), report, Train(3), top]
    assert plan([top, report]) == expected == plan([top, top])


def test_transport_keeps_types_and_key():
    job = Anything((Report((Train(1, seconds=0.5),), Recipe(2, note="n")), 1, 1.0, True, None, "é"))
    back = from_json(to_json(job))
    assert back == job and back.key() == job.key()
    assert [type(item) for item in back.value[1:]] == [int, float, bool, type(None), str]


def test_a_class_that_no_other_process_can_import_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Local(Job):
        kind: ClassVar[str] = "local"

        def run(self, store, out, progress):
            pass

    with pytest.raises(TypeError, match="Local"):
        to_json(Local())


def test_obtain_runs_what_is_needed_once(store, tmp_path):
    journal = str(tmp_path / "journal")
    job = Report((Train(1, journal=journal), Train(2, journal=journal)))
    path = obtain(job, store)
    assert obtain(job, store) == path
    assert obtain(Train(1, journal=journal), store).is_dir()
    assert [line.split()[0] for line in Path(journal).read_text().splitlines()] == ["1", "2"]


def test_a_job_that_raises_leaves_nothing(store):
    with pytest.raises(RuntimeError, match="toy broke"):
        obtain(Fail(), store)
    assert not store.has(Fail().key())
    assert litter(store) == []


def _flip(path):
    data = bytearray(path.read_bytes())
    data[100] ^= 8
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("d1/weights.bin", _flip),
        ("d1/weights.bin", lambda path: path.write_bytes(path.read_bytes()[:50])),
        ("d1/weights.bin", lambda path: path.unlink()),
        ("manifest.json", lambda path: path.unlink()),
        ("manifest.json", lambda path: path.write_text("{")),
    ],
)
def test_a_damaged_entry_is_named_and_rebuilt(store, caplog, name, damage):
    job = Train(1)
    path = obtain(job, store)
    before = contents(store, job)
    damage(path / name)
    obtain(job, store)
    assert name in caplog.text and job.key() in caplog.text
    assert contents(store, job) == before
    assert len(list((store.root / "corrupt").iterdir())) == 1


def test_a_damaged_dependency_is_rebuilt_for_the_job_that_needs_it(store, caplog):
    dependency = Train(1)
    _flip(obtain(dependency, store) / "d0" / "weights.bin")
    obtain(Report((dependency,)), store)
    assert "d0/weights.bin" in caplog.text
    assert store.get(dependency.key())


OBTAIN_ALL = """
import sys
from cemfp.storage.store import Store
from cemfp.engine.jobs import obtain
from tests.engine.toy_jobs import Train
store = Store(sys.argv[1])
sys.stdout.write("ready\\n"); sys.stdout.flush()
for seed in map(int, sys.argv[4:]):
    obtain(Train(seed, seconds=float(sys.argv[3]), journal=sys.argv[2]), store)
"""


def _obtain_all(store, journal, seconds, seeds):
    command = [sys.executable, "-c", OBTAIN_ALL, str(store.root), str(journal), str(seconds)]
    process = subprocess.Popen(
        command + [str(seed) for seed in seeds], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


def test_kill_at_random_moments_then_resume(store, tmp_path):
    seeds, rng = range(8), random.Random(5)
    undisturbed = Store(tmp_path / "undisturbed")
    expected = {
        seed: contents(undisturbed, job)
        for seed in seeds
        if obtain(job := Train(seed), undisturbed)
    }
    for _ in range(10):
        process = _obtain_all(store, tmp_path / "journal", 0.1, seeds)
        time.sleep(rng.uniform(0.0, 0.15))
        process.kill()
        process.wait()
        # Whatever has a name is whole.
        for path in (store.root / "objects").glob("*/*"):
            store.get(path.name)
    store.sweep()
    assert litter(store) == []
    assert _obtain_all(store, tmp_path / "journal", 0.0, seeds).wait() == 0
    assert {seed: contents(store, Train(seed)) for seed in seeds} == expected
    assert litter(store) == [] and not (store.root / "corrupt").exists()
    # The kills did hit jobs at work, so this test is about something.
    assert len((tmp_path / "journal").read_text().splitlines()) > len(seeds)


def test_two_processes_on_one_store_run_each_job_once(store, tmp_path):
    journal = tmp_path / "journal"
    first = _obtain_all(store, journal, 0.1, [0, 1, 2, 3, 4])
    second = _obtain_all(store, journal, 0.1, [4, 3, 2, 1, 0])
    assert (first.wait(), second.wait()) == (0, 0)
    runs = [line.split() for line in journal.read_text().splitlines()]
    assert sorted(seed for seed, _ in runs) == list("01234")
    assert len({process for _, process in runs}) == 2  # both took part
    for seed in range(5):
        assert contents(store, Train(seed))
    assert litter(store) == []
