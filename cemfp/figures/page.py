"""One look for every HTML page: a page is one file that needs no other and no network."""

from __future__ import annotations

import base64
from typing import Any

import jinja2
from markupsafe import Markup

# Text is #222 on white, links #0059b3 and the note's rule Okabe and Ito's orange; contrast of
# text is above 4.5:1. Wide tables scroll in a box of their own, so that a phone's page does not.
_STYLE = """
html { -webkit-text-size-adjust: 100%; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem;
  color: #222; background: #fff; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { font-size: 1.35rem; line-height: 1.25; margin-top: 2.5rem; border-bottom: 2px solid #ddd; }
h3 { font-size: 1.12rem; line-height: 1.3; margin-top: 2rem; }
h2, h3, figure, .table { scroll-margin-top: 1rem; }
a { color: #0059b3; }
figure, .table { margin: 1.5rem 0; }
figcaption, .caption { font-size: .9rem; color: #444; }
.table > .caption { font-weight: 600; color: #222; margin: 0 0 .3rem; }
.scroll { overflow-x: auto; }
.scroll:focus { outline: 2px solid #0059b3; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.35; }
th, td { padding: .3em .7em; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; overflow-wrap: normal; min-width: 2.5em; max-width: 24rem; }
code.hash { display: inline-block; min-width: 12em; }
th { border-bottom: 2px solid #888; vertical-align: bottom; }
img { max-width: 100%; height: auto; display: block; }
code { background: #f2f2f2; overflow-wrap: anywhere; }
dt { font-weight: 600; }
dd { margin: 0 0 .6rem 1rem; }
nav { columns: 20rem; border: 1px solid #ddd; padding: .8rem 1rem; }
nav ol { margin: 0; padding-left: 1.6rem; }
nav li { break-inside: avoid; padding: .1rem 0; }
.note { border-left: 4px solid #e69f00; padding: .1rem 0 .1rem 1rem; }
/* A picture has its caption inside, too small to read on a phone. */
@media print, (min-width: 50rem) { .narrow { display: none; } }
@media (max-width: 40rem) { .table:not(.small) table { min-width: 38rem; } }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2, h3, .caption { break-after: avoid; }
  figure, tr, .note, li { break-inside: avoid; }
  figure img { max-height: 11cm; width: auto; }
  .scroll { overflow: visible; }
  table { font-size: 6.5pt; width: 100%; }
  table.facts { font-size: 9pt; width: auto; }
  th, td { padding: .15em .3em; max-width: none; min-width: 0; overflow-wrap: break-word; }
  a { color: inherit; text-decoration: none; }
}
"""
_BASE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}{% endblock %}</title>
<style>{{ style }}</style>
</head>
<body>
{% block body %}{% endblock %}
</body>
</html>
"""


def render(template: str, **values: Any) -> str:
    """Return the page of a Jinja template that extends `base` with the blocks `title` and `body`.

    Values are escaped; a name that the template uses and `values` lacks is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"base": _BASE, "page": template}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page").render(style=Markup(_STYLE), **values)


def embedded(png: bytes) -> str:
    """Return an image as the address that `src` takes."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
