import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

from cemfp.storage.store import (
    CorruptEntry,
    MissingEntry,
    Store,
    StoreError,
    canonical_json,
    hash_bytes,
    hash_file,
    read_json,
    write_atomic,
)

KEY = hash_bytes(b"an entry")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def put(store, key=KEY, **files):
    with store.write(key, {"job": "toy"}) as out:
        for name, data in (files or {"a": b"alpha", "b": b"beta"}).items():
            (out / f"{name}.bin").write_bytes(data)
        (out / "sub").mkdir()
        (out / "sub" / "c.bin").write_bytes(b"gamma")
    return store.get(key)


def tree(store, folder):
    return sorted(p.name for p in (store.root / folder).glob("*"))


def test_canonical_json_is_sorted_compact_and_ascii():
    assert canonical_json({"b": (1, 0.5), "a": "é"}) == '{"a":"\\u00e9","b":[1,0.5]}'
    with pytest.raises(ValueError):
        canonical_json(float("nan"))


def test_hashes(tmp_path):
    # The well-known SHA-256 of "abc" (FIPS 180-2, appendix B.1).
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "f").write_bytes(b"abc")
    assert hash_bytes(b"abc") == hash_file(tmp_path / "f") == expected


def test_what_is_written_is_read_back_with_its_manifest(store):
    assert not store.has(KEY)
    path = put(store)
    assert store.has(KEY)
    assert (path / "a.bin").read_bytes() == b"alpha"
    assert path == store.root / "objects" / KEY[:2] / KEY
    manifest = store.manifest(KEY)
    assert manifest["schema_version"] == 1
    assert manifest["key"] == KEY
    assert manifest["description"] == {"job": "toy"}
    assert manifest["files"]["sub/c.bin"] == {
        "sha256": hashlib.sha256(b"gamma").hexdigest(),
        "size": 5,
    }
    assert manifest["took_seconds"] >= 0
    assert "python" in manifest["created_by"]
    assert tree(store, "tmp") == []


def test_missing_entry_is_named(store):
    with pytest.raises(MissingEntry, match=KEY):
        store.get(KEY)


@pytest.mark.parametrize("key", ["", "ab", "../" + "a" * 61, KEY.upper(), KEY + "\n"])
def test_a_key_that_is_no_hash_is_refused(store, key):
    for use in (store.has, store.get, store.lock):
        with pytest.raises(ValueError, match="64 hexadecimal"):
            use(key)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def delete(path):
    path.unlink()


@pytest.mark.parametrize("damage", [flip, truncate, delete])
@pytest.mark.parametrize("name", ["a.bin", "sub/c.bin", "manifest.json"])
def test_damage_is_found_and_named(store, damage, name):
    path = put(store)
    damage(path / name)
    with pytest.raises(CorruptEntry, match=f"{KEY}: {name}"):
        store.get(KEY)
    # `has` looks at sizes only, and the manifest checks itself.
    assert store.has(KEY) == (damage is flip and name != "manifest.json")


def test_any_bit_of_the_manifest_counts(store):
    path = put(store) / "manifest.json"
    good = path.read_bytes()
    manifest = json.loads(good)
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 4
        path.write_bytes(bad)
        try:
            found = store.manifest(KEY)
        except StoreError:
            continue
        assert found == manifest  # a changed blank between two values is no change
    path.write_bytes(good)
    assert store.manifest(KEY) == manifest


def test_an_entry_of_another_key_in_its_place_is_found(store):
    path = put(store)
    other = hash_bytes(b"another")
    (store.root / "objects" / other[:2]).mkdir(exist_ok=True)
    path.rename(store.root / "objects" / other[:2] / other)
    with pytest.raises(CorruptEntry, match=other):
        store.get(other)


def test_a_newer_schema_is_refused_but_not_corrupt(store, monkeypatch):
    monkeypatch.setattr("cemfp.storage.store.SCHEMA_VERSION", 2)
    put(store)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="schema version 1") as caught:
        store.get(KEY)
    assert not isinstance(caught.value, CorruptEntry)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(store, error):
    with pytest.raises(error), store.write(KEY, {}) as out:
        (out / "half").write_bytes(b"h")
        raise error
    assert not store.has(KEY)
    assert tree(store, "tmp") == tree(store, "objects") == []


