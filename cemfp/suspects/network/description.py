"""An API's description in a small YAML file: read with suspicion, and written.

    url: https://host/classify          # ${NAME} is a variable of the environment, in headers, too
    headers: {Authorization: "Bearer ${TOKEN}"}
    image: {format: png}                # png, jpeg (quality: 95) or array (layout: hwc, chw, hw or
                                        # flat; numbers: float or whole)
    shape: [32, 32, 3]                  # of an image; may be left out
    body: {json: {image: "{image}"}}    # or {form: FIELD, fields: {...}}, or {raw: true}
    answer: {path: "$.scores", kind: scores}    # or labels, or top, or auto
    labels: [cat, dog]                  # in the order of the fingerprint's classes, if it has names

In `json`, `"{image}"` is one image, in base64 or as an array, `"{images}"` the list of all in a
question, each as `each` says, and `"{shape}"` the shape of that list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cemfp.suspects.base import SuspectError
from cemfp.suspects.network import secrets
from cemfp.suspects.network.api import IMAGE, IMAGES, Api, Body, Form, Picture

MOST_BYTES = 1 << 20
MOST_CLASSES = 100_000
LARGEST_SIDE = 1 << 14


def load_yaml(path: Path) -> Api:
    """Read a description.

    Raises:
        SuspectError: It is none; the message names what is wrong in it.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    return parse_yaml(content)


def parse_yaml(content: bytes) -> Api:
    """Read a description's content; see `load_yaml`."""
    if len(content) > MOST_BYTES:
        raise SuspectError(f"expected a description of at most {MOST_BYTES >> 20} MiB.")
    return _api(_parse(content))


