"""No credential reaches a screen or a disk, whatever a server makes of it."""

import base64
import json
import os
import ssl
import subprocess
import threading
import urllib.parse
from http.server import ThreadingHTTPServer

import numpy as np
import pytest
from click.testing import CliRunner

from cemfp.cli import main
from tests.suspects.servers import Handler, Reply, TensorFlowServing, serve
from tests.verification.stand_ins import Model, make_fingerprint

SECRET = 'tok/en+"5f3e\\9a'  # JSON, an address and base64 spell it in other ways
PASSWORD = "pass-77c1"
SPELLINGS = {
    *(SECRET, PASSWORD, json.dumps(SECRET)[1:-1]),
    *(base64.b64encode(x.encode()).decode() for x in (SECRET, PASSWORD, f"me:{PASSWORD}")),
}
HEADER = ("--header", "Authorization: Bearer ${THEIR_TOKEN}")


def good(images):
    return np.eye(3)[Model(20)(images)]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `cemfp` and look for the secrets in all that it prints and leaves behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THEIR_TOKEN", SECRET)
    make_fingerprint(count=20).save("any.cemfp")

    def check(*arguments):
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        left = "".join(
            path.read_bytes().decode("latin-1")
            for path in tmp_path.rglob("*")
            if path.is_file() and path.name not in ("netrc", "key.pem")
        )
        for spelling in SPELLINGS:
            assert spelling not in result.output and spelling not in left
            assert repr(spelling)[1:-1] not in result.output
        return result

    return check


def tells(what):
    """An app that gives back the credential it was sent, in some place."""
    honest = TensorFlowServing(good)

    def app(method, path, headers, body):
        sent = headers["Authorization"].removeprefix("Bearer ")
        if method == "GET" and what == "names":
            text = json.dumps(honest.facts()).replace("input_1", json.dumps(sent)[1:-1])
            raise Reply(200, text.encode())
        if method == "POST":
            told = {
                "401": (401, {"error": f"bad token {sent}"}, {}),
                "busy": (503, {"error": f"bad token {sent}"}, {}),
                "page": (403, f"<html>{sent}</html>".encode(), {}),
                "base64": (400, {"error": base64.b64encode(sent.encode()).decode()}, {}),
                "redirect": (307, b"", {"Location": f"http://{sent[-4:]}.example/{sent}"}),
                "label": (200, {"predictions": [sent]}, {}),
                "score": (200, {"predictions": [[sent, 1, 2]]}, {}),
                "key": (200, {sent: 3}, {}),
            }
            if what in told:
                status, answer, more = told[what]
                raise Reply(status, answer, {"Content-Type": "application/json", **more})
        honest(method, path, headers, body)

    return app


@pytest.mark.parametrize(
    "what", ["", "401", "busy", "page", "base64", "redirect", "label", "score", "key", "names"]
)
def test_a_token_of_the_environment(run, what):
    with serve(tells(what)) as server:
        address = f"{server.url}/v1/models/m"
        common = (*HEADER, "--deadline", 1 if what == "busy" else 20)
        results = [
            run("suspect", "probe", address, *common, "--out", "api.yaml", "--force"),
            run("--debug", "verify", "any.cemfp", address, *common, "--threshold", 0.5),
            run("verify", "any.cemfp", address, *common, "--threshold", 0.5, "--json"),
        ]
        assert all(h["Authorization"] == f"Bearer {SECRET}" for _, _, h, _ in server.asked)
    if not what:
        assert [result.exit_code for result in results] == [0, 0, 0]
        with open("api.yaml", encoding="utf-8") as file:
            assert "Bearer ${THEIR_TOKEN}" in file.read()


def test_a_key_in_an_address(run):
    def app(method, path, headers, body):
        assert urllib.parse.parse_qs(path.partition("?")[2], strict_parsing=True) == {
            "key": [SECRET]
        }
        TensorFlowServing(good)(method, path.partition("?")[0], headers, body)

    with serve(app) as server:
        address = f"{server.url}/v1/models/m?key=${{THEIR_TOKEN}}"
        done = run("verify", "any.cemfp", address, "--threshold", 0.5)
        told = run("verify", "any.cemfp", address, "--threshold", 0.5, "--json")
        probed = run("suspect", "probe", address, "--json", "--out", "api.yaml")
        described = run("verify", "any.cemfp", "api.yaml", "--threshold", 0.5, "--json")
    assert done.exit_code == 0 and f"{server.url}/v1/models/m: match" in done.stdout
    assert [x.exit_code for x in (told, probed, described)] == [0, 0, 0], described.output
    assert json.loads(told.stdout)["suspect"] == f"{server.url}/v1/models/m"
    with open("api.yaml", encoding="utf-8") as file:
        assert "key=${THEIR_TOKEN}" in file.read()


DESCRIPTION = """
url: {url}/v1/models/m:predict?key=${{THEIR_TOKEN}}
headers: {{Authorization: "Bearer ${{THEIR_TOKEN}}", X-Api-Key: "${{THEIR_TOKEN}}"}}
image: {{format: array}}
body: {{json: {{instances: "{{images}}"}}}}
answer: {{path: $.predictions}}
"""


