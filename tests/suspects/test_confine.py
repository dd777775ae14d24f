"""What a process gave up: tried by plain Python, without any model."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cemfp.suspects.sandbox import launch

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, os, socket, sys, threading
from pathlib import Path
from cemfp.suspects.sandbox import confine

scratch, outside = Path(sys.argv[1]), Path(sys.argv[2])
held = confine.only_write_in(scratch), confine.no_others()
confine.limit(memory=2**30, seconds=30, file_bytes=2**20, files=64)

def fails(what):
    try:
        what()
    except OSError as error:
        return error.strerror
    except MemoryError:
        return "memory"
    return None

def large():
    with open(scratch / "large", "wb") as file:
        file.write(bytes(2**21))

import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
thread = threading.Thread(target=(scratch / "inside").write_text, args=("x",))
thread.start(); thread.join()
print(json.dumps({
    "held": held,
    "write": fails(lambda: outside.write_text("x")),
    "truncate": fails(lambda: os.truncate(sys.argv[0], 0)),
    "remove": fails(lambda: os.remove(sys.argv[0])),
    "link": fails(lambda: os.symlink(sys.argv[0], outside)),
    "folder": fails(lambda: os.mkdir(outside)),
    "mode": fails(lambda: os.chmod(sys.argv[0], 0)),
    "owner": fails(lambda: os.chown(sys.argv[0], os.getuid(), os.getgid())),
    "time": fails(lambda: os.utime(sys.argv[0], (0, 0))),
    "attribute": fails(lambda: os.setxattr(sys.argv[0], "user.x", b"x")),
    "socket": fails(lambda: socket.socket()),
    "fork": fails(os.fork),
    "program": fails(lambda: os.execv("/bin/true", ["true"])),
    "signal": fails(lambda: os.kill(os.getppid(), 0)),
    "memory": fails(lambda: bytearray(2**31)),
    "large": fails(large),
    "null": fails(lambda: open(os.devnull, "w").close()),
    "inside": (scratch / "inside").read_text(),
    "threads": threading.active_count(),
}))
"""


def skip_without(way):
    if way != "none" and not launch.works(way):
        pytest.skip(f"this machine has no {way}")


def attempts(tmp_path, before=(), text=SCRIPT):
    """What became of each attempt."""
    scratch, script = tmp_path / "scratch", tmp_path / "script.py"
    scratch.mkdir(exist_ok=True)
    script.write_text(text)
    done = subprocess.run(
        [*before, sys.executable, script, scratch, tmp_path / "outside"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert not (tmp_path / "outside").exists() and script.read_text() == text
    return json.loads(done.stdout)


def test_what_is_given_up_is_gone_and_what_is_needed_stays(tmp_path):
    tried = attempts(tmp_path)
    writes, rules = tried["held"]
    if writes:
        changes = ("write", "truncate", "remove", "link", "folder")
        assert {tried[name] for name in changes} <= {"Permission denied"}
    if rules:
        others = ("socket", "fork", "program", "signal", "mode", "owner", "time", "attribute")
        assert {tried[name] for name in others} == {"Operation not permitted"}
    assert writes or rules, "neither Landlock nor seccomp: this machine shows nothing"
    assert tried["memory"] == "memory" and tried["large"] == "File too large"
    assert tried["null"] is None and tried["inside"] == "x" and tried["threads"] == 1


def test_mounts_keep_from_writing_without_landlock(tmp_path):
    """What bubblewrap holds by itself, where the kernel has no Landlock."""
    skip_without("bwrap")
    (tmp_path / "scratch").mkdir()
    before = launch.prefix("bwrap", tmp_path / "scratch")
    script = SCRIPT.replace("confine.only_write_in(scratch)", "True")
    tried = attempts(tmp_path, before, script)
    changes = ("write", "truncate", "remove", "link", "folder")
    assert {tried[name] for name in changes} <= {"Read-only file system", "Device or resource busy"}
    assert tried["inside"] == "x" and tried["null"] is None


@pytest.mark.parametrize("way", ["unshare", "bwrap", "none"])
def test_a_process_of_its_own_ends_with_its_starter(way, tmp_path, monkeypatch):
    skip_without(way)
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    process = launch.start(way, tmp_path)
    environment = Path(f"/proc/{process.pid}/environ")
    until = time.monotonic() + 30
    while b"PYTHONPATH" not in environment.read_bytes() and time.monotonic() < until:
        time.sleep(0.05)
    assert b"hunter2" not in environment.read_bytes()
    os.killpg(process.pid, 9)
    assert process.wait(30) == -9
    process.stdin.close()
    process.stdout.close()
