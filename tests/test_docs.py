"""The documentation: built without a warning, complete, and true to the command line."""

import itertools
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest

import cemfp
from cemfp.cli import main

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
EXTERNAL = ("http://", "https://", "mailto:")


class Page(HTMLParser):
    """What a page loads, what it links to, its anchors and its text."""

    def __init__(self, html):
        super().__init__()
        self.loaded, self.links, self.anchors, self.words = [], [], set(), []
        self.feed(html)
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors.add(values.get("id"))
        if tag in ("script", "img", "iframe", "source") and values.get("src"):
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(values["href"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` does, in a process of its own."""
    out = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | quiet
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr, done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site):
    """Path below the site -> page."""
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
    }


def commands(group=main, path=("cemfp",)):
    """Path -> command, groups included."""
    found = {path: group}
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found |= commands(group.get_command(context, name), (*path, name))
    return found


def public_modules():
    """Every module without an underscore in its name; those of `cemfp.cli` are not for callers."""
    names = [name for _, name, _ in pkgutil.walk_packages(cemfp.__path__, "cemfp.")]
    return [name for name in names if "._" not in name and not name.startswith("cemfp.cli")]


def test_each_command_is_shown_with_all_its_options(pages):
    anchors = set().union(*(pages[name].anchors for name in pages if name.startswith("cli/")))
    text = " ".join(pages[name].text for name in pages if name.startswith("cli/"))
    for path, command in commands().items():
        assert "-".join(path) in anchors
        for option in command.get_params(click.Context(command)):
            assert all(name in text for name in option.opts if name.startswith("--"))


@pytest.mark.parametrize(
    ("module", "table"),
    [
        ("cemfp.models.nets", "NETS"),
        ("cemfp.attacks", "ATTACKS"),
        ("cemfp.fingerprint.methods", "METHODS"),
        ("cemfp.removal", "REMOVALS"),
        ("cemfp.data", "DATASETS"),
    ],
)
def test_each_row_of_the_lists_is_shown_with_what_it_is(site, module, table):
    # In a process of its own: other tests register nets that the package does not have.
    code = f"import sys, {module} as m; sys.stdout.write(' '.join(m.{table}))"
    run = [sys.executable, "-c", code]
    names = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    html = (site / "concepts.html").read_text(encoding="utf-8")
    for name in names:
        row = re.search(rf"<td><code>{re.escape(name)}</code></td>\s*<td>(.*?)</td>", html)
        assert row and len(row[1]) > 10, name


def test_each_public_module_is_in_the_reference(pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    assert [name for name in public_modules() if name not in anchors] == []


def test_each_committed_table_and_figure_is_shown(site, pages):
    loaded = {Path(src).name for page in pages.values() for src in page.loaded}
    folder = ROOT / "experiments" / "results" / "small"
    assert {path.name for path in folder.glob("figures/*.png")} <= loaded
    text = "".join(page.text for page in pages.values())
    for path in folder.glob("*.md"):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        assert title in text, path


def test_nothing_is_fetched_from_another_host(site, pages):
    for name, page in pages.items():
        assert [src for src in page.loaded if src.startswith((*EXTERNAL, "//"))] == [], name
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text()), path


def test_links_and_images_lead_to_files_and_anchors_of_the_site(site, pages):
    for name, page in pages.items():
        if name == "404.html":  # its addresses are those of a server
            continue
        for link in itertools.chain(page.links, page.loaded):
            if link.startswith((*EXTERNAL, "data:")):
                continue
            address, _, anchor = link.partition("#")
            target = ((site / name).parent / address).resolve() if address else site / name
            assert target.is_file(), (name, link)
            if anchor:
                key = target.relative_to(site.resolve() if address else site).as_posix()
                assert anchor in pages[key].anchors or anchor == "__skip", (name, link)


def shown_commands():
    """Every `cemfp ...` line in a code block of the docs, lines joined, as (page, line)."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```\w* ?.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.strip().removeprefix("$ ")
                if line.startswith("cemfp "):
                    yield page.relative_to(ROOT).as_posix(), line


@pytest.mark.parametrize(("page", "line"), sorted(set(shown_commands())))
def test_a_command_in_the_docs_has_the_options_it_is_shown_with(page, line):
    words = shlex.split(line.split(";")[0], comments=True)
    command, context, words = main, click.Context(main, info_name="cemfp"), words[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.get_command(context, words.pop(0))
        assert command is not None, line
        context = click.Context(command, parent=context)
    parameters = command.get_params(context)
    known = {name for one in parameters for name in (*one.opts, *one.secondary_opts)}
    options = [word.split("=")[0] for word in words if word.startswith("-")]
    assert [option for option in options if option not in known] == []
    taken = {
        name
        for one in parameters
        if isinstance(one, click.Option) and isinstance(one.type, click.Choice)
        for name in one.opts
    }
    for option, value in itertools.pairwise(words):
        if option in taken:
            kind = next(one for one in parameters if option in one.opts)
            kind.type.convert(value, kind, context)


def test_make_targets_in_the_docs_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        for line in re.findall(r"^make (.+)", "\n".join(blocks), re.MULTILINE):
            for target in re.findall(r"(?:^| )([a-z][\w-]*)(?= |$)", line.split("#")[0].strip()):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), (page, target)
