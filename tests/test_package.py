"""The package as a user installs it: pins, versions, light import, Makefile."""

import ast
import configparser
import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cemfp

ROOT = pathlib.Path(__file__).parents[1]


def requirements():
    """Direct requirements of `.[all]`, as setup.cfg states them."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"] + setup["options.extras_require"]["dev"]
    return [Requirement(x) for x in lines.split("\n") if x and not x.startswith("#")]


def pin_lines():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_installed_version_is_the_package_version():
    try:
        installed = importlib.metadata.version("cemfp")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("cemfp is not installed here")
    assert installed == cemfp.__version__


def test_constraints_are_exact_versions_without_hosts_or_paths():
    bad = [x for x in pin_lines() if not re.fullmatch(r"[\w.-]+==[\w.!+]+", x)]
    assert bad == []


def test_no_package_is_pinned_twice():
    names = [canonicalize_name(x.split("==")[0]) for x in pin_lines()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_constraints_pin_every_requirement_within_its_range(requirement):
    pins = {canonicalize_name(n): v for n, v in (x.split("==") for x in pin_lines())}
    assert pins[canonicalize_name(requirement.name)] in requirement.specifier


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, cemfp; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("answer", ["3.8", "Python 3.8.18", "3.12"])
def test_make_refuses_another_python_in_one_line(tmp_path, answer):
    result = make_install(tmp_path, f"#!/bin/sh\necho '{answer}'\n")
    assert result.returncode != 0
    lines = (result.stdout + result.stderr).splitlines()
    assert len(lines) == 1
    assert "needs Python 3.11" in lines[0] and f"says {answer}." in lines[0]
    assert not (tmp_path / ".venv").exists()


def test_make_refuses_a_python_that_does_not_run(tmp_path):
    result = make_install(tmp_path, "#!/bin/sh\nexit 1\n")
    assert result.returncode != 0
    assert "does not run" in result.stderr


def make_install(folder, script):
    """`make install` in an empty checkout, with `script` in Python's place."""
    for name in ("Makefile", "setup.cfg", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    fake = folder / "python"
    fake.write_text(script)
    fake.chmod(0o755)
    # Inside `make test`, make's own variables would add lines of their own.
    command = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", f"PYTHON={fake}", "install"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


# From the bottom: a module imports from its own room and from those before it.
ROOMS = (
    *("numerics", "storage", "data", "models", "training", "ensemble", "attacks", "fingerprint"),
    *("suspects", "removal", "verification", "engine", "jobs", "figures", "evidence"),
    *("audit", "owner", "cli"),
)


def imported(path):
    """Modules that a file imports, those inside functions and for types included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_the_rooms_before_it(room):
    later = [f"cemfp.{other}." for other in ROOMS if ROOMS.index(other) > ROOMS.index(room)]
    # Only the command `study` looks into the checkout.
    above = (*later, "tests", *(() if room == "cli" else ("experiments",)))
    against = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "cemfp" / room).rglob("*.py")
        for name in imported(path)
        if name.startswith(above)
    }
    assert against == set()


def test_every_room_has_its_place_and_no_module_lies_loose():
    rooms = {path.parent.name for path in (ROOT / "cemfp").glob("*/__init__.py")}
    assert rooms == set(ROOMS)
    assert {path.name for path in (ROOT / "cemfp").glob("*.py")} == {"__init__.py", "__main__.py"}


def test_the_engine_knows_nothing_of_fingerprints():
    names = {name for path in (ROOT / "cemfp/engine").glob("*.py") for name in imported(path)}
    own = {name.split(".")[1] for name in names if name.startswith("cemfp.")}
    # `numerics` has the speed of this machine: estimates scale with it.
    assert own <= {"engine", "storage", "numerics"}
