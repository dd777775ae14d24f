"""What a Keras model's description may contain to be built from safely: data of known kinds.

Keras' own loader imports the modules that a description names, and falls back to a reader without
any guard where the description is of an older form. Nothing reaches it that has not passed `check`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from cemfp.models.known_layers import (
    ACTIVATIONS,
    DTYPES,
    FUNCTIONS,
    MODELS,
    MODULES,
    OPERATORS,
    PARTS,
    WORDS,
)

MOST_LAYERS, MOST_VALUES, DEEPEST = 3_000, 1_000_000, 24
LARGEST, LARGEST_SEED = 2**24, 2**63
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./\- ]{0,199}")
_EQUATION = re.compile(r"[a-zA-Z.]{1,12},[a-zA-Z.]{1,12}->[a-zA-Z.]{1,12}")
_AXES = re.compile(r"[a-z]{1,12}")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,40}")
_CONSTANT = "_CONSTANT_VALUE"  # in place of a layer's name where a function takes a number first
_OBJECT = {"module", "class_name", "config", "registered_name"}
_MODEL_KEYS = {
    "Functional": {"name", "trainable", "layers", "input_layers", "output_layers"},
    "Sequential": {"name", "trainable", "layers", "build_input_shape"},
}


class ArchitectureError(ValueError):
    """A description of a model holds something that is not known to be safe, or is too large."""


def check(architecture: Any) -> None:
    """Refuse what is not a model of known layers, all of it data; takes time in its size only.

    Raises:
        ArchitectureError: Names the first thing that is refused.
    """
    _Walk().model(architecture, 0)


def layers_in(architecture: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every layer's description, models included, those inside models after them."""
    for layer in architecture["config"]["layers"]:
        yield layer
        if layer["class_name"] in MODELS:
            yield from layers_in(layer)


def _refuse(expected: str, received: Any) -> ArchitectureError:
    text = repr(received)
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    return ArchitectureError(f"expected {expected}. Received: {shown}")


