"""The notebooks run from a checkout alone, define nothing, and are committed with their output."""

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = (
    "01_quickstart",
    "02_conferrable",
    "03_characteristic",
    "04_removal_attacks",
    "05_your_own_model",
)
QUICKEST = "03_characteristic"  # the others are for `make test-all`
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
MOST_LINES = 12  # of a cell
LARGEST = 450_000  # bytes of a file
# An absolute path, or an address in memory: of one machine, or of one run.
PRIVATE = re.compile(r"""(?:^|[\s"'(=:])/\w+/|0x[0-9a-f]{6,}""", re.MULTILINE)


def read(name):
    """The committed notebook."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code(notebook):
    """Its code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell):
    """What a cell shows that is text, pictures aside."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        for kind, content in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield content


def test_there_are_these_and_no_others():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_defined_and_cells_are_short(name):
    for cell in code(read(name)):
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
        found = [node for node in ast.walk(ast.parse(cell.source)) if type(node) in DEFINITIONS]
        assert not found, cell.source
        assert not PRIVATE.search(cell.source), cell.source


@pytest.mark.parametrize("name", NAMES)
def test_the_output_is_that_of_one_clean_run(name):
    notebook = read(name)
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds <= {"stream", "display_data", "execute_result"}
    streams = {o.name for cell in cells for o in cell.outputs if o.output_type == "stream"}
    assert streams == {"stdout"}
    shown = [text for cell in cells for text in texts(cell)]
    assert not [text for text in shown if PRIVATE.search(text) or "WARNING" in text]
    pictures = [o for cell in cells for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_files_are_small_and_say_nothing_of_the_machine(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert (FOLDER / f"{name}.ipynb").stat().st_size < LARGEST
    assert notebook.metadata.kernelspec.name == "python3"
    # Times of execution would change at every run: nbconvert's record_timing is off.
    assert all("execution" not in cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n == QUICKEST else pytest.mark.slow) for n in NAMES],
)
def test_it_runs_and_leaves_nothing_behind(name, tmp_path, monkeypatch):
    from nbconvert.preprocessors import ExecutePreprocessor

    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where a notebook puts its files
    before = sorted(os.listdir(FOLDER))
    notebook = read(name)
    executor = ExecutePreprocessor(timeout=600, kernel_name="python3", record_timing=False)
    executor.preprocess(notebook, {"metadata": {"path": str(FOLDER)}})
    streams = [o for cell in code(notebook) for o in cell.outputs if o.output_type == "stream"]
    assert not [output.text for output in streams if output.name == "stderr"]
    assert sorted(os.listdir(FOLDER)) == before
