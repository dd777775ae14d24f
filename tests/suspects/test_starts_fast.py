"""Asking a server needs no TensorFlow, and so starts at once."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.suspects.servers import TensorFlowServing, serve
from tests.verification.stand_ins import Model, make_fingerprint

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow", "keras", "sklearn", "scipy.stats")
CODE = """
import sys
from cemfp.cli import main
try:
    main(sys.argv[1:], prog_name="cemfp")
finally:
    print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


def run(folder, *arguments):
    """`cemfp` in a process of its own: the process, and what it imported of `HEAVY`."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(heavy=HEAVY), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, done.stderr.splitlines()[-1]


def test_a_verdict_over_http_without_tensorflow(tmp_path):
    make_fingerprint(count=20).save(tmp_path / "any.cemfp")
    copy, first = Model(20), []

    def answer(images):
        first.append(time.time())
        return np.eye(3)[copy(images)]

    with serve(TensorFlowServing(answer)) as server:
        start = time.time()
        done, heavy = run(
            tmp_path,
            "verify",
            "any.cemfp",
            f"{server.url}/v1/models/m",
            "--threshold",
            0.5,
            "--json",
        )
    assert done.returncode == 0, done.stderr
    assert heavy == "[]"
    assert json.loads(done.stdout)["queries_asked"] == 20
    assert len(server.questions) == 20  # one at a time
    # A second on a machine with nothing else to do; this is about seconds of imports.
    assert first[0] - start < 10


def test_a_probe_without_tensorflow(tmp_path):
    with serve(TensorFlowServing(lambda images: np.eye(3)[[0] * len(images)])) as server:
        done, heavy = run(tmp_path, "suspect", "probe", f"{server.url}/v1/models/m")
    assert done.returncode == 0 and "3 classes" in done.stdout
    assert heavy == "[]"
