import datetime
import ftplib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid

import fsspec
import pytest

from cemfp.engine.jobs import obtain
from cemfp.engine.local import run_local
from cemfp.storage import remote_files
from cemfp.storage.remote_store import RemoteStore, open_store, without_password
from cemfp.storage.store import CorruptEntry, MissingEntry, Store, StoreError, hash_bytes
from tests.engine.toy_jobs import Report, Train, contents, litter
from tests.storage.ftp_server import Server

KEY = hash_bytes(b"an entry")


@pytest.fixture
def server(tmp_path):
    (tmp_path / "disk").mkdir()
    server = Server(tmp_path / "disk")
    yield server
    server.stop()


@pytest.fixture
def machine(server, tmp_path):
    """Stores with caches of their own, by the machine's name."""
    return lambda name: open_store(server.uri, cache=tmp_path / name)


@pytest.fixture
def memory(tmp_path):
    uri = f"memory://{uuid.uuid4()}"
    return lambda name: open_store(uri, cache=tmp_path / name)


@pytest.fixture
def no_waits(monkeypatch):
    monkeypatch.setattr(remote_files, "_WAITS", (0.0, 0.0))


def put(store, data=b"alpha", key=KEY):
    with store.write(key, {"job": "toy"}) as out:
        (out / "sub").mkdir()
        (out / "sub" / "a.bin").write_bytes(data)
        (out / "empty").touch()


def read(store, key=KEY):
    return (store.get(key) / "sub" / "a.bin").read_bytes()


def there(server):
    """The files on the server's disk."""
    return sorted(p.relative_to(server.folder / "team/study").as_posix() for p in files(server))


def files(server):
    return [path for path in server.folder.rglob("*") if path.is_file()]


