"""A process that runs jobs: `python -m cemfp.engine.worker PARENT_PID MODULE...`.

Requests come on standard input. A request is one line of JSON: the job, its log file, and the store
with its cache (not among the arguments, where every user of the machine could read a URI's
password). The answer on standard output is one line, `done` or `failed` and the process's peak
memory in MiB. All that the job prints goes to its log.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from cemfp.engine.jobs import from_json, obtain
from cemfp.storage.remote_store import open_store
from cemfp.storage.store import Store

DONE, FAILED = "done", "failed"
LARGE_MIB = 2_048  # a process of this size is not used again: its memory does not come back
# In a checkout, the experiments stand beside the package; an installation has only this.
_BESIDE = str(Path(__file__).parents[2])
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 0.5


def start_worker(
    log: Path, threads: int, environment: Mapping[str, str], modules: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start a worker with `threads` threads and `environment` beside this process's own.

    `log` takes what it says before its first job, `modules` are imported before that.
    """
    settings = {
        **os.environ,
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join([*(path or os.getcwd() for path in sys.path), _BESIDE]),
        **environment,
    }
    command = [sys.executable, "-P", "-m", "cemfp.engine.worker", str(os.getpid()), *modules]
    with open(log, "ab") as output:
        return subprocess.Popen(
            command,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            # Ctrl-C then reaches this process alone, which stops the children in order.
            start_new_session=True,
        )


def how_it_ended(code: int | None) -> str:
    """Say what became of a process that ended without an answer, by its return code."""
    if code == -signal.SIGKILL:
        return "killed by signal 9, maybe for want of memory; fewer jobs at once need less"
    if code is not None and code < 0:
        return f"killed by signal {-code}"
    return f"ended with status {code}"


def request(job: str, log: Path, store: Store) -> bytes:
    """Return the line that asks a worker for the job of `to_json`."""
    asked = {"job": job, "log": log, "store": store.uri, "cache": store.root}
    return json.dumps(asked, default=str).encode() + b"\n"


def _obtained(asked: Mapping[str, str]) -> bool:
    """Run a job; an exception goes to standard error, and makes it False."""
    try:
        obtain(from_json(asked["job"]), _open(asked["store"], asked["cache"]))
    except Exception:  # noqa: BLE001 - whatever a job raises is its failure alone
        traceback.print_exc()
        return False
    return True


@functools.lru_cache(maxsize=1)
def _open(uri: str, cache: str) -> Store:
    return open_store(uri, cache=Path(cache))


def _die_with(parent: int) -> None:
    """End this process when `parent` is gone, even if that was killed with no chance to say so."""
    with contextlib.suppress(AttributeError, OSError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os._exit(1)  # what it leaves behind is swept at the next start

    threading.Thread(target=watch, daemon=True).start()


def _stay_nice() -> None:
    """Keep a low priority that this process was given, in the session of its own, too.

    Linux shares the processor between sessions first: without this, `nice cemfp study run` takes
    as much as what somebody does at the same machine.
    """
    with contextlib.suppress(OSError):  # Linux with autogroups only
        Path("/proc/self/autogroup").write_text(str(os.nice(0)))


def _terminate(number: int, frame: FrameType | None) -> None:
    # As an exception, so that the half-written entry is removed on the way out.
    raise SystemExit(128 + number)


def _speak_to(log: str) -> None:
    """Let standard output and error, TensorFlow's own included, go to `log` from here on."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _peak_mib() -> int:
    """Most memory that this process has had; `ru_maxrss` would count its parent's, too."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    kib = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib // 1024


def main() -> None:
    """Run the jobs that standard input asks for, one by one, until it ends."""
    _, parent, *modules = sys.argv
    _die_with(int(parent))
    _stay_nice()
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    answers = os.dup(1)
    os.dup2(2, 1)
    for name in modules:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        _speak_to(asked["log"])
        word = DONE if _obtained(asked) else FAILED
        os.write(answers, f"{word} {_peak_mib()}\n".encode())


if __name__ == "__main__":
    main()
