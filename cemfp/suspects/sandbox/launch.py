"""Start the sandbox's process: in namespaces of its own where the machine allows it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

# What a process may know of this one's environment.
_PASSED = ("LANG", "LC_ALL", "PATH", "ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS")
_NAMESPACES = ("--user", "--map-root-user", "--net", "--pid", "--ipc", "--uts", "--mount")
_TRIAL_SECONDS = 20


WAYS = ("unshare", "bwrap")


@functools.cache
def find_way() -> str:
    """Return how a process gets namespaces of its own here: one of `WAYS`, or `none`."""
    return next(filter(works, WAYS), "none")


def works(way: str) -> bool:
    """Whether a way is installed and the machine allows it."""
    if not shutil.which(way):
        return False
    command = [*prefix(way, Path("/tmp")), "true"]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TRIAL_SECONDS, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def prefix(way: str, scratch: Path) -> list[str]:
    """Return what stands before the command; `scratch` is the folder that may be written."""
    if way == "unshare":
        return ["unshare", *_NAMESPACES, "--fork", "--kill-child"]
    if way == "bwrap":
        mounts = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        mounts += ["--bind", str(scratch), str(scratch)]
        return ["bwrap", *mounts, "--unshare-all", "--die-with-parent", "--new-session", "--"]
    return []


def start(way: str, scratch: Path) -> subprocess.Popen[bytes]:
    """Start the worker, which waits for a frame on its standard input.

    Args:
        way: See `find_way`.
        scratch: Where it works, and may write.
    """
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    # Absolute: an empty entry would be the scratch folder.
    places = os.pathsep.join(os.path.abspath(p or os.getcwd()) for p in sys.path)
    own = {"PYTHONPATH": places, "HOME": str(scratch), "TMPDIR": str(scratch)}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"}
    worker = [sys.executable, "-P", "-m", "cemfp.suspects.sandbox.worker"]
    return subprocess.Popen(
        [*prefix(way, scratch), *worker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=scratch,
        env=kept | own | quiet,
        start_new_session=True,
        bufsize=0,
    )
