"""The Open Inference Protocol, version 2, of KServe, MLServer and Triton, over REST.

    GET  /v2/models/NAME            names, types and shapes of inputs and outputs, if it says so
    POST /v2/models/NAME/infer      {"inputs": [...]} -> {"outputs": [...]}

Where the server has the extension `binary_tensor_data`, tensors follow the JSON as bytes.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from cemfp.suspects.base import NoAnswer, SuspectError
from cemfp.suspects.network import bodies, tensors
from cemfp.suspects.network.api import IMAGE, IMAGES, SHAPE, Api, Body, Form
from cemfp.suspects.network.binary import TYPES, pack, shaped, unpack
from cemfp.suspects.network.client import Client
from cemfp.suspects.network.reading import parse_json, plain, quoted
from cemfp.suspects.network.remote import Remote
from cemfp.suspects.network.replies import Reply
from cemfp.suspects.network.tensors import Tensor

ADDRESS = re.compile(r"(.*)(/v2/models/[^/:?]+(?:/versions/[^/:?]+)?)(?:/infer)?(\?.*)?")
EXTENSION = "binary_tensor_data"
HEADER = "inference-header-content-length"
# What servers that name nothing are sent.
UNNAMED = Tensor("input-0", "float", None, "FP32")


class OpenInference(Remote):
    """A model behind the protocol.

    Attributes:
        taken: Its input.
        binary: Whether tensors are sent and asked for as bytes.
    """

    def __init__(self, api: Api, client: Client, taken: Tensor, *, binary: bool) -> None:
        super().__init__(api, client)
        self.taken, self.binary = taken, binary

    def _encode(self, images: np.ndarray) -> tuple[bytes, dict[str, str]]:
        if not self.binary:
            return super()._encode(images)
        content, shape = pack(self.api, self.taken, images)
        head = bodies.fill(self.api, images[:1])
        tensor = head["inputs"][0]
        del tensor["data"]
        tensor |= {"shape": shape, "parameters": {"binary_data_size": len(content)}}
        head["parameters"] = {"binary_data_output": True}
        start = bodies.to_json(head)
        kind = {"content-type": "application/octet-stream", HEADER: str(len(start))}
        return start + content, kind

    def _parse(self, reply: Reply) -> Any:
        size = reply.headers.get(HEADER)
        if size is None:
            answer, rest = parse_json(reply.body), b""
        else:
            cut = int(size) if size.isdecimal() and len(size) < 10 else len(reply.body) + 1
            if cut > len(reply.body):
                raise SuspectError(f"expected JSON of {quoted(size)} bytes. Received: fewer.")
            answer, rest = parse_json(reply.body[:cut]), reply.body[cut:]
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        if not isinstance(outputs, list) or not all(isinstance(x, dict) for x in outputs):
            raise SuspectError("expected an object with outputs from the server. Received: none.")
        for output in outputs:
            rest = unpack(output, rest)
            output["data"] = shaped(output)
        if rest:
            raise SuspectError(f"the server's answer has {len(rest)} bytes that belong nowhere.")
        return answer


def open_model(client: Client, address: str, output: str | None = None) -> OpenInference:
    """Return a model, described as its server does.

    Args:
        client: Asks.
        address: As in `ADDRESS`.
        output: Which of several outputs to read.

    Raises:
        NoAnswer: The server cannot be reached.
        SuspectError: It says no, or nothing that can be understood.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise SuspectError("expected an address like http://host:8080/v2/models/NAME.")
    base, model, query = found[1], found[2], found[3] or ""
    facts = client.get_json(f"{base}{model}{query}")
    if not isinstance(facts, dict):
        raise SuspectError("expected a model's metadata. Received: none.")
    taken = tensors.choose(_tensors(facts.get("inputs")) or [UNNAMED], None, "input")
    if taken.type not in (*TYPES, "BYTES"):
        raise SuspectError(f"expected an input of a known type. Received: {quoted(taken.type)}.")
    outputs = _tensors(facts.get("outputs"))
    answered = tensors.choose(outputs, output, "output") if outputs else None
    binary = _has_extension(client, f"{base}/v2{query}")
    url = f"{base}{model}/infer{query}"
    api = _api(url, taken, answered, output, binary=binary)
    return OpenInference(api, client, taken, binary=binary)


def _api(
    url: str, taken: Tensor, answered: Tensor | None, output: str | None, *, binary: bool
) -> Api:
    picture, shape = tensors.picture(taken)
    tensor: dict[str, Any] = {
        "name": taken.name,
        "shape": SHAPE,
        "datatype": taken.type,
        "data": IMAGES,
    }
    if taken.kind == "text":
        tensor["parameters"] = {"content_type": "base64"}
    question: dict[str, Any] = {"inputs": [tensor]}
    name = answered.name if answered else output
    path = "$.outputs[0].data"
    if name is not None:
        question["outputs"], path = [{"name": name}], f"$.outputs[?@.name == {name!r}].data"
    said = (
        f"output {plain(answered.name)} ({answered.type})"
        if answered
        else "outputs that it does not name"
    )
    if taken is UNNAMED:
        taken_as = "inputs that it does not name"
    else:
        taken_as = f"input {plain(taken.name)} ({taken.type})"
    return Api(
        url,
        image=picture,
        shape=shape,
        body=Body(question, each=IMAGE),
        answer=Form(path, "scores" if tensors.classes_of(answered) else "auto"),
        classes=tensors.classes_of(answered),
        insists=tensors.batch_of(taken),
        speaks=f"Open Inference, version 2, {'binary' if binary else 'JSON'}, {taken_as}, {said}",
    )


def _has_extension(client: Client, url: str) -> bool:
    try:
        facts = client.get_json(url)
    except NoAnswer:
        raise
    except SuspectError:  # a page that a server need not have
        return False
    known = facts.get("extensions") if isinstance(facts, dict) else None
    return isinstance(known, list) and EXTENSION in known


def _tensors(read: Any) -> list[Tensor]:
    if read is None:
        return []
    try:
        return [
            Tensor(
                str(facts["name"]),
                tensors.kind_of(facts["datatype"]),
                tensors.shape_of(facts.get("shape")),
                str(facts["datatype"]),
            )
            for facts in read
        ]
    except (KeyError, TypeError, AttributeError):
        raise SuspectError("expected metadata with names, types and shapes.") from None
