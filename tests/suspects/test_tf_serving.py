"""A model behind TensorFlow Serving's REST, asked as its metadata say."""

import functools
import json

import numpy as np
import pytest

from cemfp.models.convention import Convention
from cemfp.suspects import Connection, Pace, Remembered, SuspectError, answer_labels, open_suspect
from tests.suspects.servers import Reply, TensorFlowServing, serve

FITTING = {"input_shape": (2, 2, 1), "classes": 3}
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 2, 2, 1)).astype(np.float32) / np.float32(
    255
)
KERNEL = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def scores(images):
    return images.reshape(len(images), -1) @ KERNEL


EXPECTED = scores(IMAGES).argmax(axis=1)


def ask(app, path="/v1/models/m", connection=None, **more):
    """Labels of `IMAGES`, and the server with what it was asked."""
    with serve(app) as server:
        opened = open_suspect(server.url + path, **FITTING, connection=connection, **more)
        return answer_labels(opened, IMAGES, 3, 4), server


@pytest.mark.parametrize("path", ["/v1/models/m", "/v1/models/m:predict"])
def test_arrays_reach_the_model_as_they_are(path):
    seen = []

    def answer(images):
        seen.append(images)
        return scores(images)

    labels, server = ask(TensorFlowServing(answer), path)
    np.testing.assert_array_equal(labels, EXPECTED)
    np.testing.assert_array_equal(np.concatenate(seen), IMAGES)
    first = json.loads(server.questions[0])
    assert first["signature_name"] == "serving_default" and set(first["instances"][0]) == {
        "input_1"
    }
    assert [len(json.loads(body)["instances"]) for body in server.questions] == [4, 3]


def test_a_signature_of_strings_gets_files():
    labels, server = ask(TensorFlowServing(scores, name="image_bytes", dtype="DT_STRING"))
    np.testing.assert_array_equal(labels, EXPECTED)
    assert set(json.loads(server.questions[0])["instances"][0]["image_bytes"]) == {"b64"}
    with pytest.raises(SuspectError, match="sent as files: leave the scale option out"):
        ask(TensorFlowServing(scores, dtype="DT_STRING"), convention=Convention(255.0))


def test_whole_numbers():
    grey = Convention(255.0)
    labels, server = ask(TensorFlowServing(scores, dtype="DT_UINT8"), convention=grey)
    np.testing.assert_array_equal(labels, EXPECTED)  # no score depends on the scale
    sent = json.loads(server.questions[0])["instances"][0]["input_1"]
    assert sent == np.rint(IMAGES[0] * 255).astype(int).tolist()
    with pytest.raises(SuspectError, match="add --scale 255"):
        ask(TensorFlowServing(scores, dtype="DT_UINT8"))


def test_one_of_several_outputs():
    app = TensorFlowServing(scores, outputs=("probs", 'it\'s "quoted"'))
    with pytest.raises(SuspectError, match=r"expected one output.*--output NAME chooses"):
        ask(app)
    for output in app.outputs:
        labels, _ = ask(app, connection=Connection(output=output))
        np.testing.assert_array_equal(labels, EXPECTED)


def test_a_server_without_metadata():
    labels, server = ask(TensorFlowServing(scores, metadata=False))
    np.testing.assert_array_equal(labels, EXPECTED)
    assert set(json.loads(server.questions[0])) == {"instances"}


def test_labels_only():
    app = TensorFlowServing(lambda images: scores(images).argmax(axis=1), metadata=False)
    np.testing.assert_array_equal(ask(app)[0], EXPECTED)


def test_one_image_at_a_time_where_the_signature_wants_it():
    app = TensorFlowServing(scores, batch=1)
    labels, server = ask(app, around=Remembered)
    np.testing.assert_array_equal(labels, EXPECTED)
    assert len(server.questions) == len(IMAGES)


@pytest.mark.parametrize("around", [None, functools.partial(Remembered, batch=1)])
def test_as_many_images_as_the_signature_insists_on(around):
    app = TensorFlowServing(scores, batch=4)
    labels, server = ask(app, around=around) if around else ask(app)
    np.testing.assert_array_equal(labels, EXPECTED)
    assert [len(json.loads(body)["instances"]) for body in server.questions] == [4, 4]


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (TensorFlowServing(scores, classes=10), "expected a suspect with 3 classes"),
        (TensorFlowServing(scores, shape=(8, 8, 1)), "inputs of shape"),
        (TensorFlowServing(scores, batch=10**9), "a model that wants 1000000000 at once"),
        (TensorFlowServing(scores, dtype="DT_VARIANT"), 'numbers or texts. Received: "DT_VARIANT"'),
        (TensorFlowServing(scores, shape=(3, 3, 3)), "channels come first or last"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_asked(app, message):
    with serve(app) as server:
        with pytest.raises(SuspectError, match=message) as caught:
            open_suspect(f"{server.url}/v1/models/m", **FITTING)
        assert str(caught.value).startswith(f"{server.url}/v1/models/m: ")
        assert server.questions == []


def test_the_servers_own_words_are_quoted_once():
    app = TensorFlowServing(scores, name="image")

    def moody(method, path, headers, body):
        if method == "POST":
            raise Reply(400, {"error": "Missing \x1b[31minputs\n: image"})
        app(method, path, headers, body)

    with serve(moody) as server:
        opened = open_suspect(f"{server.url}/v1/models/m", **FITTING)
        with pytest.raises(SuspectError) as caught:
            answer_labels(opened, IMAGES, 3)
    assert str(caught.value) == r'the server answers 400: "Missing \x1b[31minputs : image"'


def signatures(**known):
    return {"metadata": {"signature_def": {"signature_def": known}}}


SIGNATURE = {"inputs": {"x": {}}, "outputs": {"y": {}}}


@pytest.mark.parametrize(
    "facts",
    [{}, [], 3, signatures(), signatures(a={"inputs": 3, "outputs": 4}), signatures(a=SIGNATURE),
     signatures(a=SIGNATURE, b=SIGNATURE)],
)  # fmt: skip
def test_metadata_that_are_none(facts):
    def app(method, path, headers, body):
        raise Reply(200, facts)

    with serve(app) as server, pytest.raises(SuspectError) as caught:
        open_suspect(f"{server.url}/v1/models/m", **FITTING)
    assert "\n" not in str(caught.value) and "expected a" in str(caught.value)


def test_the_model_is_waited_for_while_it_loads():
    app, pauses = TensorFlowServing(scores), []
    states = iter([(503, {"Retry-After": "7"}), (429, {}), (500, {"Retry-After": "0"})])

    def loading(method, path, headers, body):
        status, headers = next(states, (None, None))
        if status is not None:
            raise Reply(status, {"error": "not yet"}, headers)
        app(method, path, headers, body)

    pace = Pace(sleep=pauses.append)
    labels, _ = ask(loading, connection=Connection(pace=pace))
    np.testing.assert_array_equal(labels, EXPECTED)
    assert pauses == [7.0, 2.0, 4.0]
