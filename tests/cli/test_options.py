"""Kinds of values, and options made from dataclasses."""

import dataclasses
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from cemfp.cli.generated import GeneratedCommand, attribute_texts, options_of
from cemfp.cli.options import Number, SeveralValues, classifiers


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to do it.

    Attributes:
        epsilon: Radius, on the
            pixel scale.
        alpha, beta: Weights.
        kind: Which.
        balance: Whether to.
        count: How many.

    Raises:
        ValueError: Never: not an attribute.
    """

    epsilon: float = 0.5
    alpha: float = 1.0
    beta: float = 2.0
    kind: Literal["one", "two"] = "one"
    balance: bool = True
    count: int = 3


def test_attribute_texts_come_from_the_docstring():
    assert attribute_texts(Settings) == {
        "epsilon": "Radius, on the pixel scale.",
        "alpha": "Weights.",
        "beta": "Weights.",
        "kind": "Which.",
        "balance": "Whether to.",
        "count": "How many.",
    }


@pytest.fixture
def made():
    """Run a command with the options of `Settings` but for beta; returns what it was given."""

    def run(*arguments):
        seen = {}
        command = GeneratedCommand(
            "do", generate=lambda: options_of(Settings, skip=["beta"]), callback=seen.update
        )
        result = CliRunner().invoke(command, arguments)
        return seen if result.exit_code == 0 else result.output

    return run


def test_defaults_are_the_dataclass(made):
    assert made() == {k: v for k, v in dataclasses.asdict(Settings()).items() if k != "beta"}


def test_values_are_read_by_their_type(made):
    values = made("--epsilon", "0.25", "--kind", "two", "--no-balance", "--count", "7")
    assert values == {"epsilon": 0.25, "alpha": 1.0, "kind": "two", "balance": False, "count": 7}


@pytest.mark.parametrize(
    "bad",
    [("--epsilon", "2"), ("--epsilon", "nan"), ("--kind", "three"), ("--count", "-1"),
     ("--count", "1.5"), ("--beta", "1"), ("--alpha", "-1")],
)  # fmt: skip
def test_bad_values_are_refused(made, bad):
    assert bad[0] in made(*bad)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "one"])
def test_number_is_finite(text):
    with pytest.raises(click.BadParameter):
        Number().convert(text, None, None)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Run a command with a repeatable classifier option and an argument, in a zoo of three."""
    for name in ("a1", "a2", "b1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    seen = {}

    @click.command(cls=SeveralValues)
    @click.argument("file")
    @classifiers("--net", "Nets.")
    @click.option("--flag", is_flag=True)
    def command(file, net, flag):
        seen.update(file=file, net=[path.name for path in net], flag=flag)

    def run(*arguments):
        seen.clear()
        result = CliRunner().invoke(command, arguments)
        return seen.get("net", result.output)

    return run


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--net", "a1"], ["a1"]),
        (["--net", "a1", "--net", "b1"], ["a1", "b1"]),
        (["--net", "b1", "a1", "a2", "--flag"], ["b1", "a1", "a2"]),
        (["--net", "a*"], ["a1", "a2"]),
        (["--net", "a*", "a1", "--flag", "--net", "b1"], ["a1", "a2", "b1"]),
        (["--flag"], []),
    ],
)
def test_repeatable_options_take_several_values_and_patterns(paths, arguments, names):
    assert paths("file", *arguments) == names


def test_a_name_with_a_star_in_it_is_that_name(paths, tmp_path):
    (tmp_path / "c*").mkdir()
    (tmp_path / "c*" / "config.json").write_text("{}")
    assert paths("file", "--net", "c*") == ["c*"]


def test_a_pattern_without_matches_is_refused(paths):
    assert "nothing matches" in paths("file", "--net", "z*")