class _Walk:
    """Counts what was seen, so that neither many nor deep things pass."""

    def __init__(self) -> None:
        self.layers = self.calls = self.values = 0

    def model(self, raw: Any, depth: int) -> None:
        """Check a functional or sequential model and, unless it is in another, its envelope."""
        name = self._envelope(raw, MODELS, set() if depth == 0 else {"name", "inbound_nodes"})
        config = raw["config"]
        if depth > DEEPEST or not isinstance(config, dict):
            raise _refuse(f"at most {DEEPEST} models inside each other", config)
        if not config.keys() <= _MODEL_KEYS[name] or not {"name", "layers"} <= config.keys():
            raise _refuse("the fields of a model", sorted(map(str, config)))
        layers = config["layers"]
        if not isinstance(layers, list) or not layers:
            raise _refuse("a model with a list of layers", layers)
        self._text(config["name"], "name")
        for layer in layers:
            self._layer(layer, depth, functional=name == "Functional")
        for key in config.keys() - {"name", "layers"}:
            self._plain(config[key], key, 0, names={x["config"]["name"] for x in layers})
        if name == "Functional":
            self._check_graph(layers)

    def _layer(self, raw: Any, depth: int, *, functional: bool) -> None:
        self.layers += 1
        if self.layers > MOST_LAYERS:
            raise _refuse(f"at most {MOST_LAYERS} layers", "more")
        extra = {"name", "inbound_nodes"} if functional else set()
        name = self._envelope(raw, MODULES.keys(), extra)
        if name in MODELS:
            self.model(raw, depth + 1)
            return
        config = raw["config"]
        if not isinstance(config, dict) or "name" not in config:
            raise _refuse(f"the settings of {name}", config)
        if (name in OPERATORS) != ("function" in config):
            raise _refuse(f"a function in {sorted(OPERATORS)} only", name)
        for key, value in config.items():
            self._setting(key, value)

    def _envelope(self, raw: Any, classes: Any, extra: set[str]) -> str:
        """Check who an object says that it is; return the name of its class."""
        if not isinstance(raw, dict) or not _OBJECT <= raw.keys() <= _OBJECT | extra:
            keys = sorted(map(str, raw)) if isinstance(raw, dict) else raw
            raise _refuse(f"a layer's {', '.join(sorted(_OBJECT))} and no more", keys)
        name = raw["class_name"]
        if not isinstance(name, str) or name not in classes:
            raise _refuse("a layer that Keras has and that is known to be pure", name)
        if raw["module"] != MODULES[name] or raw["registered_name"] not in (None, name):
            raise _refuse(f"{name} of Keras itself", [raw["module"], raw["registered_name"]])
        return name

    def _setting(self, key: Any, value: Any) -> None:
        """Check one field of a layer's config."""
        kind = next((k for k in PARTS if str(key) == k or str(key).endswith(f"_{k}")), None)
        if kind is None or not isinstance(value, dict):
            # An initializer by its name alone would be read by another loader.
            if kind not in (None, "dtype") and value is not None:
                raise _refuse(f"{kind}s as objects", value)
            self._plain(value, key, 0)
            return
        module, classes = PARTS[kind]
        if value.keys() != _OBJECT or not isinstance(value["config"], dict):
            raise _refuse(f"an object of {module}", sorted(map(str, value)))
        if value["class_name"] not in classes or value["module"] != module:
            raise _refuse(f"a known object of {module}", [value["module"], value["class_name"]])
        if value["registered_name"] is not None:
            raise _refuse(f"an object of {module}", value["registered_name"])
        for part, inner in value["config"].items():
            self._plain(inner, part, 0, words=DTYPES if kind == "dtype" else WORDS)

    def _plain(
        self, value: Any, key: Any, depth: int, *, names: Any = (), words: frozenset[str] = WORDS
    ) -> None:
        """Check a number, a word, nothing, or a list of such; `names` are those of layers."""
        self.values += 1
        if self.values > MOST_VALUES or depth > DEEPEST:
            raise _refuse(f"at most {MOST_VALUES} values, {DEEPEST} deep", "more")
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise _refuse("a field of a layer", key)
        if value is None or isinstance(value, bool):
            return
        if isinstance(value, int | float):
            largest = LARGEST_SEED if key == "seed" else LARGEST
            if isinstance(value, float) and not math.isfinite(value):
                raise _refuse(f"finite numbers ({key})", value)
            if isinstance(value, int) and abs(value) > largest:
                raise _refuse(f"{key} of at most {largest}", value)
        elif isinstance(value, str):
            if value not in names:
                self._text(value, key, words)
        elif isinstance(value, list | tuple):
            for part in value:
                self._plain(part, key, depth + 1, names=names, words=words)
        elif key == "slice_spec" and isinstance(value, dict) and value.keys() <= _SLICE:
            for part in value.values():
                self._plain(part, key, depth + 1)
        else:
            raise _refuse(f"plain data ({key})", value)

    def _text(self, value: Any, key: str, words: frozenset[str] = WORDS) -> None:
        """Check a text by what the field is for."""
        known = {"activation": ACTIVATIONS, "dtype": DTYPES, "function": FUNCTIONS}.get(key, words)
        pattern = {"name": _NAME, "equation": _EQUATION, "bias_axes": _AXES}.get(key)
        if not isinstance(value, str) or not (
            pattern.fullmatch(value) if pattern else value in known
        ):
            raise _refuse(f"a known {key}", value)

    def _check_graph(self, layers: list[dict[str, Any]]) -> None:
        """Refuse calls that wait for each other, for which Keras would wait, too: for ever."""
        waiting: dict[str, list[list[tuple[str, int]]]] = {}
        first: dict[str, int] = {}
        for layer in layers:
            name, nodes = layer.get("name"), layer.get("inbound_nodes")
            if name != layer["config"]["name"] or name in waiting or not isinstance(nodes, list):
                raise _refuse("layers with calls, and a name each", name)
            waiting[name], first[name] = [], _first_node(layer)
        self.calls += sum(len(layer["inbound_nodes"]) for layer in layers)
        if self.calls > MOST_LAYERS:
            raise _refuse(f"at most {MOST_LAYERS} calls of layers", self.calls)
        for layer in layers:
            for node in layer["inbound_nodes"]:
                waiting[layer["name"]].append(list(self._references(node, waiting, 0)))
        inputs = {x["name"] for x in layers if x["class_name"] == "InputLayer"}
        done = dict(first)
        moved = True
        while moved:
            moved = False
            for name, nodes in waiting.items():
                while nodes and all(x in inputs or first[x] <= i < done[x] for x, i in nodes[0]):
                    nodes.pop(0)
                    done[name] += 1
                    moved = True
        if stuck := [name for name, nodes in waiting.items() if nodes]:
            raise _refuse("layers that are called after what they are called on", stuck[0])

    def _references(self, node: Any, names: Any, depth: int) -> Iterator[tuple[str, int]]:
        """Yield the calls (layer, number) whose results a call of a layer takes."""
        if not isinstance(node, list) or depth > DEEPEST:
            raise _refuse("a call of a layer", node)
        if not (len(node) in (3, 4) and isinstance(node[0], str)):
            for part in node:
                yield from self._references(part, names, depth + 1)
            return
        yield from self._reference(node[:3], names)
        kwargs = node[3] if len(node) == 4 else {}
        if not isinstance(kwargs, dict):
            raise _refuse("arguments by name", kwargs)
        for key, value in kwargs.items():
            if _is_reference(value, names):
                # Keras waits for ever for a result that a call does not have.
                if value[2] != 0:
                    raise _refuse(f"the first result of a layer as {key}", value)
                yield from self._reference(value, names)
            else:
                self._plain(value, key, 0)

    def _reference(self, place: list[Any], names: Any) -> Iterator[tuple[str, int]]:
        name, node, tensor = place
        if name == _CONSTANT and node == -1:
            self._plain(tensor, "constant", 0)
            return
        for number in (node, tensor):
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < LARGEST:
                raise _refuse("a layer's name and two numbers", place)
        if name not in names:
            raise _refuse("the name of a layer", name)
        self.values += 1
        yield name, node


_SLICE = {"start", "stop", "step"}


def _is_reference(value: Any, names: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and value[0] in names
    )


def _first_node(layer: dict[str, Any]) -> int:
    """Number of a layer's first call: a model with an input of its own was called once before."""
    if layer["class_name"] == "Functional":
        return 1
    if layer["class_name"] == "Sequential":
        start = layer["config"]["layers"][0]
        return int(start["class_name"] == "InputLayer" or "batch_input_shape" in start["config"])
    return 0
