"""Makes a report again to check it, and reads what is added to one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2

from cemfp import __version__
from cemfp.evidence import bundle as names
from cemfp.evidence import report as reports
from cemfp.evidence.page import page
from cemfp.evidence.problem import EvidenceError, expect, read_object
from cemfp.evidence.replay import differences
from cemfp.fingerprint.artifact import FingerprintError

WORDING = ("claim", "scope", "alternatives", "recheck")
_MISFITS = ValueError, TypeError, KeyError, AttributeError, ArithmeticError, jinja2.TemplateError


def check_report(parts: Mapping[str, bytes]) -> dict[str, Any]:
    """Make a bundle's report again, and compare: of another version all but the wording.

    Returns:
        The report, without its page.

    Raises:
        EvidenceError: It says something that does not follow from the bundle.
    """
    stated = read_object(parts[names.REPORT], "a report")
    with _refusing("report"):
        found = reports.facts(parts, reports.Given.from_dict(stated.get("given")))
        same = found["given"]["version"] == __version__
        said, follows = (
            {k: v for k, v in x.items() if same or k not in WORDING} for x in (stated, found)
        )
        wrong = list(differences(said, follows))
        expect(not wrong, "what follows from the bundle", "; ".join(wrong[:5]))
        return found


def check_page(content: bytes, report: Mapping[str, Any]) -> str:
    """Make the page of a report again, and compare; return in words what holds.

    Raises:
        EvidenceError: It is another page.
    """
    version = report["given"]["version"]
    if version != __version__:
        return f"made by cemfp {version}: not compared with the report"
    with _refusing("page"):
        same = page(report).encode() == content
    expect(same, "the page of this report", "another page")
    return "it follows from the report"


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Make an `EvidenceError` of what goes wrong where a stranger's values do not fit."""
    try:
        yield
    except (EvidenceError, FingerprintError):
        raise
    except _MISFITS as error:
        raise EvidenceError(f"no {what} follows from the bundle: {str(error)[:99]!a}") from error


def limits(summary: Path) -> dict[str, Any]:
    """Return what a `summary.json` of `cemfp protect` says of the fingerprint's limits.

    Raises:
        EvidenceError: It is none.
    """
    read = read_object(summary.read_bytes(), f"{summary} as written by `cemfp protect`")
    lines, plan = read.get("conclusion"), read.get("plan")
    sound = isinstance(lines, list) and all(isinstance(line, str) for line in lines)
    expect(sound and isinstance(plan, dict), "a summary.json of `cemfp protect`", str(summary))
    assert isinstance(lines, list) and isinstance(plan, dict)
    started = plan.get("started")
    return {"limits": tuple(lines), "started": started if isinstance(started, bool) else None}
