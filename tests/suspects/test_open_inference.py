"""A model behind the Open Inference Protocol, in JSON and in bytes."""

import json

import numpy as np
import pytest

from cemfp.models.convention import Convention
from cemfp.suspects import SuspectError, answer_labels, open_suspect
from tests.suspects.servers import JSON, OpenInference, Reply, TensorFlowServing, serve
from tests.suspects.test_tf_serving import EXPECTED, FITTING, IMAGES, scores

BINARY = ("classification", "binary_tensor_data")
BOTH = pytest.mark.parametrize("extensions", [(), BINARY], ids=["json", "binary"])


def ask(app, path="/v2/models/m", images=IMAGES, **more):
    with serve(app) as server:
        opened = open_suspect(server.url + path, **{**FITTING, **more})
        return answer_labels(opened, images, 3, 4), server


@BOTH
@pytest.mark.parametrize("path", ["/v2/models/m", "/v2/models/m/infer"])
def test_arrays_reach_the_model_as_they_are(path, extensions):
    seen = []

    def answer(images):
        seen.append(images)
        return scores(images)

    labels, server = ask(OpenInference(answer, extensions=extensions), path)
    np.testing.assert_array_equal(labels, EXPECTED)
    np.testing.assert_array_equal(np.concatenate(seen), IMAGES)
    assert [x.startswith(b'{"inputs"') and x.endswith(b"}") for x in server.questions] == [
        not extensions
    ] * 2


@BOTH
def test_every_way_to_hold_an_image(extensions):
    grey, colour = Convention(255.0), np.repeat(IMAGES, 3, axis=3)
    both = {"extensions": extensions}
    for app, more in (
        (OpenInference(scores, datatype="UINT8", **both), {"convention": grey}),
        (OpenInference(scores, datatype="FP16", **both), {"convention": grey}),
        (OpenInference(scores, datatype="BYTES", shape=(-1, 1), **both), {}),
        (OpenInference(scores, shape=(-1, 4), **both), {}),
        (OpenInference(scores, shape=(-1, 2, 2), **both), {}),
        (OpenInference(scores, shape=(-1, 1, 2, 2), **both), {}),
    ):
        np.testing.assert_array_equal(ask(app, **more)[0], EXPECTED)
    first = OpenInference(lambda images: scores(images[:, 0]), shape=(-1, 3, 2, 2), **both)
    labels, _ = ask(first, images=colour, input_shape=(2, 2, 3))
    np.testing.assert_array_equal(labels, EXPECTED)


@BOTH
def test_as_many_images_as_the_model_insists_on(extensions):
    seen = []

    def answer(images):
        seen.append(len(images))
        return scores(images)

    app = OpenInference(answer, shape=(5, 2, 2, 1), extensions=extensions)
    np.testing.assert_array_equal(ask(app)[0], EXPECTED)
    assert set(seen) == {5}


@BOTH
def test_answers_of_every_kind(extensions):
    def best(images):
        return scores(images).argmax(axis=1)

    def classified(images):
        ranked = np.argsort(-scores(images), axis=1)[:, :2]
        rows = zip(scores(images), ranked, strict=True)
        return [[f"{row[k]:.6f}:{k}:name {k}" for k in order][::-1] for row, order in rows]

    def named(images):
        return [f"{score.max():g}:{score.argmax()}" for score in scores(images)]

    for answer, kind, size in (
        (best, "INT64", (-1,)),
        (classified, "BYTES", (-1, 2)),
        (named, "BYTES", (-1,)),
        (scores, "FP16", (-1, 3)),
    ):
        app = OpenInference(answer, output=kind, size=size, extensions=extensions)
        np.testing.assert_array_equal(ask(app)[0], EXPECTED)
    app = OpenInference(lambda x: ["cat"] * len(x), output="BYTES", size=(-1,))
    with pytest.raises(SuspectError, match='answers names, "cat" say: list them'):
        ask(app)


def test_a_server_that_names_nothing():
    labels, server = ask(OpenInference(scores, named=False))
    np.testing.assert_array_equal(labels, EXPECTED)
    assert json.loads(server.questions[0])["inputs"][0]["name"] == "input-0"


