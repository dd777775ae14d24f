"""Tables as Markdown files beside the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cemfp.storage.files import write_atomic


def write_table(
    path: Path, title: str, header: Sequence[str], lines: Sequence[Sequence[str]], note: str
) -> Path:
    """Write a table with a title above and a note below; return its path."""
    text = [f"# {title}", "", row(header), row(["---"] * len(header))]
    text += [row(line) for line in lines]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, ("\n".join([*text, "", note]) + "\n").encode())
    return path


def row(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cells) + " |"


def spread(summary: Mapping[str, Any], scale: float = 1.0, digits: int = 2) -> str:
    """Return mean ± standard deviation (n); a single value has no deviation."""
    mean = f"{scale * summary['mean']:.{digits}f}"
    if summary["std"] is None or summary["n"] < 2:
        return f"{mean} (n = {summary['n']})"
    return f"{mean} ± {scale * summary['std']:.{digits}f} (n = {summary['n']})"
