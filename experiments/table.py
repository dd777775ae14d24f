"""The README's results table, written from rows beside the paper's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.files import write_atomic
from cemfp.study.profiles import Profile
from experiments.common import LABELS, Rows, caption

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

# [Lukas21, Sec. 6 and Fig. 4f] at epsilon 0.025: the published values.
PAPER_AUC = {"cem": "1.0", "ipguard": "0.63"}
PAPER_GAP = {"cem": "gap 0.30"}


def results_table(rows: Rows, profile: Profile) -> str:
    """Return the table in Markdown: one line per method."""
    lines = [
        f"Data: {caption(rows, profile)}. Mean (lowest to highest). "
        "Intervals: 95 % bootstrap over models.",
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
        paper = ", ".join(
            text
            for text in (
                f"AUC {PAPER_AUC[name]}" if name in PAPER_AUC else "",
                PAPER_GAP.get(name, ""),
            )
            if text
        )
        lines.append(
            f"| {LABELS[name]} | {row['fingerprint']['inputs']} | {_spread(found['surrogates'])} "
            f"| {_spread(found['references'])} | {found['auc']:.2f} [{low:.2f}, {high:.2f}] "
            f"| {paper or '–'} |"
        )
    lines += ["", f"Test accuracy: {_accuracies(rows)}."]
    return "\n".join(lines)


def update_readme(rows: Rows, profile: Profile) -> Path:
    """Put the table between the README's two markers."""
    text = README.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    if not rest or not tail:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {README}")
    table = results_table(rows, profile)
    write_atomic(README, f"{head}{BEGIN}\n{table}\n{END}{tail}".encode())
    return README


def _spread(summary: dict[str, Any]) -> str:
    return f"{summary['mean']:.2f} ({summary['min']:.2f} to {summary['max']:.2f})"


def _accuracies(rows: Rows) -> str:
    models = next(row["models"] for row in rows.values() if "models" in row)
    parts = []
    for origin in ("surrogate", "reference"):
        values = [m["test_accuracy"] for m in models if m["origin"] == origin]
        parts.append(f"{origin}s {min(values):.1%} to {max(values):.1%} (n = {len(values)})")
    return ", ".join(parts)
