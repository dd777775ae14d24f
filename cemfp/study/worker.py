"""One job in a process of its own: `python -m cemfp.study.worker STORE PARENT_PID < job.json`."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from cemfp.store import Store
from cemfp.study.jobs import from_json, obtain

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 0.5


def start_worker(store: Store, log: Path, threads: int) -> subprocess.Popen[bytes]:
    """Start a worker that waits for its job on standard input, with `threads` threads."""
    environment = {
        **os.environ,
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    command = [sys.executable, "-P", "-m", "cemfp.study.worker", str(store.root), str(os.getpid())]
    with open(log, "ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C then reaches this process alone, which stops the children in order.
            start_new_session=True,
        )


def _die_with(parent: int) -> None:
    """End this process when `parent` is gone, even if that was killed with no chance to say so."""
    with contextlib.suppress(AttributeError, OSError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os._exit(1)  # what it leaves behind is swept at the next start

    threading.Thread(target=watch, daemon=True).start()


def _terminate(number: int, frame: FrameType | None) -> None:
    # As an exception, so that the half-written entry is removed on the way out.
    raise SystemExit(128 + number)


def main() -> None:
    """Read one job from standard input and obtain it; standard error is its log."""
    root, parent = sys.argv[1:]
    _die_with(int(parent))
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    job = from_json(sys.stdin.read())
    obtain(job, Store(Path(root)))


if __name__ == "__main__":
    main()