@pytest.mark.parametrize("what", ["", "401", "busy", "page", "redirect", "label", "moved"])
def test_a_token_in_a_description(run, what):
    honest = TensorFlowServing(good, metadata=False)

    def app(method, path, headers, body):
        assert headers["X-Api-Key"] == SECRET
        if what == "moved" and "moved" not in path:
            raise Reply(307, b"", {"Location": f"/v1/moved?key={urllib.parse.quote(SECRET)}"})
        if what == "moved":
            raise Reply(403, {"error": f"{path} is not for {headers['Authorization']}"})
        if what:
            tells(what)(method, path, headers, body)
        honest(method, path.partition("?")[0], headers, body)

    with serve(app) as server:
        with open("api.yaml", "w", encoding="utf-8") as file:
            file.write(DESCRIPTION.format(url=server.url))
        common = ("--deadline", 1 if what == "busy" else 20)
        probe = ("suspect", "probe", "api.yaml", "--shape", "2,2,1", *common, "--json")
        results = [
            run(*probe, "--out", "again.yaml", "--force"),
            run("--debug", "verify", "any.cemfp", "api.yaml", *common, "--threshold", 0.5),
            run("verify", "any.cemfp", "api.yaml", *common, "--threshold", 0.5, "--json"),
        ]
        assert server.questions
    assert [result.exit_code for result in results[1:]] == ([0, 0] if not what else [2, 2])


def test_a_password_of_a_netrc_file(run, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    login = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    knows, busy = [True], []

    def app(method, path, headers, body):
        assert headers["Authorization"] == f"Basic {login}"
        if busy:
            raise Reply(503, {"error": f"{PASSWORD} {busy.pop()}"})
        if method == "POST" and not knows[0]:
            raise Reply(400, {"error": f"I do not know {PASSWORD} or {login}"})
        TensorFlowServing(good)(method, path, headers, body)

    with serve(app) as server:
        address = f"{server.url}/v1/models/m"
        probed = run("suspect", "probe", address, "--json", "--out", "api.yaml")
        busy.append(login)
        done = run("--debug", "verify", "any.cemfp", address, "--threshold", 0.5, "--json")
        assert (probed.exit_code, done.exit_code) == (0, 0)
        assert 'answers 503: "*** ***"; asking again' in done.stderr
        knows[0] = False
        done = run("verify", "any.cemfp", address, "--threshold", 0.5, "--log", "other")
    assert done.exit_code == 2 and 'I do not know *** or ***"' in done.stderr
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD} {PASSWORD}\n")
    done = run("verify", "any.cemfp", "http://127.0.0.1:1/v1/models/m", "--threshold", 0.5)
    assert done.exit_code == 2 and "expected a netrc file" in done.stderr


def test_a_password_of_a_proxy(run, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://me:{PASSWORD}@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    common = ("http://any.example/v1/models/m", "--threshold", 0.5, "--deadline", 1)
    done = run("--debug", "verify", "any.cemfp", *common)
    assert done.exit_code == 2 and "connection fails" in done.stderr
    monkeypatch.setenv("http_proxy", f"nonsense://me:{PASSWORD}@127.0.0.1:1")
    assert run("--debug", "verify", "any.cemfp", *common).exit_code == 2


@pytest.mark.parametrize(
    "typed",
    [
        ("http://127.0.0.1:1/v1/models/m", "--header", f"Authorization: Bearer {PASSWORD}"),
        ("http://127.0.0.1:1/v1/models/m", "--header", f"X-Api-Key: {PASSWORD}"),
        (f"http://me:{PASSWORD}@127.0.0.1:1/v1/models/m",),
        (f"HTTP://{PASSWORD}@127.0.0.1:1/v1/models/m",),
        (f"http://127.0.0.1:1/v1/models/m?key={PASSWORD}", "--deadline", "0.5"),
        (f"http://127.0.0.1:1/nowhere#{PASSWORD}",),
    ],
)
def test_what_is_typed_out_is_not_repeated(run, typed):
    for more in ((), ("--debug",)):
        done = run(*more, "verify", "any.cemfp", *typed, "--threshold", 0.5)
        assert done.exit_code == 2
        if not more:
            assert done.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("value", ["", "two\nlines", "tab\tin it", "caf\xe9"])
def test_a_variable_that_is_no_header(run, monkeypatch, value):
    monkeypatch.setenv("THEIR_TOKEN", value)
    address = ("any.cemfp", "http://127.0.0.1:1/v1/models/m", *HEADER)
    done = CliRunner().invoke(main, ["--debug", "verify", *address, "--threshold", "0.5"])
    assert done.exit_code == 2 and "THEIR_TOKEN" in done.stderr
    assert not value or value not in done.stderr


def test_tls_is_verified(run, tmp_path, monkeypatch):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.app, server.asked, server.daemon_threads = TensorFlowServing(good), [], True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # the client turns away, as it should
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    address = f"https://127.0.0.1:{server.server_port}/v1/models/m"
    refused = run("verify", "any.cemfp", address, *HEADER, "--threshold", 0.5)
    assert refused.exit_code == 2 and "CERTIFICATE_VERIFY_FAILED" in refused.stderr
    assert server.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", os.path.abspath("cert.pem"))
    done = run("verify", "any.cemfp", address, *HEADER, "--threshold", 0.5)
    assert done.exit_code == 0, done.output
    server.shutdown()
    server.server_close()
    thread.join()