def test_a_good_entry_stays_and_the_new_one_is_dropped(store):
    put(store, a=b"old")
    inode = (store.get(KEY) / "a.bin").stat().st_ino
    put(store, a=b"new")
    assert (store.get(KEY) / "a.bin").read_bytes() == b"old"
    assert (store.get(KEY) / "a.bin").stat().st_ino == inode
    assert tree(store, "tmp") == []


def test_a_corrupt_entry_gives_way_to_the_new_one(store, caplog):
    flip(put(store, a=b"old") / "a.bin")
    put(store, a=b"new")
    assert (store.get(KEY) / "a.bin").read_bytes() == b"new"
    assert "a.bin" in caplog.text
    assert len(tree(store, "corrupt")) == 1


def test_discard_moves_aside(store):
    put(store)
    aside = store.discard(KEY)
    assert aside.parent == store.root / "corrupt"
    assert (aside / "a.bin").read_bytes() == b"alpha"
    assert not store.has(KEY)


def test_the_name_of_the_manifest_is_taken(store):
    with pytest.raises(StoreError, match=r"manifest\.json"), store.write(KEY, {}) as out:
        (out / "manifest.json").write_text("{}")
    assert tree(store, "tmp") == []


def test_files_reach_the_disk_before_the_name(store, monkeypatch):
    order = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(descriptor):
        order.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def note_rename(source, target):
        order.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "rename", note_rename)
    path = put(store)
    assert order.count("rename") == 1
    before, after = order[: order.index("rename")], order[order.index("rename") + 1 :]
    names = {os.path.basename(name) for name in before}
    assert {"a.bin", "b.bin", "c.bin", "sub", "manifest.json"} <= names
    assert str(path.parent) in after


def test_sweep_spares_the_living_and_removes_the_dead(store):
    code = (
        "import sys, time; from cemfp.storage.store import Store\n"
        f"with Store(sys.argv[1]).write({KEY!r}, {{}}) as out:\n"
        "    (out / 'half').write_bytes(b'h'); sys.stdout.write('ready\\n'); sys.stdout.flush()\n"
        "    time.sleep(60)\n"
    )
    with store.write(hash_bytes(b"mine"), {}) as mine:
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE
        )
        assert other.stdout.readline() == b"ready\n"
        assert store.sweep() == 0
        assert len(tree(store, "tmp")) == 4  # two folders, two locks
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdout.close()
        assert store.sweep() == 1
        assert tree(store, "tmp") == sorted([mine.name, f"{mine.name}.lock"])
    assert tree(store, "tmp") == []


@pytest.mark.parametrize("made", [False, True])
def test_a_writer_killed_while_it_makes_its_folder_is_swept(store, made):
    code = (
        "import os, pathlib, signal, sys; from cemfp.storage.store import Store\n"
        "mkdir = pathlib.Path.mkdir\n"
        "def killed(path, *a, **k):\n"
        "    if path.parent.name != 'tmp': return mkdir(path, *a, **k)\n"
        f"    if {made}: mkdir(path, *a, **k)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "pathlib.Path.mkdir = killed\n"
        f"with Store(sys.argv[1]).write({KEY!r}, {{}}): pass\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert store.sweep() == 1
    assert tree(store, "tmp") == []


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    path = tmp_path / "rows[1].json"
    names = ("rows[1].json.7-ab", "rows[1].json.8-cd", "rows1.json.7-ab")
    left, young, other = (tmp_path / f".{name}.tmp" for name in names)
    for file in (left, young, other):
        file.write_bytes(b"half")
    for file in (left, other):
        os.utime(file, (0, 0))
    write_atomic(path, b"[1]")
    assert not left.exists() and young.exists() and other.exists()


def test_write_atomic_replaces_or_leaves(tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    write_atomic(path, b"[1]")
    write_atomic(path, b"[2]")
    assert read_json(path) == [2]
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"[3]")
    assert read_json(path) == [2]
    assert os.listdir(tmp_path) == ["rows.json"]


def test_read_json_names_the_file(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match=r"x\.json"):
        read_json(tmp_path / "x.json")


def test_the_light_modules_do_not_import_tensorflow():
    code = "import cemfp.engine.ray_task, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
