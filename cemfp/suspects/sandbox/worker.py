"""What runs in the sandbox: gives up its rights, opens the file, answers until nobody asks.

It is started by `launch.start`. The first frame says what to open and within which limits, the
answer what of the confinement holds; the second opens, and each after that asks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cemfp.suspects.sandbox import confine
from cemfp.suspects.sandbox.protocol import Channel, pack, unpack

LONGEST_LINE = 300


def main() -> None:
    """Serve one suspect on standard input and output."""
    # What the file's code prints goes nowhere, and does not get into the answers.
    outgoing = os.dup(1)
    os.dup2(2, 1)
    channel = Channel(os.dup(0), outgoing)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    order, _ = channel.receive()
    channel.send(_confine(order))
    model: Callable[..., Any] | None = None
    while True:
        try:
            head, body = channel.receive()
        except EOFError:
            return
        try:
            if model is None:
                model = _open(order)
                channel.send(_facts(model))
            else:
                channel.send(*pack(model(unpack(head, body))))
        except BrokenPipeError:
            return
        # Foreign code fails in any way, leaving the program included.
        except BaseException as error:  # noqa: BLE001
            channel.send({"error": _line(error)})


def _confine(order: dict[str, Any]) -> dict[str, Any]:
    """Give up rights; say which are gone."""
    # In bubblewrap all other places are mounted so that nobody can write there.
    writes = order["writes"] == "mounts" or confine.only_write_in(Path(order["scratch"]))
    others = confine.no_others()
    confine.limit(**order["limits"])
    return {"writes": writes, "others": others}


def _open(order: dict[str, Any]) -> Callable[..., Any]:
    from cemfp.suspects.sandbox import loaders

    return loaders.LOADERS[order["kind"]](Path(order["path"]), order["settings"])


def _facts(model: Any) -> dict[str, Any]:
    """What the model says of itself, for `boxed` to check."""
    shape = getattr(model, "input_shape", None)
    names = [str(name) for name in getattr(model, "class_names", ())]
    return {
        "input_shape": None if shape is None else [None if n is None else int(n) for n in shape],
        "classes": getattr(model, "classes", None),
        "class_names": names,
    }


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text[:LONGEST_LINE]


if __name__ == "__main__":
    main()
    sys.exit(0)
