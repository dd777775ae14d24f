"""Verdicts as commands print them: a sentence, a table, CSV, JSON; and the exit status."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from typing import Any

from cemfp.cli.judging import Judged

COLUMNS = (
    *("suspect", "decision", "matches", "queries", "cae_accuracy", "p_value", "adjusted_p_value"),
    *("references", "smallest_rate", "reason"),
)
NONE = "-"  # where there is no number


def rows(judged: Sequence[Judged], adjust: str) -> list[dict[str, Any]]:
    """Return the JSON-able rows, each with `adjusted_p_value`: of those that have p-values.

    Args:
        judged: All suspects of one run.
        adjust: Name in `verification.adjust.ADJUSTMENTS`.
    """
    from cemfp.verification.adjust import ADJUSTMENTS

    p_values = [one.verdict.models.p_value for one in judged if one.verdict and one.verdict.models]
    adjusted = iter(ADJUSTMENTS[adjust](p_values).tolist())
    found = []
    for one in judged:
        known = one.verdict is not None and one.verdict.models is not None
        found.append({**one.to_dict(), "adjusted_p_value": next(adjusted) if known else None})
    return found


def table(judged: Sequence[Judged], found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rows as lines for people, then what the references support.

    Args:
        judged: All suspects.
        found: Their rows; what could not be judged says why.
    """
    header = ("suspect", "decision", "key answers", "p", "adjusted p")
    cells = [header, *(_cells(row) for row in found)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    known = (one.verdict.models for one in judged if one.verdict and one.verdict.models)
    lines += [models.support for models in itertools.islice(known, 1)]
    return lines + [f"{row['suspect']}: {row['error']}" for row in found if "error" in row]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "error" in row:
        return row["suspect"], "not judged", NONE, NONE, NONE
    p_value = row["models"] and row["models"]["p_value"]
    shares = f"{row['matches']} of {row['queries']}" if row["queries"] else "not asked"
    numbers = (NONE if p is None else f"{p:.2g}" for p in (p_value, row["adjusted_p_value"]))
    return row["suspect"], row["decision"], shares, *numbers


def as_csv(found: Sequence[dict[str, Any]]) -> str:
    """Return the rows as CSV with the columns `COLUMNS`; empty cells where there is no number."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in found:
        writer.writerow({**(row.get("models") or {}), "reason": row.get("error"), **row})
    return buffer.getvalue()


def status(judged: Sequence[Judged]) -> int:
    """Return the exit status, as of one suspect.

    Of several the most serious: 2 if one could not be judged, 0 if one is a match, 3 if one is
    inconclusive, 1 if none of them matches.
    """
    from cemfp.verification import Decision

    if any(one.verdict is None for one in judged):
        return 2
    decisions = {one.verdict.decision for one in judged if one.verdict is not None}
    order = ((Decision.MATCH, 0), (Decision.INCONCLUSIVE, 3), (Decision.NO_MATCH, 1))
    return next(number for decision, number in order if decision in decisions)
