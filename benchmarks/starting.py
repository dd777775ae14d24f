"""How long a command takes from its start, whatever it needs to import: an owner waits for that."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.harness import Repeat, Section, Variant

INPUTS, SHAPE, CLASSES = 100, (32, 32, 3), 10
UNDECIDED = 3  # exit status of a verdict on a net that learned nothing
ROUNDS = 5


def sections(quick: bool) -> list[Section]:
    """Return one section: whole commands, TensorFlow's import alone the baseline."""
    suspects = {
        "an ONNX file in its sandbox": _onnx,
        "a server, one at a time": _served,
        "a classifier directory (ResNet20)": _directory,
    }
    variants = [
        Variant("`import tensorflow`", _importing),
        Variant("`cemfp --help`", functools.partial(_cemfp, "--help")),
        *(
            Variant(f"`verify`, {what}, {name}", functools.partial(way, make))
            for name, make in suspects.items()
            for what, way in (("the first query", _first_query), ("100 inputs", _verifying))
        ),
    ]
    return [
        Section(
            "Start to end of a command",
            "commands",
            tuple(variants),
            2 if quick else ROUNDS,
            memory=False,
        )
    ]


def _run(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, UNDECIDED):
        raise RuntimeError(done.stderr)
    return 1.0


def _importing() -> Repeat:
    return lambda: _run([sys.executable, "-c", "import tensorflow"])


def _cemfp(*arguments: str) -> Repeat:
    return lambda: _run([sys.executable, "-m", "cemfp", *arguments])


def _verifying(make: Callable[[Path], str]) -> Repeat:
    """Return a verification of what `make` puts into a folder, or serves."""
    command, log = _prepared(make)

    def repeat() -> float:
        """Verify, without what an earlier run remembers."""
        log.unlink(missing_ok=True)
        return _run(command)

    return repeat


def _first_query(make: Callable[[Path], str]) -> Repeat:
    """Return the same, ended as soon as the log says that something was asked."""
    command, log = _prepared(make)

    def repeat() -> float:
        """Wait for the line that is on the disk before the first query leaves."""
        log.unlink(missing_ok=True)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
            while not (log.exists() and b'"asked"' in log.read_bytes()):
                if run.poll() is not None:
                    raise RuntimeError(str(run.communicate()[1]))
                time.sleep(0.002)
            run.kill()
        return 1.0

    return repeat


def _prepared(make: Callable[[Path], str]) -> tuple[list[str], Path]:
    """Return the command that verifies what `make` makes, and the log that it writes."""
    from cemfp.fingerprint.artifact import Fingerprint

    folder = Path(tempfile.mkdtemp(prefix="cemfp-benchmark-"))
    rng = np.random.default_rng(0)
    Fingerprint(
        inputs=rng.random((INPUTS, *SHAPE), np.float32),
        keys=rng.integers(0, CLASSES, INPUTS),
        classes=CLASSES,
        method="random",
        parameters={},
        source_sha256="0" * 64,
        data={"name": "noise"},
        epsilon=None,
        eight_bit=False,
    ).save(folder / "any.cemfp")
    suspect, log = make(folder), folder / "log.jsonl"
    asked = [str(folder / "any.cemfp"), suspect, "--threshold", "0.5", "--log", str(log)]
    return [sys.executable, "-m", "cemfp", "verify", *asked], log


def _onnx(folder: Path) -> str:
    import onnx
    from onnx import TensorProto, helper

    kernel = np.random.default_rng(0).normal(size=(int(np.prod(SHAPE)), CLASSES))
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "kernel"], ["y"]),
    ]
    sides = ("n", SHAPE[2], *SHAPE[:2])
    ends = [("x", sides), ("y", ("n", CLASSES))]
    given, answered = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends
    )
    stored = onnx.numpy_helper.from_array(kernel.astype(np.float32), "kernel")
    graph = helper.make_graph(nodes, "net", [given], [answered], [stored])
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "any.onnx")
    return str(folder / "any.onnx")


def _directory(folder: Path) -> str:
    from cemfp.models.classifier import Classifier, ClassifierConfig
    from cemfp.models.nets import NETS

    net = NETS["resnet20"](SHAPE, CLASSES)
    Classifier(net, ClassifierConfig("resnet20", SHAPE, CLASSES)).save(folder / "net")
    return str(folder / "net")


class _Answers(http.server.BaseHTTPRequestHandler):
    """Class 0 for whatever TensorFlow Serving is asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer one question."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scores = [[1.0] + [0.0] * (CLASSES - 1)] * len(asked["instances"])
        self._reply(200, {"predictions": scores})

    def do_GET(self) -> None:
        """Say nothing of the model."""
        self._reply(404, {"error": "no metadata"})

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep silent."""

    def _reply(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _served(folder: Path) -> str:
    del folder
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1/models/net"
