"""The report: whole, self-contained, and nothing forgotten."""

import html.parser
import json
import re
import shutil

import pytest

from experiments import report, report_facts, report_files, runner
from experiments.profiles import PROFILES

SMALL = PROFILES["small"]
VOID = {"meta", "img", "br", "hr"}
STUDY = {
    "profile": "small",
    "package_versions": {"tensorflow": "2.15.1", "numpy": "1.26.4"},
    "python": "3.11.9",
    "processor": "a <fast> processor",
    "cores": 2,
    "memory_gib": 7.8,
    "jobs": {"train": {"done": 35, "missing": 1, "seconds": 5400.0}},
    "core_hours": 8.5,
    "failed": ["remove dp_sgd"],
}


class Page(html.parser.HTMLParser):
    """Checks that tags close in order; collects addresses, identifiers and pictures."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.links, self.ids, self.alts = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.sources += [values["src"]] if "src" in values else []
        self.links += [values["href"]] if "href" in values else []
        self.ids += [values["id"]] if "id" in values else []
        self.alts += [values["alt"]] if tag == "img" else []
        assert tag not in ("script", "link", "iframe")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A copy of the committed study, with a study.json of its own."""
    copy = tmp_path_factory.mktemp("results")
    shutil.copytree(runner.RESULTS / "small", copy / "small")
    (copy / "small" / "study.json").write_text(json.dumps(STUDY))
    return copy


@pytest.fixture(scope="module")
def written(results):
    path = report.write(SMALL, results)
    assert path == results / "small" / "report.html" and path.stat().st_size < 10_000_000
    return path.read_text()


def test_the_page_is_well_formed_and_loads_nothing(written):
    page = Page(written)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "url(" not in written and "@import" not in written
    assert 'name="viewport"' in written and "@media print" in written


def test_every_figure_and_table_is_shown_once(written):
    page, directory = Page(written), runner.RESULTS / "small"
    figures = {path.stem for path in (directory / "figures").glob("*.png")}
    tables = {path.stem for path in directory.glob("*.md")}
    assert len(figures) >= 21 and len(tables) >= 11
    shown = [name for name in page.ids if name.startswith(("figure-", "table-"))]
    expected = {f"figure-{stem}" for stem in figures} | {f"table-{stem}" for stem in tables}
    assert set(shown) == expected and len(shown) == len(expected)
    assert len(page.sources) == len(figures)
    assert "Other figures and tables" not in written


def test_every_committed_figure_says_its_data_and_numbers(written):
    for alt in Page(written).alts:
        assert re.search(r"cifar10 \(real|cifar10, |on cifar10|imagenet32", alt), alt
        assert re.search(r"\bn\b|\d inputs", alt), alt


def test_what_belongs_nowhere_comes_last(tmp_path):
    directory = tmp_path / "demo"
    (directory / "figures").mkdir(parents=True)
    (directory / "unheard_of.md").write_text("# Of <b>\n\n| a | b |\n| --- | --- |\n| 1 | <i> |\n")
    text = report.write(PROFILES["demo"], tmp_path).read_text()
    assert "Other figures and tables" in text and 'id="table-unheard_of"' in text
    assert "&lt;i&gt;" in text and "Of &lt;b&gt;" in text
    assert "not recorded" in text and "No claim can be judged yet" in text
    assert "cifar10_roc: no rows" in text
    Page(text)


def test_verdicts_are_counted(tmp_path):
    # Two hold, one does not and says why, one is undecided, one has not run.
    lines = ["| A | yes | |", "| B | yes |  |", "| C | **no** | weak nets |"]
    lines += ["| D | undecided: within the spread |  |", "| E | – |  |"]
    text = (
        "# Claims\n\n| claim | holds | why |\n| --- | --- | --- |\n"
        + "\n".join(lines)
        + "\n\nend\n"
    )
    (tmp_path / "claims.md").write_text(text)
    verdicts = report_files.judge(report_files.read_table(tmp_path / "claims.md"))
    assert list(verdicts.counts.values()) == [2, 1, 1, 1]
    assert verdicts.contradicted == [("C", "weak nets")]
    (tmp_path / "other.md").write_text("# Other\n\n| a |\n| --- |\n| yes |\n")
    assert report_files.judge(report_files.read_table(tmp_path / "other.md")) is None


def test_the_committed_claims_are_counted_as_written(written):
    cells = re.findall(
        r"\| (?:\*\*)?(yes|no)(?:\*\*)? \|", (runner.RESULTS / "small/claims.md").read_text()
    )
    counts = f"<td>{cells.count('yes')}</td>\n<td>{cells.count('no')}</td>"
    row = written[written.index("<td>Claims of [Lukas21, Sec. 6]</td>") :][:200]
    assert re.sub(r"\s+", "", counts) in re.sub(r"\s+", "", row)


def test_data_models_recipes_and_hardware_are_told(written):
    models = json.loads((runner.RESULTS / "small" / "models.json").read_bytes())
    data = models[0]["data"]
    assert data["sha256"] in written and f"{data['train_size']:,}" in written
    assert "Stand-in data: imagenet32" in written and "JPEG-compressed copy" in written
    assert "1000 to 1007" in written and "one-cycle" in written
    assert "a &lt;fast&gt; processor" in written and "tensorflow 2.15.1" in written
    assert "8.5 core hours" in written and "remove dp_sgd" in written
    assert "<td>1.50</td>" in re.sub(r"\s*\n\s*", "", written)  # 5400 s


def test_what_has_not_run_is_put_together_by_reason():
    rows = {
        "a | 0": {"missing": "not run yet"},
        "a | 1": {"missing": "not run yet"},
        "b": {"missing": "failed"},
        "c": {"x": 1},
    }
    assert report_facts.not_run("roc", rows) == [
        "roc, 2 of 4: not run yet: a (0, 1)",
        "roc, 1 of 4: failed: b",
    ]
    assert report_facts.not_run("roc", {"c": {"x": 1}}) == []
    assert report_facts.not_run("roc", None) == ["roc: no rows"]


def test_writing_again_changes_nothing(results, written):
    assert report.write(SMALL, results).read_text() == written
