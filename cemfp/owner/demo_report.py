"""The demonstration's report: one HTML file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cemfp.figures.page import embedded, render
from cemfp.owner.report import row

if TYPE_CHECKING:
    from cemfp.jobs.zoo import Profile
    from cemfp.owner.self_test import Judged

_PAGE = """{% extends "base" %}
{% block title %}cemfp: catching stolen models{% endblock %}
{% block body %}
<h1>Catching stolen models</h1>
<p>A classifier (the source) was stolen {{ stolen }} times: each thief trained a net of its
own on the source's answers. {{ independent }} other nets learned the same task from labels
of their own. A fingerprint of {{ inputs }} images tells the two groups apart, by labels
alone.</p>
<p class="note">The data set is {{ data }} ({{ note }}): a <strong>stand-in</strong>, chosen
because it needs no network and takes minutes. Its numbers say that the machinery works,
not how well the method does on photographs.</p>

<h2>Verdicts</h2>
<p>Suspects that took part in nothing before. “Key” is the share of the {{ inputs }} inputs
on which the suspect answers the key (CAEAcc); from {{ threshold }} on it counts as a copy.
The threshold was set on {{ calibration }} other models. The interval (Clopper–Pearson,
{{ confidence }}) covers the choice of inputs, not the variation between models; where it
contains the threshold the verdict is inconclusive.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Verdicts"><table>
<tr><th>suspect</th><th>what it is</th><th>test accuracy</th><th>key</th>
<th>interval</th><th>verdict</th></tr>
{% for cells in rows %}
<tr>{% for cell in cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
<p>ROC AUC {{ auc }}, bootstrap interval over models [{{ auc_low }}, {{ auc_high }}]; with
{{ stolen }} and {{ independent }} models a one-sided 95&nbsp;% lower bound is
{{ auc_bound }}.</p>
<p><img src="{{ roc }}" alt="Answers of both groups, and the ROC curve"></p>

<h2>The fingerprint</h2>
<p>Test images, changed by at most ε = {{ epsilon }} per pixel, so that nets trained on the source's
answers share a wrong label with it, and nets trained without it do not.</p>
<p><img src="{{ fingerprint }}" alt="Originals, perturbations and inputs"></p>

<h2>Why few labels</h2>
<p>Each owner has its own {{ owner_images }} labelled images; a thief has all {{ train_size }}
images and the source's answers to them. With all labels for everyone, every net is about
99&nbsp;% right on this easy set, all of them agree, and nothing is left that a copy could
inherit from its source alone. With few labels each net has mistakes of its own, and a
thief inherits the source's.</p>

<h2>How it was made</h2>
<ul>
<li>Nets: {{ net }}, trained from scratch; {{ defender }} surrogates and {{ defender }}
references of the defender, {{ calibration_each }} and {{ calibration_each }} for the
threshold, {{ stolen }} and {{ independent }} as suspects. Roles share no seed, and no suspect
is seen before it is judged.</li>
<li>Fingerprint: {{ method }}, {{ parameters }}.</li>
<li>Data: {{ train_size }} training and {{ test_size }} test images, SHA-256
<code>{{ sha256 }}</code>.</li>
<li>Source: weights SHA-256 <code>{{ source }}</code>.</li>
</ul>
{% endblock %}
"""


def page(
    profile: Profile,
    result: Mapping[str, Any],
    judged: Sequence[Judged],
    *,
    pictures: Mapping[str, bytes],
) -> str:
    """Return the HTML.

    Args:
        profile: The study's sizes.
        result: What `ScoreFingerprint` wrote.
        judged: The suspects.
        pictures: PNG files by name: `fingerprint.png` and `roc.png`.
    """
    facts, summary = result["fingerprint"], result["evaluation"]
    words = {
        "stolen": summary["surrogates"]["n"],
        "independent": summary["references"]["n"],
        "inputs": facts["inputs"],
        "threshold": f"{judged[0].verdict.threshold:.2f}",
        "confidence": f"{judged[0].verdict.confidence:.0%}",
        "auc": f"{summary['auc']:.2f}",
        "auc_low": f"{summary['auc_interval'][0]:.2f}",
        "auc_high": f"{summary['auc_interval'][1]:.2f}",
        "auc_bound": f"{summary['auc_lower_bound']:.2f}",
        "epsilon": f"{facts['epsilon']:g}",
        "method": facts["method"],
        "parameters": _listed(facts["parameters"]),
        "source": facts["source_sha256"],
    }
    images = {name.removesuffix(".png"): embedded(png) for name, png in pictures.items()}
    rows = [row(one) for one in judged]
    return render(_PAGE, rows=rows, **words, **_study(profile), **_data(facts["data"]), **images)


def _study(profile: Profile) -> dict[str, Any]:
    return {
        "calibration": 2 * profile.calibration,
        "calibration_each": profile.calibration,
        "defender": profile.defender,
        "owner_images": profile.owner_images,
        "net": f"{profile.net.name} ({_listed(dict(profile.net.arguments))})",
    }


def _data(provenance: Mapping[str, Any]) -> dict[str, Any]:
    names = ("note", "train_size", "test_size", "sha256")
    return {"data": provenance["name"], **{name: provenance[name] for name in names}}


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