def dump_yaml(api: Api, headers: Sequence[str] = ()) -> str:
    """Return the YAML of a description, which `load_yaml` reads again.

    Args:
        api: What is described.
        headers: As typed; a credential's variable is named, its value is not looked at.
    """
    typed = dict(re.split(r":\s*", header, maxsplit=1) for header in headers)
    default = Picture()
    picture = {k: v for k, v in vars(api.image).items() if k == "format" or v != vars(default)[k]}
    body = {"json": api.body.json, "each": api.body.each, "form": api.body.form}
    body |= {"fields": dict(api.body.fields), "raw": api.body.raw}
    empty: tuple[Any, ...] = (None, {}, False)
    made = {
        "url": api.url,
        "headers": {**api.headers, **typed},
        "image": picture,
        "shape": None if api.shape is None or None in api.shape else list(api.shape),
        "body": {k: v for k, v in body.items() if v not in empty and (k, v) != ("each", IMAGE)},
        "answer": {
            k: v for k, v in vars(api.answer).items() if k == "path" or v != vars(Form())[k]
        },
        "labels": None if api.labels is None else list(api.labels),
    }
    kept = {key: value for key, value in made.items() if value not in empty}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """Safe, and refuses what a description has no use for: references and keys said twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise SuspectError("expected a description without references (*name).")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value if isinstance(key.value, str)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SuspectError(f"expected {twice[0]!a} once. Received: twice.")
        return super().construct_mapping(node, deep)


def _parse(content: bytes) -> Any:
    try:
        return yaml.load(content, _Loader)
    except yaml.YAMLError as error:
        what = " ".join(str(getattr(error, "problem", None) or "not YAML").split())
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SuspectError(f"expected YAML. Received: {what[:100]!a}{where}.") from error
    except (ValueError, RecursionError, UnicodeDecodeError) as error:
        if isinstance(error, SuspectError):
            raise
        raise SuspectError("expected YAML. Received: what cannot be read as such.") from error


def _api(read: Any) -> Api:
    known = _only(read, ("url", "headers", "image", "shape", "body", "answer", "labels"), "")
    for name in ("url", "body", "answer"):
        _expect(name in known, f"{name}", "none")
    headers = _texts(known.get("headers", {}), "headers")
    for header in headers.items():
        secrets.check_header(*header)
    labels = known.get("labels")
    if labels is not None:
        labels = _labels(labels)
    body = _body(known["body"])
    return Api(
        url=_text(known["url"], "url"),
        headers=headers,
        image=_picture(known.get("image", {"format": "png"}), body),
        shape=_shape(known.get("shape")),
        body=body,
        answer=_answer(known["answer"]),
        labels=labels,
        classes=None if labels is None else len(labels),
        insists=None if IMAGES in json.dumps(body.json) else 1,
    )


def _body(read: Any) -> Body:
    known = _only(read, ("json", "each", "form", "fields", "raw"), "body.")
    one = [name for name in ("json", "form", "raw") if name in known]
    _expect(len(one) == 1, "one of json, form and raw in body", ", ".join(one) or "none")
    try:
        text = json.dumps(known.get("json"))
        json.dumps(known.get("each"))
    except (TypeError, ValueError, RecursionError):
        raise SuspectError("expected a body.json that JSON can hold.") from None
    if "json" in known:
        _expect(IMAGE in text or IMAGES in text, f"{IMAGE} or {IMAGES} in body.json", "neither")
    _expect(known.get("raw", True) is True, "body.raw true", known.get("raw"))
    form = known.get("form")
    return Body(
        json=known.get("json"),
        each=known.get("each", IMAGE),
        form=None if form is None else _text(form, "body.form"),
        fields=_texts(known.get("fields", {}), "body.fields"),
        raw="raw" in known,
    )


def _picture(read: Any, body: Body) -> Picture:
    known = _only(read, ("format", "quality", "layout", "numbers"), "image.")
    for name, values in (
        ("format", ("png", "jpeg", "array")),
        ("layout", ("hwc", "chw", "hw", "flat")),
        ("numbers", ("float", "whole")),
    ):
        value = known.get(name, values[0])
        _expect(value in values, f"image.{name} {' or '.join(values)}", value)
    quality = known.get("quality", 95)
    _expect(type(quality) is int and 1 <= quality <= 100, "image.quality from 1 to 100", quality)
    picture = Picture(**{"format": "png", **known})
    as_file = body.json is None
    _expect(not as_file or picture.format != "array", "image.format png or jpeg here", "array")
    return picture


def _answer(read: Any) -> Form:
    import jsonpath

    known = _only(read, ("path", "kind", "label", "score"), "answer.")
    _expect("path" in known, "answer.path", "none")
    form = Form(**{name: _text(value, f"answer.{name}") for name, value in known.items()})
    kinds = ("scores", "labels", "top", "auto")
    _expect(form.kind in kinds, f"answer.kind {' or '.join(kinds)}", form.kind)
    try:
        jsonpath.compile(form.path)
    except jsonpath.JSONPathError as error:
        what = str(error).strip().splitlines()[0]
        raise SuspectError(
            f"expected a JSONPath as answer.path. Received: {what[:100]!a}"
        ) from None
    return form


def _labels(read: Any) -> tuple[str, ...]:
    _expect(isinstance(read, list) and 2 <= len(read) <= MOST_CLASSES, "a list of labels", read)
    names = tuple(_text(str(x) if type(x) is int else x, "labels") for x in read)
    twice = len(names) - len(set(names))
    _expect(not twice, "labels that differ", f"{twice} that do not")
    return names


def _shape(read: Any) -> tuple[int | None, ...] | None:
    if read is None:
        return None
    sound = isinstance(read, list) and len(read) == 3
    sound = sound and all(type(n) is int and 0 < n <= LARGEST_SIDE for n in read)
    _expect(sound, "shape as [height, width, channels]", read)
    return tuple(read)


def _only(read: Any, names: tuple[str, ...], where: str) -> dict[str, Any]:
    """Return a mapping that has no other keys than these."""
    _expect(isinstance(read, dict), f"{where.rstrip('.') or 'a description'} as keys", read)
    unknown = [name for name in read if name not in names]
    if unknown:
        raise SuspectError(
            f"expected only {', '.join(names)} in {where.rstrip('.') or 'a description'}. "
            f"Received: {str(unknown[0])[:100]!a}."
        )
    return read


def _text(value: Any, name: str) -> str:
    _expect(isinstance(value, str) and 0 < len(value) <= 4_000, f"a text as {name}", value)
    return value


def _texts(value: Any, name: str) -> dict[str, str]:
    _expect(isinstance(value, dict) and len(value) <= 100, f"{name} as keys with texts", value)
    return {_text(key, name): _text(text, f"{name}.{key}") for key, text in value.items()}


def _expect(condition: bool, expected: str, received: Any) -> None:
    if not condition:
        text = received if isinstance(received, str) else repr(received)
        raise SuspectError(f"expected {expected}. Received: {text[:100]!a}.")