def test_which_side_has_the_channels_is_asked_where_both_may():
    with pytest.raises(SuspectError, match="channels come first or last"):
        ask(OpenInference(scores, shape=(-1, 3, 3, 3)))
    with pytest.raises(SuspectError, match="inputs of shape"):
        ask(OpenInference(scores, shape=(-1, 3, 8, 8)))
    with pytest.raises(SuspectError, match="an input for images"):
        ask(OpenInference(scores, shape=(-1, 2, 2, 2, 2)))


def output(**facts):
    given = {"name": "y", "datatype": "FP32", "shape": [4, 3], **facts}
    return {"outputs": [{k: v for k, v in given.items() if v is not None}]}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "object with outputs"),
        ({"outputs": [3]}, "object with outputs"),
        (output(), "an output with data"),
        (output(data=[]), "an output with data"),
        (output(data=[1] * 11), r"shape \[4, 3\]. Received: 11 values"),
        (output(data=[[1, 2, 3]] * 3), "expected 4 answers from the server. Received: 3"),
        (output(data=[[1, 2, 3]] * 3 + [[1, 2]]), "rows of 2 and 3"),
        (output(data=[1] * 12, name="z"), r"expected the answer at \$.outputs"),
        (output(data=["a"] * 12), "a row of scores"),
        (output(parameters={"binary_data_size": 0}), 'as it says.* Received: "0", and 0'),
        (output(parameters={"binary_data_size": 48}), "as many bytes as it says"),
        (output(parameters={"binary_data_size": "48"}), "as many bytes as it says"),
        ({"error": "out of\n memory"}, 'answers with an error: "out of memory"'),
    ],
)
def test_answers_that_are_none(answer, message):
    app = OpenInference(scores)

    def hostile(method, path, headers, body):
        if method == "POST":
            raise Reply(200, answer)
        app(method, path, headers, body)

    with pytest.raises(SuspectError, match=message) as caught:
        ask(hostile)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("size", "kind", "head", "message"),
    [
        (48, "FP32", "9999999", "Received: fewer"),
        (48, "FP32", "x", "Received: fewer"),
        (40, "FP32", None, "8 bytes that belong nowhere"),
        (49, "FP32", None, "as many bytes as it says"),
        (-1, "FP32", None, "as many bytes as it says"),
        (48, "FP31", None, 'a known type. Received: "FP31"'),
        (47, "FP32", None, "a known type"),
        (48, "BYTES", None, "led by their length"),
    ],
)
def test_bytes_that_are_no_tensor(size, kind, head, message):
    app = OpenInference(scores, extensions=BINARY)
    start = json.dumps(
        output(datatype=kind, shape=None, parameters={"binary_data_size": size})
    ).encode()

    def hostile(method, path, headers, body):
        if method == "POST":
            length = {"Inference-Header-Content-Length": head or str(len(start))}
            raise Reply(200, start + b"\x7f" * 48, {**JSON, **length})
        app(method, path, headers, body)

    with pytest.raises(SuspectError, match=message):
        ask(hostile)


@pytest.mark.parametrize("shape", [["-1", "2", "2", "1"], "[-1,2,2,1]", None, [None, 2], [{}], {}])
def test_a_shape_that_is_no_list_of_numbers(shape):
    app = OpenInference(scores)
    facts = app.facts()
    facts["inputs"][0]["shape"] = shape
    app.facts = lambda: facts
    np.testing.assert_array_equal(ask(app)[0], EXPECTED)


def test_the_other_version_is_named_by_the_servers_words():
    with pytest.raises(SuspectError, match='the server answers 404: "unknown model"'):
        ask(OpenInference(scores), "/v1/models/m")
    with pytest.raises(SuspectError, match='the server answers 404: "unknown model"'):
        ask(OpenInference(scores), "/v2/models/other")


@pytest.mark.parametrize(("app", "asked", "other"), [
    (OpenInference(scores), "/v1/models/m", "/v2/models/"),
    (TensorFlowServing(scores), "/v2/models/m", "/v1/models/"),
])  # fmt: skip
def test_the_other_protocol_is_named(app, asked, other):
    with pytest.raises(SuspectError, match=rf"answers 404: .*is it there, or at {other}"):
        ask(app, asked)
