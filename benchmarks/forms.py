"""One net in every form in which `cemfp verify` meets it: the same answers, the same verdict?

`python -m benchmarks.forms FINGERPRINT SURROGATE INDEPENDENT` writes both nets as files of each
kind and verifies each by the command line. The servers that others wrote are started by hand, in
environments of their own (kserve 0.21.0, mlserver 1.7.1; onnxruntime in each), on kept files:

    python -m benchmarks.forms my.cemfp zoo/thief zoo/stranger --files nets --prepare
    PY1 benchmarks/servers/kserve_server.py surrogate=nets/surrogate.onnx \\
        independent=nets/independent.onnx
    PYTHONPATH=benchmarks/servers PY2/bin/mlserver start nets/mlserver
    python -m benchmarks.forms my.cemfp zoo/thief zoo/stranger --files nets \\
        --kserve http://127.0.0.1:8080 --mlserver http://127.0.0.1:8085 --write
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks import harness, nets_in_files
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.models.classifier import Classifier
from cemfp.storage.files import write_atomic
from cemfp.suspects.record import read_log
from cemfp.suspects.remembered import digest

RESULTS = Path(__file__).parent / "results"
KERAS, DESCRIBED = "classifier directory", "a description (YAML), PNG files, names"
CLASSIFIER, NETS = click.Path(exists=True, path_type=Path), ("surrogate", "independent")
VERDICTS = (0, 1, 3)  # exit statuses
HEADS = ("form", "net", "CAEAcc", "verdict", "other labels", "largest difference of scores")


@click.command()
@click.argument("file", type=CLASSIFIER)
@click.argument("surrogate", type=CLASSIFIER)
@click.argument("independent", type=CLASSIFIER)
@click.option("--files", type=click.Path(path_type=Path), help="Folder of the files.")
@click.option("--prepare", is_flag=True, help="Write --files, and verify nothing.")
@click.option("--threshold", type=float, help="Of the verdict.  [default: the calibration's]")
@click.option("--kserve", metavar="URL", help="Of KServe with both nets.")
@click.option("--mlserver", metavar="URL", help="Of MLServer with both nets.")
@click.option("--torch", metavar="FOLDER", help="Of PyTorch, where it is not installed.")
@click.option("--write", is_flag=True, help="Keep the rows in benchmarks/results.")
def main(
    file: Path,
    surrogate: Path,
    independent: Path,
    files: Path | None,
    prepare: bool,
    threshold: float | None,
    kserve: str | None,
    mlserver: str | None,
    torch: str | None,
    write: bool,
) -> None:
    """Verify a SURROGATE and an INDEPENDENT net, classifier directories, in every form."""
    if prepare and files is None:
        raise click.UsageError("expected --files with --prepare. Received: none.")
    machine, fingerprint = harness.machine(), Fingerprint.load(file)
    sys.path += [] if torch is None else [torch]
    paths = dict(zip(NETS, (surrogate, independent), strict=True))
    nets = {name: Classifier.load(path) for name, path in paths.items()}
    with contextlib.ExitStack() as stack:
        folder = files or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if prepare or files is None:
            for name, net in nets.items():
                nets_in_files.write_all(net, fingerprint, folder, name)
        if prepare:
            return
        rows = []
        for name, net in nets.items():
            described = stack.enter_context(nets_in_files.served_labels(net, fingerprint, folder))
            forms = {KERAS: str(paths[name].absolute()), **nets_in_files.forms(folder, name)}
            forms |= _served(name, kserve, mlserver) | {DESCRIBED: described}
            options = [] if threshold is None else ["--threshold", str(threshold)]
            asking = _Asking(file.absolute(), fingerprint, folder, torch, options)
            for row in asking.all(forms, net):
                rows.append({"net": name, **row})
                click.echo(json.dumps(rows[-1]))
    if write:
        about = _about(fingerprint, nets) | {"threshold": rows[0]["threshold"]}
        text = json.dumps({"machine": machine, **about, "rows": rows}, indent=2)
        write_atomic(RESULTS / "forms.json", f"{text}\n".encode())
        write_atomic(RESULTS / "forms.md", page(about, rows, machine).encode())


def _served(name: str, kserve: str | None, mlserver: str | None) -> dict[str, str]:
    """Return the addresses of a net behind the servers that there are."""
    addresses = {}
    if kserve is not None:
        addresses["KServe, version 1"] = f"{kserve}/v1/models/{name}"
    if mlserver is not None:
        addresses["MLServer, version 2"] = f"{mlserver}/v2/models/{name}"
    return addresses


class _Asking:
    """Verifies suspects by the command line, and compares their answers with the net's own."""

    def __init__(
        self,
        file: Path,
        fingerprint: Fingerprint,
        folder: Path,
        torch: str | None,
        options: list[str],
    ) -> None:
        self.file, self.folder, self.torch, self.options = file, folder, torch, options
        controls = [] if fingerprint.controls is None else [fingerprint.controls]
        self.images = np.concatenate([fingerprint.inputs, *controls])

    def all(self, forms: dict[str, str], net: Classifier) -> Iterator[dict[str, Any]]:
        """Yield one row for each form."""
        own = net.predict_logits(self.images)
        for form, spec in forms.items():
            log = self.folder / "log.jsonl"
            log.unlink(missing_ok=True)
            start = time.perf_counter()
            said = self._verify(spec, log)
            seconds = time.perf_counter() - start
            row = {"form": form, "decision": said["decision"], "threshold": said["threshold"]}
            row |= {"cae_accuracy": said["cae_accuracy"], "matches": said["matches"]}
            row["queries"] = said["queries_asked"]
            _, kept = read_log(log.read_bytes())
            answers = [kept.answers.get(digest(image)) for image in self.images]
            yield row | compared(own, answers) | {"seconds": round(seconds, 1)}

    def _verify(self, spec: str, log: Path) -> dict[str, Any]:
        paths = [str(Path(__file__).parents[1]), *([] if self.torch is None else [self.torch])]
        command = [sys.executable, "-m", "cemfp", "verify", str(self.file), spec, "--json"]
        done = subprocess.run(
            [*command, "--log", str(log.absolute()), *self.options],
            cwd=self.folder,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in VERDICTS:
            raise click.ClickException(done.stderr)
        said: dict[str, Any] = json.loads(done.stdout)
        return said


def compared(own: np.ndarray, answers: list[Any]) -> dict[str, Any]:
    """Return how many labels differ from the net's own, and by how much its scores at most."""
    asked = [place for place, answer in enumerate(answers) if answer is not None]
    found = [answers[place] for place in asked]
    labels = np.array([x if isinstance(x, int) else int(np.argmax(x)) for x in found])
    row: dict[str, Any] = {"compared": len(asked)}
    row["other_labels"] = int((labels != own[asked].argmax(axis=1)).sum())
    row["largest_difference"] = None
    if all(isinstance(x, list) for x in found):
        row["largest_difference"] = float(f"{np.abs(np.array(found) - own[asked]).max():.2g}")
    return row


def _about(fingerprint: Fingerprint, nets: dict[str, Classifier]) -> dict[str, Any]:
    controls = 0 if fingerprint.controls is None else len(fingerprint.controls)
    accuracies = {name: net.config.training["test_accuracy"] for name, net in nets.items()}
    return {
        "data": fingerprint.data["name"],
        "inputs": len(fingerprint),
        "controls": controls,
        "calibrated": fingerprint.calibration is not None,
        "net": next(iter(nets.values())).config.net,
        "test_accuracy": accuracies,
        "seeds": {name: net.config.training["seed"] for name, net in nets.items()},
    }


def page(about: dict[str, Any], rows: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return the table as Markdown."""
    heads = (*HEADS, "queries", "seconds")
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for row in rows:
        most = row["largest_difference"]
        cells = [row["form"], row["net"], f"{row['cae_accuracy']:.3f}", row["decision"]]
        cells += [f"{row['other_labels']} of {row['compared']}"]
        cells += ["labels only" if most is None else f"{most:g}", str(row["queries"])]
        cells += [f"{row['seconds']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    calibrated = "" if about["calibrated"] else " (not calibrated)"
    accuracies = ", ".join(f"{k} {v:.2%}" for k, v in about["test_accuracy"].items())
    lines += [
        "",
        f"{about['net']} on {about['data']}, one net of each kind (right on {accuracies} of the "
        f"test images); {about['inputs']} inputs, {about['controls']} control images, threshold "
        f"{about['threshold']:.3f}{calibrated}. Labels and scores are compared with those of the "
        "Keras model in this process. Seconds are from the start of the command to its end, with a "
        f"load of {machine['load_before']} on {machine['logical_cores']} cores before the run.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
