"""APIs of no common protocol, described in YAML: all bodies, all answers, and what is refused."""

import base64
import json
import re

import numpy as np
import pytest
import yaml

from cemfp.suspects import Remembered, SuspectError, answer_labels, open_suspect
from cemfp.suspects.network.answers import read_answer
from cemfp.suspects.network.api import Api, Form
from cemfp.suspects.network.description import dump_yaml, load_yaml
from tests.suspects.servers import Reply, read_image, serve
from tests.suspects.test_tf_serving import EXPECTED, FITTING, IMAGES, scores

NAMES = ["cat", "dog", "sea lion"]
SCORES = {"path": "$.scores", "kind": "scores"}


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Labels of `IMAGES` from an app, as a description says."""
    monkeypatch.setenv("THEIR_TOKEN", "tok-123456")

    def run(app, **described):
        with serve(app) as server:
            path = tmp_path / "api.yaml"
            path.write_text(yaml.safe_dump({"url": f"{server.url}/classify", **described}))
            opened = open_suspect(str(path), **FITTING, around=Remembered)
            return answer_labels(opened, IMAGES, 3), server

    return run


def answering(read, write=lambda rows: {"scores": rows.tolist()}):
    """An app: the body to images (n, h, w, c), their scores (n, C) to JSON."""

    def app(method, path, headers, body):
        assert (method, path) == ("POST", "/classify")
        raise Reply(200, write(scores(read(headers, body))))

    return app


def from_form(headers, body):
    boundary = re.search("boundary=(.*)", headers["Content-Type"])[1].encode()
    parts = body.split(b"--" + boundary)
    assert parts[0] == b"" and parts[-1] == b"--\r\n"
    named = {}
    for part in parts[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        named[re.search(rb'name="([^"]*)"', head)[1].decode()] = content.removesuffix(b"\r\n")
    assert named.pop("top") == b"5"
    return read_image(named["upload"])[None]


def in_json(key):
    return lambda headers, body: np.array(json.loads(body)[key], np.float32)


def files(read):
    return lambda headers, body: np.stack(
        [read_image(base64.b64decode(x)) for x in read(json.loads(body))]
    )


@pytest.mark.parametrize(
    ("described", "read"),
    [
        ({"body": {"json": {"image": "{image}"}}}, files(lambda body: [body["image"]])),
        ({"body": {"json": {"a": ["data:image/png;base64,{image}", 3]}}},
         files(lambda body: [body["a"][0].removeprefix("data:image/png;base64,")])),
        ({"body": {"json": {"all": "{images}"}, "each": {"b64": "{image}"}}},
         files(lambda body: [x["b64"] for x in body["all"]])),
        ({"body": {"form": "upload", "fields": {"top": "5"}}}, from_form),
        ({"body": {"raw": True}}, lambda headers, body: read_image(body)[None]),
        ({"body": {"json": {"x": "{images}"}}, "image": {"format": "array"}}, in_json("x")),
        ({"body": {"json": {"x": "{images}"}}, "image": {"format": "array", "layout": "flat"}},
         in_json("x")),
    ],
)  # fmt: skip
def test_bodies(ask, described, read):
    labels, server = ask(answering(read), answer=SCORES, **described)
    np.testing.assert_array_equal(labels, EXPECTED)
    single = "{images}" not in json.dumps(described)
    assert len(server.questions) == (len(IMAGES) if single else 1)


def test_a_jpeg_is_one_of_the_quality_asked_for(ask):
    sizes = []

    def read(headers, body):
        assert headers["Content-Type"] == "image/jpeg" and body[:2] == b"\xff\xd8"
        sizes.append(len(body))
        return read_image(body)[None]

    for quality in (100, 10):
        ask(answering(read), body={"raw": True}, answer=SCORES,
            image={"format": "jpeg", "quality": quality})  # fmt: skip
    assert sum(sizes[:7]) > sum(sizes[7:])


def test_headers_take_the_environments_values(ask):
    def read(headers, body):
        assert headers["Authorization"] == "Bearer tok-123456" and headers["X-Version"] == "2"
        return in_json("x")(headers, body)

    typed = {"Authorization": "Bearer ${THEIR_TOKEN}", "X-Version": "2"}
    ask(answering(read), body={"json": {"x": "{images}"}}, image={"format": "array"},
        answer=SCORES, headers=typed)  # fmt: skip


ROWS = [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]


@pytest.mark.parametrize(
    ("answer", "form", "names"),
    [
        ({"a": ROWS}, Form("$.a"), None),
        ({"a": [{"p": row} for row in ROWS]}, Form("$.a[*].p", "scores"), None),
        ({"a": [*ROWS[0], *ROWS[1]]}, Form("$.a", "scores"), None),
        ([dict(zip(NAMES, row, strict=True)) for row in ROWS], Form("$", "scores"), NAMES),
        ({"a": [1, 0]}, Form("$.a"), None),
        ({"a": ["dog", "cat"]}, Form("$.a", "labels"), NAMES),
        ({"a": [{"name": "dog"}, {"name": "cat"}]}, Form("$.a[*].name"), NAMES),
        ({"a": ["1", "0"]}, Form("$.a"), None),
        ([[{"label": "cat", "score": 0.3}, {"label": "dog", "score": 0.7}],
          [{"label": "cat", "score": 0.5}]], Form("$", "top"), NAMES),
        ({"a": [["dog", "cat"], ["cat", "dog"]]}, Form("$.a", "top"), NAMES),
        ({"a": [[{"i": 1, "p": 0.9}], [{"i": 0, "p": 0.9}]]},
         Form("$.a", "top", label="i", score="p"), None),
        ({"a": ["0.3:0:cat", "0.9:1:dog", "1e-1:2", "0.8:0"]}, Form("$.a", "top"), None),
    ],
)  # fmt: skip
def test_answers(answer, form, names):
    api = Api("http://any", answer=form, labels=None if names is None else tuple(names))
    read = read_answer(api, answer, 2)
    np.testing.assert_array_equal(read if read.ndim == 1 else read.argmax(axis=1), [1, 0])


@pytest.mark.parametrize(
    "answer", [[0.1, 0.7, 0.2], [[0.1, 0.7, 0.2]], [{"dog": 0.7, "cat": 0.1, "sea lion": 0.2}]]
)
def test_one_image_and_its_scores(answer):
    api = Api("http://any", answer=Form("$", "scores"), labels=tuple(NAMES))
    np.testing.assert_array_equal(read_answer(api, answer, 1), [[0.1, 0.7, 0.2]])


@pytest.mark.parametrize(
    ("answer", "form", "message"),
    [
        ({"b": 3}, Form("$.a"), r"the answer at \$.a. Received: an object with \"b\""),
        (3, Form("$.a"), "the answer at"),
        (
            {"a": [1, 2, 3]},
            Form("$.a", "labels"),
            "expected 2 answers from the server. Received: 3",
        ),
        ({"a": []}, Form("$.a"), "expected 2 answers"),
        ({"a": ROWS * 2}, Form("$.a", "scores"), "row of scores"),
        ({"a": [[1, 2], [1, 2, 3]]}, Form("$.a", "scores"), "rows of 2 and 3"),
        ({"a": [[1, 2], ["x", 3]]}, Form("$.a", "scores"), "row of scores"),
        ({"a": [[1, 2], [True, False]]}, Form("$.a", "scores"), "row of scores"),
        ({"a": [[1, 2], [10**400, 3]]}, Form("$.a", "scores"), "row of scores"),
        ({"a": [[], []]}, Form("$.a", "scores"), "row of scores"),
        ({"a": [[], []]}, Form("$.a", "labels"), "a label for each image"),
        ({"a": [0.5, 1.5]}, Form("$.a", "labels"), "expected a label"),
        ({"a": [None, 1]}, Form("$.a", "labels"), "expected a label"),
        ({"a": ["zebra", "cat"]}, Form("$.a", "labels"), 'one of the 3 labels listed. .*"zebra"'),
        ({"a": [{"x": 1}, {"x": 2}]}, Form("$.a", "labels"), "the key 'label'"),
        ({"a": [{"cat": 1}, {"cat": 1}]}, Form("$.a", "scores"), "score for each of 3 labels"),
        ({"a": [{"label": 1, "score": "x"}] * 2}, Form("$.a", "top"), "a number as score"),
        ({"a": ["1.2.3:0", "1:1"]}, Form("$.a", "top"), "a number as score"),
    ],
)
def test_answers_that_are_none(answer, form, message):
    with pytest.raises(SuspectError, match=message) as caught:
        read_answer(Api("http://any", answer=form, labels=tuple(NAMES)), answer, 2)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


GOOD = {"url": "http://host/x", "body": {"raw": True}, "answer": {"path": "$.a"}}


def refused(tmp_path, content):
    path = tmp_path / "api.yaml"
    path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
    with pytest.raises(SuspectError) as caught:
        open_suspect(str(path), **FITTING)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line and len(line) < 600
    return line


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"urll": "x"}, "only url, headers, image, shape, body, answer, labels in a description. "
                        "Received: 'urll'"),
        ({"body": {"raw": True, "jsn": 3}}, "in body. Received: 'jsn'"),
        ({"answer": {"path": "$", "colour": 3}}, "in answer. Received: 'colour'"),
        ({"answer": {"path": "$.["}}, "JSONPath as answer.path"),
        ({"answer": {"path": "$", "kind": "best"}}, "answer.kind scores or labels"),
        ({"answer": {}}, "expected answer.path"),
        ({"body": {}}, "one of json, form and raw"),
        ({"body": {"raw": True, "form": "x"}}, "one of json, form and raw"),
        ({"body": {"raw": False}}, "body.raw true"),
        ({"body": {"json": {"a": 1}}}, "{image} or {images} in body.json"),
        ({"image": {"format": "bmp"}}, "image.format png or jpeg or array. Received: 'bmp'"),
        ({"image": {"format": "array"}}, "image.format png or jpeg here"),
        ({"image": {"quality": 101}}, "image.quality from 1 to 100"),
        ({"image": {"format": ["png"]}}, "image.format"),
        ({"shape": [2, 2]}, r"shape as [height, width, channels]"),
        ({"shape": [2, 2, 10**9]}, "shape as"),
        ({"labels": ["a", "a"]}, "labels that differ"),
        ({"labels": "a"}, "a list of labels"),
        ({"labels": ["a", "b"]}, "a suspect with 3 classes"),
        ({"shape": [8, 8, 1]}, "inputs of shape"),
        ({"headers": {"Authorization": "Bearer tok-123456"}}, "Authorization in an environment"),
        ({"headers": {"X-Api-Key": "tok-123456"}}, "X-Api-Key in an environment"),
        ({"headers": {"X y": "1"}}, "a header as 'Name: value'"),
        ({"headers": {"X": "1\n2"}}, "a header as 'Name: value'"),
        ({"headers": {"X": 3}}, "a text as headers.X"),
        ({"url": 3}, "a text as url"),
        ({"url": "ftp://host/x"}, "an address like http://host"),
        ({"url": "http://user:tok-123456@host/x"}, "an address without a password"),
        ({"url": "http://host/${NO_SUCH_VARIABLE}"}, "environment variable NO_SUCH_VARIABLE"),
    ],
)  # fmt: skip
def test_what_is_no_description_is_refused_by_name(tmp_path, changed, message):
    line = refused(tmp_path, {**GOOD, **changed})
    assert message in line and "tok-123456" not in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a description as keys"),
        (b"[1, 2]", "a description as keys"),
        (b"a: [", "expected YAML"),
        (b"\xff\xfe\xff", "expected YAML"),
        (b"a: &x 3\nb: *x\n", "without references"),
        (b"url: a\nurl: b\n", "'url' once. Received: twice"),
        (b"url: !!python/object/apply:os.system ['touch owned']\n", "expected YAML"),
        (b"[" * 50_000, "expected YAML"),
        (b"#" * (1 << 21), "at most 1 MiB"),
        (b"? [a, b]\n: 3\n", "expected"),
    ],
)
def test_yaml_that_is_none_or_an_attack(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(tmp_path, content)
    assert not (tmp_path / "owned").exists()


def test_a_description_is_written_as_it_is_read(tmp_path):
    path = tmp_path / "api.yaml"
    for described in (
        GOOD,
        {**GOOD, "labels": NAMES, "shape": [2, 2, 1], "headers": {"X-Key": "${KEY}"}},
        {**GOOD, "body": {"json": {"x": "{images}"}, "each": {"b64": "{image}"}},
         "image": {"format": "jpeg", "quality": 80}},
        {**GOOD, "body": {"form": "f", "fields": {"a": "b"}}, "answer": {"path": "$"}},
    ):  # fmt: skip
        path.write_text(yaml.safe_dump(described))
        api = load_yaml(path)
        path.write_text(dump_yaml(api))
        assert load_yaml(path) == api