def test_a_path_or_a_file_uri_is_a_local_store(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    root = tmp_path / "a store"
    for uri in (root, str(root), root.as_uri(), "~/a store", open_store(root).uri):
        store = open_store(uri, cache=tmp_path / "unused")
        assert type(store) is Store and store.root == root
    with pytest.raises(StoreError, match="expected file:///absolute/path"):
        open_store("file://relative/path")


def test_the_cache_is_below_the_home_directory_one_for_each_place(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    one, same, other = map(open_store, ("memory://one", "memory://one/", "memory://other"))
    assert one.root.parent == tmp_path / ".cache/cemfp/remote"
    assert one.root == same.root != other.root
    again = open_store(one.uri)
    assert isinstance(again, RemoteStore) and again.root == one.root


def test_what_one_machine_writes_another_reads(machine, server):
    here, elsewhere = machine("here"), machine("elsewhere")
    assert not here.has(KEY) and not elsewhere.has(KEY)
    with pytest.raises(MissingEntry, match=KEY):
        elsewhere.get(KEY)
    put(here)
    assert here.has(KEY) and elsewhere.has(KEY)
    assert there(server) == [f"objects/{KEY[:2]}/{KEY}.zip"]
    assert elsewhere.manifest(KEY) == here.manifest(KEY)
    path = elsewhere.get(KEY)
    assert path == elsewhere.root / "objects" / KEY[:2] / KEY
    assert (path / "sub" / "a.bin").read_bytes() == b"alpha"
    assert (path / "empty").read_bytes() == b""
    assert litter(here) == litter(elsewhere) == []


@pytest.mark.parametrize("length", [10, 1 << 16])  # the last 64 KiB are read
def test_a_manifest_needs_no_download_if_it_is_small(memory, length):
    with memory("here").write(KEY, {"job": "x" * length}) as out:
        (out / "big.bin").write_bytes(bytes(200_000))
    store = memory("elsewhere")
    assert store.manifest(KEY) == memory("here").manifest(KEY)
    assert (store.root / "objects").exists() == (length > 10)
    assert litter(store) == []
    with pytest.raises(MissingEntry):
        store.manifest(hash_bytes(b"another"))


def test_what_is_in_the_cache_needs_no_server(machine, server):
    store = machine("here")
    put(store)
    server.stop()
    assert store.has(KEY) and read(store) == b"alpha" and store.manifest(KEY)["key"] == KEY


def test_a_block_that_raises_uploads_nothing(machine, server):
    store = machine("here")
    with pytest.raises(RuntimeError), store.write(KEY, {}) as out:
        (out / "a").touch()
        raise RuntimeError
    assert not store.has(KEY) and files(server) == []


def test_the_first_machines_entry_stays(memory):
    first, second = memory("first"), memory("second")
    put(first, b"first")
    put(second, b"second")  # results of one key are equal; these differ to be told apart
    assert read(memory("third")) == b"first"


def test_hundreds_of_keys_are_asked_for_with_one_list(machine, server):
    writer, reader = machine("writer"), machine("reader")
    put(writer)
    packed = files(server)[0]
    keys = [hash_bytes(str(number).encode()) for number in range(240)]
    for key in keys[:40]:
        path = packed.parents[1] / key[:2] / f"{key}.zip"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(packed, path)
    folders = len({key[:2] for key in [*keys[:40], KEY]})
    server.commands.clear()
    assert [reader.has(key) for key in keys] == [True] * 40 + [False] * 200
    assert server.commands.count("MLSD") == 1 + folders
    server.commands.clear()
    assert all(map(reader.has, keys[:40])) and server.commands == []


def test_who_asks_again_learns_what_is_new(memory):
    here, elsewhere = memory("here"), memory("elsewhere")
    assert not elsewhere.has(KEY)
    put(here)
    assert elsewhere.has(KEY)
    elsewhere.discard(KEY)
    assert not elsewhere.has(KEY)
    with pytest.raises(MissingEntry):
        elsewhere.get(KEY)
    here.discard(KEY)
    put(here)
    assert elsewhere.has(KEY)


def test_a_key_of_another_form_is_refused(memory):
    for method in ("has", "get", "manifest", "discard"):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            getattr(memory("here"), method)("../evil")


SLOW_WRITER = """
import sys
from pathlib import Path
from cemfp.storage.remote_store import open_store
with open_store(sys.argv[1], cache=Path(sys.argv[2])).write(sys.argv[3], {}) as out:
    (out / "sub").mkdir()
    (out / "sub" / "a.bin").write_bytes(bytes(4_000_000))
"""


def test_a_writer_killed_in_mid_upload_leaves_nothing_to_believe(machine, server, tmp_path):
    command = [sys.executable, "-c", SLOW_WRITER, server.uri, str(tmp_path / "here"), KEY]
    with subprocess.Popen(command) as writer:
        while not any(path.stat().st_size for path in files(server)):
            assert writer.poll() is None
            time.sleep(0.002)
        writer.send_signal(signal.SIGKILL)
    assert [path.parent.name for path in files(server)] == ["tmp"]
    here, elsewhere = machine("here"), machine("elsewhere")
    assert not here.has(KEY) and not elsewhere.has(KEY)
    with pytest.raises(MissingEntry):
        elsewhere.get(KEY)
    # The finished result is not lost: its machine uploads it when it is wanted next.
    assert read(here) == bytes(4_000_000) and here.has(KEY)
    assert elsewhere.has(KEY) and read(elsewhere) == bytes(4_000_000)


DAY = 86_400


def leave(server, name, age):
    """Put a file where uploads begin, last written to `age` seconds ago."""
    path = server.folder / "team/study/tmp" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half of an entry")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_the_first_upload_deletes_what_died_a_day_ago_and_no_more(machine, server):
    dead = leave(server, "0" * 32, DAY + 60)
    live, foreign = leave(server, "1" * 32, DAY - 60), leave(server, "notes.txt", 9 * DAY)
    here = machine("here")
    assert not here.has(KEY) and dead.exists()  # who only reads deletes nothing
    put(here)
    assert not dead.exists() and live.exists() and foreign.exists()
    assert read(machine("elsewhere")) == b"alpha"
    # One look for each process; the next one looks again.
    late = leave(server, "2" * 32, 2 * DAY)
    put(here, key=hash_bytes(b"another"))
    assert late.exists()
    put(machine("third"), key=hash_bytes(b"third"))
    assert not late.exists()


def test_the_servers_clock_counts(machine, server):
    # A server whose clock is ten days behind: what it takes for now is the object's time.
    put(machine("here"))
    then = time.time() - 10 * DAY
    os.utime(*[path for path in files(server) if path.suffix == ".zip"], (then, then))
    live, dead = leave(server, "0" * 32, 10.5 * DAY), leave(server, "1" * 32, 11.5 * DAY)
    name = f"objects/{KEY[:2]}/{KEY}.zip"
    remote_files.RemoteFiles(server.uri).sweep(DAY, before=name)
    assert live.exists() and not dead.exists()


def test_an_upload_that_is_under_way_is_not_touched(machine, server):
    name = f"team/study/tmp/{'a' * 32}"
    leave(server, "b" * 32, 2 * DAY)
    with ftplib.FTP() as other:
        other.connect("127.0.0.1", server.port)
        other.login("me", "secret")
        with other.transfercmd(f"STOR {name}") as connection:
            connection.sendall(b"first half, ")
            put(machine("here"))
            connection.sendall(b"second half")
        other.voidresp()
        other.rename(name, "team/study/whole")
    assert (server.folder / "team/study/whole").read_bytes() == b"first half, second half"
    assert there(server) == [f"objects/{KEY[:2]}/{KEY}.zip", "whole"]


def test_what_may_not_be_deleted_fails_no_upload(tmp_path, no_waits):
    server = Server(tmp_path, may_delete=False)
    try:
        dead = leave(server, "0" * 32, 2 * DAY)
        store = open_store(server.uri, cache=tmp_path / "cache")
        put(store)
        assert dead.exists() and store.has(KEY)
        assert "DELE" in server.commands
    finally:
        server.stop()


@pytest.mark.parametrize("knows", [True, False])
def test_another_file_system_is_swept_if_it_knows_when_a_file_was_written(
    memory, monkeypatch, knows
):
    store, system = memory("here"), fsspec.filesystem("memory")
    folder = f"/{store.uri.removeprefix('memory://')}/tmp"
    paths = {age: f"{folder}/{age:032x}" for age in (DAY - 60, DAY + 60)}
    for age, path in paths.items():
        system.pipe_file(path, b"half")
        system.store[path].modified -= datetime.timedelta(seconds=age)
    if not knows:
        monkeypatch.setattr(type(system), "modified", fsspec.AbstractFileSystem.modified)
    put(store)
    assert store.has(KEY) and system.exists(paths[DAY - 60])
    assert system.exists(paths[DAY + 60]) != knows


@pytest.mark.parametrize("place", [100, -10, None])
def test_an_object_that_rots_on_the_server_is_rebuilt(machine, server, tmp_path, place, caplog):
    journal = tmp_path / "journal"
    job = Train(1, journal=str(journal))
    obtain(job, machine("here"))
    good = contents(machine("here"), job)
    (packed,) = files(server)
    data = bytearray(packed.read_bytes())
    data[place if place is not None else len(data) // 2] ^= 1
    packed.write_bytes(data)
    elsewhere = machine("elsewhere")
    with pytest.raises(CorruptEntry, match=f"{job.key()}.zip"):
        elsewhere.get(job.key())
    assert litter(elsewhere) == [] and not (elsewhere.root / "objects").exists()
    obtain(job, elsewhere)
    assert contents(elsewhere, job) == contents(machine("third"), job) == good
    assert len(journal.read_text().splitlines()) == 2
    assert "building train s1 again" in caplog.text
    (aside,) = (elsewhere.root / "corrupt").iterdir()
    assert aside.read_bytes() == data


def test_a_well_packed_entry_of_another_key_or_with_a_broken_seal_is_refused(machine, server):
    put(machine("here"))
    (packed,) = files(server)
    other = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")
    shutil.copy(packed, packed.with_name(f"{other}.zip"))
    with pytest.raises(CorruptEntry, match=r"manifest\.json is not what was written"):
        machine("elsewhere").get(other)
    with pytest.raises(CorruptEntry, match=r"manifest\.json is not what was written"):
        machine("elsewhere").manifest(other)


def test_a_damaged_cache_is_set_aside_and_filled_again_from_the_store(machine, server, caplog):
    store = machine("here")
    put(store)
    (packed,) = files(server)
    good = packed.read_bytes()
    (store.get(KEY) / "sub" / "a.bin").write_bytes(b"alphb")
    assert read(store) == b"alpha" and "downloaded again" in caplog.text
    assert packed.read_bytes() == good
    (aside,) = (store.root / "corrupt").iterdir()
    assert (aside / "sub" / "a.bin").read_bytes() == b"alphb"


def test_what_was_never_uploaded_and_rotted_is_an_error(machine, server, no_waits):
    store = machine("here")
    put(store)
    (packed,) = files(server)
    packed.unlink()
    (store.root / "pending" / KEY).write_bytes(b"")  # as after an upload that failed
    (store.root / "objects" / KEY[:2] / KEY / "sub" / "a.bin").write_bytes(b"alphb")
    with pytest.raises(CorruptEntry, match=r"sub/a\.bin"):
        store.get(KEY)


def test_a_discarded_entry_is_set_aside_and_the_object_removed(machine, server):
    store = machine("here")
    put(store)
    aside = store.discard(KEY)
    assert aside.parent == store.root / "corrupt" and (aside / "sub" / "a.bin").exists()
    assert files(server) == [] and not store.has(KEY)
    put(store)
    assert read(machine("elsewhere")) == b"alpha"


def test_two_machines_may_discard_the_same_entry(machine):
    here, elsewhere = machine("here"), machine("elsewhere")
    put(here)
    read(elsewhere)
    for store in (here, elsewhere, machine("third")):
        store.discard(KEY)
        assert not store.has(KEY)


def test_concurrent_writers_of_one_key(machine, server):
    stores = [machine(str(number)) for number in range(4)]
    start, failures = threading.Barrier(4), []

    def write(store):
        try:
            start.wait()
            put(store, bytes(300_000))
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost
            failures.append(error)

    threads = [threading.Thread(target=write, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert there(server) == [f"objects/{KEY[:2]}/{KEY}.zip"]
    assert all(read(store) == bytes(300_000) for store in [*stores, machine("reader")])


def test_local_workers_run_on_it_and_another_machine_has_nothing_left_to_do(
    machine, server, tmp_path
):
    journal = tmp_path / "journal"
    model = Train(1, journal=str(journal))
    top = Report((model,))
    here, elsewhere = machine("here"), machine("elsewhere")
    assert run_local([top], here, progress=False).ok
    assert len(files(server)) == 2 and litter(here) == []
    assert run_local([top], elsewhere, progress=False).ok
    assert len(journal.read_text().splitlines()) == 1
    for job in (top, model):
        assert contents(elsewhere, job) == contents(here, job)


def test_a_dropped_connection_is_made_anew(server, tmp_path):
    store = open_store(server.uri, cache=tmp_path / "here")
    put(store)
    server.stop()
    second = Server(server.folder, server.port)
    try:
        assert read(open_store(server.uri, cache=tmp_path / "elsewhere")) == b"alpha"
        put(store, key=hash_bytes(b"another"))
        assert len(files(server)) == 2
    finally:
        second.stop()


def test_a_server_that_is_gone_is_an_error_not_an_empty_store(machine, server, no_waits):
    here, elsewhere = machine("here"), machine("elsewhere")
    put(here)
    server.stop()
    for ask in (elsewhere.has, elsewhere.get, elsewhere.discard):
        with pytest.raises(StoreError, match="check the address") as caught:
            ask(KEY)
        assert not isinstance(caught.value, MissingEntry)
    with pytest.raises(StoreError, match="Connection refused"):
        machine("third")


def test_a_result_that_cannot_be_uploaded_is_kept_and_uploaded_later(server, tmp_path, no_waits):
    server.stop()
    reader = Server(server.folder, server.port, read_only=True)
    store = open_store(server.uri, cache=tmp_path / "here")
    try:
        with pytest.raises(StoreError, match=r"Received: error_perm: 550 .*permissions$"):
            put(store)
        assert not store.has(KEY)
    finally:
        reader.stop()
    writer = Server(server.folder, server.port)
    try:
        assert read(store) == b"alpha" and store.has(KEY)
        assert read(open_store(server.uri, cache=tmp_path / "elsewhere")) == b"alpha"
    finally:
        writer.stop()


def test_errors_are_one_line_without_the_password(server, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    wrong = server.uri.replace("secret", "se-cret")
    for uri, what in {
        "s3://bucket/prefix": "expected a store at s3://bucket/prefix. .*; pip install s3fs$",
        "nosuch://host/prefix": "Protocol not known: nosuch",
        "ftp://127.0.0.1:1/prefix": "Connection refused",
        wrong: r"me:\*\*\*@.* 530 Authentication failed",
    }.items():
        with pytest.raises(StoreError, match=what) as caught:
            open_store(uri, cache=tmp_path)
        assert "\n" not in str(caught.value) and "se-cret" not in str(caught.value)


def test_without_password():
    assert without_password("ftp://me:a:b@host:21/x@y") == "ftp://me:***@host:21/x@y"
    for uri in ("s3://bucket/a:b@c", "ftp://host:21/x", "/home/me", "memory://x"):
        assert without_password(uri) == uri
