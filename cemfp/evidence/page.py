"""The report as one HTML page that needs no other file, and that prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cemfp.figures.drawing import describe
from cemfp.figures.page import render
from cemfp.figures.scale import Suspect, scale
from cemfp.models.convention import Convention
from cemfp.models.roles import Origin

_PAGE = """{% extends "base" %}
{% block title %}Evidence: {{ suspect.name }}{% endblock %}
{% block body %}
<h1>{{ given.case or "Is " ~ suspect.name ~ " derived from the source?" }}</h1>
<p><strong>{{ claim }}</strong></p>
<p>{{ verdict.reason }}</p>
{% if drawing %}
<figure>{{ drawing }}
<figcaption>Share of {{ fingerprint.inputs }} inputs on which a model gives the key's answer. Marks:
models whose origin is known. Diamond: the suspect, with the {{ confidence }} interval over inputs,
which says nothing about how much one model differs from the next. Dashed: the
threshold.</figcaption></figure>
{% endif %}
{% if stand_in %}
<p class="note">The data set is {{ data }}: a <strong>stand-in</strong>. Its numbers say that the
machinery works, not how well the method does on photographs.</p>
{% endif %}

<h2>What this claims</h2>
<ul>{% for line in scope %}<li>{{ line }}</li>{% endfor %}</ul>

<h2>Parties and dates</h2>
<table class="facts">
{% for name, text in dates %}
<tr><td><strong>{{ name }}</strong></td><td>{{ text }}</td></tr>
{% endfor %}
</table>

<h2>How often it is wrong</h2>
{% if rates %}
<ul>
<li>Independent models at or above the threshold: {{ rates.accused.wrong }} of
{{ rates.accused.models }}. The rate may still be up to {{ percent(rates.accused.bound) }}.</li>
<li>Copies below it: {{ rates.missed.wrong }} of {{ rates.missed.models }}. The rate may still be up
to {{ percent(rates.missed.bound) }}.</li>
</ul>
<p>Bounds are exact, at 95 %, over models. The same models set the threshold, which flatters it.</p>
{% else %}
<p>The fingerprint has no calibration: nothing is known about how often it is wrong.</p>
{% endif %}
{% if models %}
<table class="facts">
{% for name, text in models %}
<tr><td><strong>{{ name }}</strong></td><td>{{ text }}</td></tr>
{% endfor %}
</table>
{% endif %}

<h2>Other explanations</h2>
<p>An independent model may answer like a copy because it shares something with the source. A
reference that shares it, too, tests that.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Other explanations"><table class="facts">
<tr><th>explanation</th><th></th><th>by what</th></tr>
{% for row in alternatives %}
<tr><td>{{ row.reason }}</td><td>{{ row.status }}</td><td>{{ row.text }}</td></tr>
{% endfor %}
</table></div>

<h2>Limits of the fingerprint</h2>
{% if given.limits %}
<ul>{% for line in given.limits %}<li>{{ line }}</li>{% endfor %}</ul>
{% else %}
<p>No self-test was added: what the fingerprint does not survive is not known.</p>
{% endif %}

<h2>Suspect, source and fingerprint</h2>
<table class="facts">
{% for name, text in details %}
<tr><td><strong>{{ name }}</strong></td><td>{{ text }}</td></tr>
{% endfor %}
{% for name, digits in hashes %}
<tr><td><strong>{{ name }}</strong></td><td><code class="hash">{{ digits }}</code></td></tr>
{% endfor %}
</table>

<h2>Check it</h2>
<p>Without the models and without a network: <code>{{ recheck }}</code>. It names each part that is
not what it was, and makes the verdict again from the logged answers.</p>
{% endblock %}
"""


_CHANGES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "through": lambda x: f"{x['name']}={x['strength']:g}",
    "relabelled": lambda x: f"its classes are the fingerprint's {x['labels']}",
    "resized": lambda x: f"resized to {x['shape'][0]}x{x['shape'][1]}, {x['method']}",
    "fed": lambda x: str(Convention.of({k: v for k, v in x.items() if k != "layer"})),
}


def page(report: Mapping[str, Any]) -> str:
    """Return the HTML of a report, see `report.facts`."""
    data = report["fingerprint"]["data"]
    return render(
        _PAGE,
        **{name: value for name, value in report.items() if name != "format"},
        drawing=_drawing(report),
        confidence=f"{report['verdict'].get('confidence', 0.95):.0%}",
        stand_in=bool(data.get("stand_in")),
        data=describe(data),
        dates=_dates(report),
        models=_over_models(report["verdict"]),
        details=_details(report),
        hashes=_hashes(report),
        percent=lambda share: f"{share:.1%}",
    )


def _drawing(report: Mapping[str, Any]) -> Any:
    record, verdict = report["calibration"], report["verdict"]
    if record is None:
        return None
    groups = {
        Origin.SURROGATE: record["surrogate_scores"],
        Origin.REFERENCE: record["reference_scores"],
    }
    share = verdict["cae_accuracy"]
    low, high = verdict["interval"]
    suspect = None if share is None else Suspect(report["suspect"]["name"], share, low, high)
    return scale(groups, suspect, verdict["threshold"])


def _dates(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    log, commitment = report["suspect"]["log"], report["commitment"]
    rows = [(role, name) for role, name in report["given"]["parties"]]
    if commitment is None:
        rows.append(("fingerprint fixed", "not before the suspect was known: no commitment"))
    elif commitment["time"] is None:
        rows.append(("fingerprint fixed", f"{commitment['made']}, by the owner's own clock"))
    else:
        rows.append(("fingerprint fixed", f"{commitment['time']}, stamped by its authority"))
    rows.append(("suspect asked", f"{log['began']} to {log['ended']}, by the clock of who asked"))
    return [*rows, ("report made", report["given"]["made"])]


def _over_models(verdict: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the verdict says about models, if it does."""
    over = verdict.get("models")
    if not isinstance(over, dict):
        return []
    return [(name.replace("_", " "), _text(value)) for name, value in over.items()]


def _details(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    suspect, fingerprint = report["suspect"], report["fingerprint"]
    asked = report["verdict"].get("asked", {})
    changes = [_CHANGES[one["layer"]](one) for one in suspect["changes"]]
    radius = fingerprint["epsilon"]
    by = fingerprint["method"] + ("" if radius is None else f", epsilon {radius:.5g}")
    rows = [
        ("suspect", suspect["name"]),
        ("on the way to it", "; ".join(changes) or "nothing is changed"),
        ("queries", f"{suspect['log']['asked']}, {suspect['log']['answered']} inputs answered"),
        ("ordinary images", f"{asked.get('agreeing')} of {asked.get('controls')} like the source"),
        (
            "fingerprint",
            f"{fingerprint['inputs']} inputs by {by}, from {describe(fingerprint['data'])}",
        ),
    ]
    parts = (report["commitment"] or {}).get("parts", {})
    if "reserve" in parts:
        rows.append(("reserve", f"{parts['reserve']} inputs that nobody was asked"))
    return rows


def _hashes(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    commitment = report["commitment"] or {}
    rows = {
        "suspect, SHA-256 of its files": report["suspect"]["sha256"],
        "source, SHA-256 of its weights": report["fingerprint"]["source_sha256"],
        "query log, last hash": report["suspect"]["log"]["chain"],
        "commitment, root": commitment.get("root"),
        "signed by": commitment.get("public_key"),
    }
    return [(name, digits) for name, digits in rows.items() if digits]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
