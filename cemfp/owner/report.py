"""The report of a protection: one HTML page that needs no other file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cemfp.figures import drawing
from cemfp.figures.page import embedded, render
from cemfp.figures.suspects import strip
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.owner.self_test import ITSELF, STOLEN, Judged
from cemfp.verification.null_models import bound_without_alarms

_PAGE = """{% extends "base" %}
{% block title %}Fingerprint of {{ model }}{% endblock %}
{% block body %}
<h1>Fingerprint of {{ model }}</h1>
<p>{{ inputs }} images, each changed by at most {{ levels }} of 255 grey levels, on which copies
of the model give its wrong answers and independent models do not. A suspect that gives at least
{{ threshold }} of these answers counts as a copy.</p>
{% if stand_in %}
<p class="note">The data set is {{ data }}: a <strong>stand-in</strong>. Its numbers say that the
machinery works, not how well the method does on photographs.</p>
{% endif %}

<h2>What it survives</h2>
<ul>
{% for line in conclusion %}
<li>{{ line }}</li>
{% endfor %}
</ul>
<p>Thefts that were tried: {{ stolen }}, once each; independent nets that were judged:
{{ independent }}. This is no promise for other thefts, and so few independents say little about
how often an innocent model would be accused: with none of {{ independent }} accused, the rate may
still be up to {{ bound }} (95 %, exact).</p>

<h2>Self-test</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Self-test"><table>
<tr><th>suspect</th><th>what it is</th><th>test accuracy</th><th>answers of the key</th>
<th>95 % interval over inputs</th><th>verdict</th></tr>
{% for cells in rows %}
<tr>{% for cell in cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
<figure><img src="{{ strip }}" alt="Key answers of every model, and the threshold"></figure>

<h2>The fingerprint</h2>
<figure><img src="{{ gallery }}" alt="Originals, changes and inputs"></figure>

<h2>How it was made</h2>
<ul>
<li>Model: {{ model }}, right on {{ accuracy }} of the test images{{ black_box }}; SHA-256
<code class="hash">{{ sha256 }}</code>.</li>
<li>Data: {{ data }}, {{ train_size }} training and {{ test_size }} test images.</li>
<li>Nets, copies and independent ones: {{ surrogates[0] }} and {{ references[0] }} made the
fingerprint, {{ surrogates[1] }} and {{ references[1] }} set the threshold{{ chosen }};
{{ independent }} independent more for the self-test. No net has two of these tasks.
{{ epochs }} epochs each.</li>
<li>Method: {{ method }}.</li>
</ul>
{% endblock %}
"""


def page(
    summary: Mapping[str, Any],
    fingerprint: Fingerprint,
    judged: Sequence[Judged],
    classes: Sequence[str],
) -> str:
    """Return the HTML.

    Args:
        summary: What `protect` writes as `summary.json`.
        fingerprint: With its threshold.
        judged: The suspects of the self-test.
        classes: Names of the classes.
    """
    plan, data = summary["plan"], summary["data"]
    more, radii = len(plan["radii"]) > 1, ", ".join(f"{255 * r:.0f}/255" for r in plan["radii"])
    independent = sum(one.truth not in (STOLEN, ITSELF) for one in judged)
    assert fingerprint.calibration is not None and fingerprint.epsilon is not None
    return render(
        _PAGE,
        model=Path(summary["source"]["model"]).name,
        inputs=len(fingerprint),
        levels=f"{255 * fingerprint.epsilon:.0f}",
        threshold=f"{fingerprint.calibration.threshold:.0%}",
        stand_in=bool(data.get("stand_in")),
        data=drawing.describe(data),
        train_size=data.get("train_size"),
        test_size=data.get("test_size"),
        conclusion=summary["conclusion"],
        stolen=sum(one.truth == STOLEN for one in judged),
        independent=independent,
        bound=f"{bound_without_alarms(independent):.0%}",
        rows=[row(one) for one in judged],
        strip=_picture(strip, fingerprint, judged),
        gallery=_picture(drawing.gallery, fingerprint, classes=classes),
        accuracy=f"{summary['source']['test_accuracy']:.1%}",
        black_box=", a black box that was only asked" if summary["source"]["black_box"] else "",
        sha256=fingerprint.source_sha256,
        surrogates=plan["surrogates"],
        references=plan["references"],
        epochs=plan["epochs"],
        chosen=f", and chose epsilon among {radii}, which flatters their gap" if more else "",
        method=", ".join(f"{name} {value}" for name, value in summary["method"].items()),
    )


def row(one: Judged) -> tuple[str, ...]:
    """Return the cells of a suspect: name, truth, accuracy, key, interval, verdict."""
    verdict = one.verdict
    low, high = verdict.interval
    share = "not asked" if verdict.cae_accuracy is None else f"{verdict.cae_accuracy:.0%}"
    interval = f"{low:.2f} to {high:.2f}"
    return one.name, one.truth, f"{one.accuracy:.1%}", share, interval, str(verdict.decision)


def _picture(draw: Any, *what: Any, **settings: Any) -> str:
    """Return a drawing as the address of an image."""
    with tempfile.TemporaryDirectory() as directory:
        (path,) = draw(*what, Path(directory) / "picture.png", **settings)
        return embedded(path.read_bytes())
