"""What runs on a node of a Ray cluster; it imports no TensorFlow, which its child does."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cemfp.engine.worker import DONE, LARGE_MIB, how_it_ended, request, start_worker
from cemfp.storage.remote_store import open_store

_LOG_BYTES = 100_000
_shared: list[subprocess.Popen[bytes]] = []  # this Ray worker's own process for jobs that share one


class WorkerDied(RuntimeError):
    """The process of a job was killed; Ray then tries the job again."""


def run_task(text: str, key: str, uri: str, threads: int, alone: bool) -> tuple[bool, bytes]:
    """Run a job on a node, in a process beside Ray's own, which TensorFlow's memory never enters.

    Args:
        text: The job, by `to_json`.
        key: Its key.
        uri: The store's.
        threads: Threads of the process.
        alone: Whether the process is for this job only.

    Returns:
        Whether the result is in the store, and the end of the job's log.

    Raises:
        WorkerDied: The process was killed.
    """
    store = open_store(uri)
    log = store.root / "logs" / f"{key}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    store.sweep()
    process = _worker(log, threads, alone)
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(request(text, log, store))
        process.stdin.flush()
        answer = process.stdout.readline()
    except BrokenPipeError:
        answer = b""
    word, _, peak = answer.decode().partition(" ")
    if alone or not word or int(peak) >= LARGE_MIB:
        process.communicate()
        _shared[:] = [one for one in _shared if one is not process]
    if not word:
        raise WorkerDied(f"the process {how_it_ended(process.returncode)}; log: {log}")
    return word == DONE, log.read_bytes()[-_LOG_BYTES:]


def _worker(log: Path, threads: int, alone: bool) -> subprocess.Popen[bytes]:
    if alone:
        return start_worker(log, threads, {})
    if not _shared:
        _shared.append(start_worker(log, threads, {}))
    return _shared[0]
