"""The README's results table, written from rows beside the paper's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.jobs.zoo import Profile
from cemfp.storage.files import write_atomic
from experiments.common import LABELS, Rows, caption

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

# [Lukas21, Sec. 6 and Fig. 4f] at epsilon 0.025: the published values.
PAPER = {
    "cem": "AUC 1.0; surrogates 0.30 above references",
    "ipguard": "AUC 0.63; 0.18 against 0.16",
}


def results_table(rows: Rows, models: list[dict[str, Any]], profile: Profile) -> str:
    """Return the table in Markdown: one line per method, and the models below."""
    lines = [
        f"Data: {caption(rows, profile)}; ε = {profile.epsilon:g}. "
        "Mean (lowest to highest model). Intervals: 95 % bootstrap over models.",
        "",
        "| method | inputs | CAEAcc, surrogates | CAEAcc, references | ROC AUC | paper |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        if "missing" in row:
            lines.append(f"| {LABELS[name]} | 0 | – | – | – | {row['missing']} |")
            continue
        found = row["evaluation"]
        low, high = found["auc_interval"]
        lines.append(
            f"| {LABELS[name]} | {row['fingerprint']['inputs']} | {_spread(found['surrogates'])} "
            f"| {_spread(found['references'])} | {found['auc']:.2f} [{low:.2f}, {high:.2f}] "
            f"| {PAPER.get(name, '–')} |"
        )
    lines += ["", f"Test accuracy: {_accuracies(models)} (the paper's source: 89.3 %)."]
    return "\n".join(lines)


def write(rows: Rows, models: list[dict[str, Any]], profile: Profile, path: Path) -> None:
    """Write the table to a file of its own."""
    text = f"# Methods compared [Lukas21, Fig. 4f]\n\n{results_table(rows, models, profile)}\n"
    write_atomic(path, text.encode())


def update_readme(rows: Rows, models: list[dict[str, Any]], profile: Profile) -> Path:
    """Put the table between the README's two markers."""
    text = README.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    if not rest or not tail:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {README}")
    table = results_table(rows, models, profile)
    write_atomic(README, f"{head}{BEGIN}\n{table}\n{END}{tail}".encode())
    return README


def _spread(summary: dict[str, Any]) -> str:
    return f"{summary['mean']:.2f} ({summary['min']:.2f} to {summary['max']:.2f})"


def _accuracies(models: list[dict[str, Any]]) -> str:
    parts = []
    for origin in ("source", "surrogate", "reference"):
        values = [model["test_accuracy"] for model in models if model["origin"] == origin]
        if not values:
            continue
        spread = f"{min(values):.1%} to {max(values):.1%} (n = {len(values)})"
        parts.append(f"{origin}s {spread}" if len(values) > 1 else f"{origin} {values[0]:.1%}")
    return ", ".join(parts)
