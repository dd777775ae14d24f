"""TensorFlow Serving's REST API, version 1, which KServe speaks, too, but for the metadata.

GET  /v1/models/NAME/metadata          signatures: names, types and shapes of inputs and outputs
POST /v1/models/NAME:predict           {"instances": [...]} -> {"predictions": [...]}
"""

from __future__ import annotations

import re
from typing import Any

from cemfp.suspects.base import SuspectError
from cemfp.suspects.network import tensors
from cemfp.suspects.network.api import IMAGE, IMAGES, Api, Body, Form
from cemfp.suspects.network.client import Client
from cemfp.suspects.network.reading import plain, quoted
from cemfp.suspects.network.replies import Refused
from cemfp.suspects.network.tensors import Tensor

ADDRESS = re.compile(r"(.*/v1/models/[^/:?]+(?:/(?:versions|labels)/[^/:?]+)?)(?::predict)?(\?.*)?")
DEFAULT = "serving_default"


def describe(client: Client, address: str, output: str | None = None) -> Api:
    """Return what a model takes and answers, as the server says.

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
        raise SuspectError("expected an address like http://host:8501/v1/models/NAME.")
    model, query = found[1], found[2] or ""
    try:
        facts = client.get_json(f"{model}/metadata{query}")
    except Refused as error:
        if error.status not in (404, 405):
            raise
        # Other servers of this protocol have no such page: then it is arrays in, anything out.
        return Api(
            f"{model}:predict{query}",
            body=Body({"instances": IMAGES}),
            answer=Form("$.predictions"),
            speaks="REST, version 1, without metadata",
        )
    return _api(f"{model}:predict{query}", facts, output)


def _api(url: str, facts: Any, output: str | None) -> Api:
    name, signature = _signature(facts)
    inputs, outputs = (_tensors(signature.get(k)) for k in ("inputs", "outputs"))
    taken = tensors.choose(inputs, None, "input")
    picture, shape = tensors.picture(taken)
    answered = tensors.choose(outputs, output, "output")
    item: Any = {"b64": IMAGE} if taken.kind == "text" else IMAGE
    # With several outputs a prediction is an object of them.
    path = "$.predictions" if len(outputs) == 1 else f"$.predictions[*][{answered.name!r}]"
    return Api(
        url,
        image=picture,
        shape=shape,
        body=Body({"signature_name": name, "instances": IMAGES}, each={taken.name: item}),
        answer=Form(path, "scores" if tensors.classes_of(answered) else "auto"),
        classes=tensors.classes_of(answered),
        insists=tensors.batch_of(taken),
        speaks=f"TensorFlow Serving REST, signature {plain(name)}, input {plain(taken.name)} "
        f"({taken.type}), output {plain(answered.name)} ({answered.type})",
    )


def _signature(facts: Any) -> tuple[str, dict[str, Any]]:
    """Return name and content of the signature to ask: the default, or the only one."""
    try:
        known = facts["metadata"]["signature_def"]["signature_def"]
        usable = {
            name: signature
            for name, signature in known.items()
            if signature.get("inputs") and signature.get("outputs")
        }
    except (KeyError, TypeError, AttributeError):
        raise SuspectError(
            "expected a model's metadata with its signatures. Received: none."
        ) from None
    if DEFAULT in usable or len(usable) == 1:
        name = DEFAULT if DEFAULT in usable else next(iter(usable))
        return name, usable[name]
    raise SuspectError(
        f"expected a signature {DEFAULT}. Received: {quoted(', '.join(usable))}; a description "
        "(api.yaml) says which."
    )


def _tensors(read: Any) -> list[Tensor]:
    try:
        return [
            Tensor(
                name,
                tensors.kind_of(facts["dtype"]),
                _shape(facts.get("tensor_shape")),
                str(facts["dtype"])[:40],
            )
            for name, facts in read.items()
        ]
    except (KeyError, TypeError, AttributeError):
        raise SuspectError("expected a signature with names, types and shapes.") from None


def _shape(read: Any) -> tuple[int, ...] | None:
    if not isinstance(read, dict) or read.get("unknown_rank"):
        return None
    return tensors.shape_of([size.get("size") for size in read.get("dim", [])])
