"""`cemfp suspect probe`: what is behind an address, and a description that verifies the same."""

import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from cemfp.cli import main
from tests.suspects.servers import OpenInference, Reply, TensorFlowServing, serve
from tests.verification.stand_ins import Model, make_fingerprint


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def answer(images):
    return np.eye(3)[Model(20)(images.reshape(-1, 2, 2, 1))]


APPS = {
    "arrays": (TensorFlowServing(answer), "v1"),
    "files": (TensorFlowServing(answer, dtype="DT_STRING", name="image_bytes"), "v1"),
    "two outputs": (TensorFlowServing(answer, outputs=("a", "b")), "v1"),
    "no metadata": (TensorFlowServing(answer, metadata=False), "v1"),
    "json": (OpenInference(answer), "v2"),
    "bytes": (OpenInference(answer, extensions=["binary_tensor_data"]), "v2"),
    "flat": (OpenInference(answer, shape=(-1, 4)), "v2"),
}


@pytest.mark.parametrize("name", APPS)
def test_what_is_written_gets_the_verdict_of_the_address(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make_fingerprint(count=20).save("any.cemfp")
    app, version = APPS[name]
    output = ("--output", "a") if name == "two outputs" else ()
    with serve(app) as server:
        address = f"{server.url}/{version}/models/m"
        shape = ("--shape", "2,2,1") if name in ("files", "no metadata", "flat") else ()
        probed = run("suspect", "probe", address, *shape, *output, "--out", "api.yaml")
        assert probed.exit_code == 0, probed.output
        assert "3 classes" in probed.stdout and len(probed.stdout.splitlines()) < 12
        assert len(server.questions) <= 2
        judge = ("--threshold", 0.5, "--json")
        verdicts = [
            json.loads(run("verify", "any.cemfp", spec, *more, *judge).stdout)
            for spec, more in ((address, output), ("api.yaml", ()))
        ]
    for verdict in verdicts:
        assert verdict["matches"] == 20 and verdict["queries_asked"] == 20
    logs = sorted(path.name for path in tmp_path.glob("*.jsonl"))
    assert len(logs) == 2 and all(log.startswith("any.cemfp.") for log in logs)


def test_a_probe_as_json_and_again_of_what_it_wrote(tmp_path):
    out = tmp_path / "api.yaml"
    with serve(TensorFlowServing(answer, dtype="DT_UINT8")) as server:
        address = f"{server.url}/v1/models/m"
        first = json.loads(run("suspect", "probe", address, "--json", "--out", out).stdout)
        assert "whole numbers" in first["takes"] and "2 x 2 x 1" in first["takes"]
        second = run("suspect", "probe", out)
    assert second.exit_code == 0 and "whole numbers" in second.stdout
    described = yaml.safe_load(out.read_text())
    assert described["shape"] == [2, 2, 1] and described["image"]["numbers"] == "whole"


def test_a_server_for_single_images(tmp_path):
    app = TensorFlowServing(answer)

    def single(method, path, headers, body):
        if method == "POST" and len(json.loads(body)["instances"]) > 1:
            raise Reply(400, {"error": "batch of 1 only"})
        app(method, path, headers, body)

    with serve(single) as server:
        found = run("suspect", "probe", f"{server.url}/v1/models/m")
    assert found.exit_code == 0 and '"batch of 1 only"' in found.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["http://127.0.0.1:1/elsewhere"], "/v1/models/NAME or http://host:8080/v2"),
        (["nowhere.yaml"], "No such file"),
        (["http://127.0.0.1:1/v1/models/m", "--deadline", "0.5"], "deadline of 0.5 s"),
        (["http://127.0.0.1:1/v1/models/m", "--shape", "3,3"], "three sizes"),
        (["http://127.0.0.1:1/v1/models/m", "--out", "x.txt"], "expected a .yaml file"),
        (["http://user:pw@127.0.0.1:1/v1/models/m"], "address without a password"),
        (["http://127.0.0.1:1/v1/models/m", "--header", "Cookie: a=b"], "Cookie in an environment"),
        (["http://127.0.0.1:1/v1/models/m", "--header", "nonsense"], "header as 'Name: value'"),
    ],
)
def test_what_cannot_be_probed(arguments, message):
    failed = run("suspect", "probe", *arguments)
    assert failed.exit_code == 2 and message in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("Error: ") and "pw@" not in failed.stderr
