"""The report's page: a Jinja template, and the terms that it explains."""

from __future__ import annotations

GLOSSARY = (
    (
        "Surrogate and reference",
        "A surrogate learned from the source's answers: a stolen copy. A reference is an "
        "independent model, which learned the same task from the ground truth.",
    ),
    (
        "Key and CAEAcc",
        "The key is the source's answers to the fingerprint's inputs. CAEAcc is the share of these "
        "inputs on which a model answers the key: 1 for the source itself.",
    ),
    (
        "Conferrability",
        "How much more an input makes surrogates answer the key than references do, from 0 to 1.",
    ),
    (
        "Threshold θ",
        "The CAEAcc from which a model counts as a copy. It is set on calibration models, which "
        "take part in nothing else; evaluation models are only judged.",
    ),
    (
        "Uniqueness score",
        "Robustness minus transferability: the CAEAcc of pruned copies less that of independent "
        "models, for fingerprints that are made without other models.",
    ),
)

PAGE = """{% extends "base" %}
{% macro grid(table, kind="table") %}
<div class="{{ kind }}"><p class="caption">{{ table.title }}</p>
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.title }}"><table>
<thead><tr>{% for name in table.header %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for line in table.lines %}
<tr>{% for cell in line %}
<td>
{%- if cell|length == 64 %}<code class="hash">{{ cell }}</code>{% else %}{{ cell }}{% endif -%}
</td>
{%- endfor %}</tr>
{% endfor %}
</tbody></table></div></div>
{% endmacro %}
{% macro written(table) %}
<div class="table" id="table-{{ table.stem }}"><p class="caption">{{ table.title }}</p>
{{ table.html }}</div>
{% endmacro %}
{% macro picture(figure) %}
<figure id="figure-{{ figure.stem }}">
<img src="{{ figure.source }}" alt="{{ figure.alt }}" width="{{ figure.width }}"
height="{{ figure.height }}">
<figcaption>{{ figure.stem }}<span class="narrow">: {{ figure.caption }}</span></figcaption>
</figure>
{% endmacro %}
{% block title %}cemfp: study {{ profile.name }} on {{ profile.data }}{% endblock %}
{% block body %}
<h1>Fingerprints of stolen models: what the study found</h1>
<p>Profile <code>{{ profile.name }}</code> on {{ profile.data }}: {{ profile.evaluation }}
surrogates and {{ profile.evaluation }} references that took part in nothing before judge every
fingerprint. All numbers come from the rows, tables and figures kept beside this page, which
measures nothing itself.</p>
{% for note in notes %}
<p class="note">{{ note }}</p>
{% endfor %}

<nav aria-label="Contents"><ol>
<li><a href="#summary">Summary: what holds</a></li>
{% if verdicts %}<li><a href="#claims">The papers' claims, one by one</a></li>{% endif %}
<li><a href="#run">What was run on what</a></li>
{% for part in parts %}
<li><a href="#{{ part.anchor }}">{{ part.title }}</a></li>
{% endfor %}
{% if gallery %}<li><a href="#gallery">Gallery of fingerprints</a></li>{% endif %}
<li><a href="#missing">What is missing</a></li>
<li><a href="#glossary">Five terms</a></li>
</ol></nav>

<h2 id="summary">Summary: what holds</h2>
{% if verdicts %}
<p>{{ total }}</p>
{{ grid(counts, "table small") }}
{% for verdict in verdicts if verdict.contradicted %}
<h3>Does not hold: {{ verdict.table.title }}</h3>
<ul>
{% for claim, why in verdict.contradicted %}
<li>{{ claim }}{% if why %}: <em>{{ why }}</em>{% endif %}</li>
{% endfor %}
</ul>
{% endfor %}

<h2 id="claims">The papers' claims, one by one</h2>
{% for verdict in verdicts %}
{{ written(verdict.table) }}
{% endfor %}
{% else %}
<p>No claim can be judged yet: the experiments that they need have not run.</p>
{% endif %}

<h2 id="run">What was run on what</h2>
{% for table in grids if table.lines %}
{{ grid(table) }}
{% endfor %}
<dl>
{% for term, text in machine %}
<dt>{{ term }}</dt><dd>{{ text }}</dd>
{% endfor %}
</dl>

{% for part in parts %}
<h2 id="{{ part.anchor }}">{{ part.title }}</h2>
{{ part.text }}
{% for figure in part.figures %}
{{ picture(figure) }}
{% endfor %}
{% for table in part.tables %}
{{ written(table) }}
{% endfor %}
{% for stem in part.elsewhere %}
<p>In the gallery: <a href="#figure-{{ stem }}">{{ stem }}</a>.</p>
{% endfor %}
{% endfor %}

{% if gallery %}
<h2 id="gallery">Gallery of fingerprints</h2>
{% for figure in gallery %}
{{ picture(figure) }}
{% endfor %}
{% endif %}

<h2 id="missing">What is missing</h2>
{% if missing %}
<ul>
{% for line in missing %}
<li>{{ line }}</li>
{% endfor %}
</ul>
{% else %}
<p>Nothing: every job of every experiment has run.</p>
{% endif %}

<h2 id="glossary">Five terms</h2>
<dl>
{% for term, text in glossary %}
<dt>{{ term }}</dt><dd>{{ text }}</dd>
{% endfor %}
</dl>
{% endblock %}
"""
