"""What all commands share: help, silence, failures in one line, interrupts."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cemfp.cli import main, work
from cemfp.cli.errors import describe
from cemfp.fingerprint.artifact import FingerprintError

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "train", "evaluate", "fingerprint", "calibrate", "verify", "attack", "detect", "inspect",
    "demo", "pretrained", "study", "models", "data", "protect", "suspect", "power", "audit",
    "keygen", "commit", "open", "recheck", "report",
]  # fmt: skip


def python(*arguments, **changes):
    """Run another interpreter; `changes` to the environment, None removes."""
    values = {**os.environ, **changes}
    environment = {key: value for key, value in values.items() if value is not None}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def every_command():
    """Names and commands, those of the fingerprint methods and the attacks included."""
    context = click.Context(main)
    found = dict(main.commands)
    for name, group in main.commands.items():
        if isinstance(group, click.Group):
            for part in group.list_commands(context):
                found[f"{name} {part}"] = group.get_command(context, part)
    return found


def test_the_commands_are_these():
    assert sorted(main.commands) == sorted(COMMANDS)


def test_every_command_has_an_example_and_every_option_a_help_text():
    for name, command in every_command().items():
        assert "Example" in command.help, name
        context = click.Context(command)
        for option in command.get_params(context):
            assert isinstance(option, click.Argument) or option.help, (name, option.name)


def test_no_command_has_an_option_twice():
    for name, command in every_command().items():
        flags = [flag for p in command.get_params(click.Context(command)) for flag in p.opts]
        assert len(flags) == len(set(flags)), name


def test_every_method_has_a_command():
    from cemfp.fingerprint.methods import METHODS

    assert {f"fingerprint {name}" for name in METHODS} <= every_command().keys()


def test_every_attack_has_a_command():
    from cemfp.removal import REMOVALS

    assert {f"attack {name}" for name in REMOVALS} <= every_command().keys()


def test_help_and_inspect_do_not_wait_for_tensorflow(plain_file):
    code = (
        "import sys\nfrom cemfp.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: sys.exit(end.code or int('tensorflow' in sys.modules))"
    )
    assert python("-c", code, "--help").returncode == 0
    assert python("-c", code, "inspect", plain_file).returncode == 0


def test_the_libraries_keep_quiet(tiny_zoo):
    given = ("evaluate", tiny_zoo.path("source"), "--data", "digits")
    result = python("-m", "cemfp", *given, TF_CPP_MIN_LOG_LEVEL=None)
    assert result.returncode == 0
    assert result.stderr == "" and len(result.stdout.splitlines()) == 1


def test_a_users_own_log_level_stays(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    CliRunner().invoke(main, ["train"])
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "1"


@pytest.fixture
def broken_training(monkeypatch):
    """Make training raise what is asked for."""

    def breaks(error):
        def train_classifier(*arguments, **settings):
            raise error

        monkeypatch.setattr("cemfp.training.from_scratch.train_classifier", train_classifier)

    return breaks


def test_an_interrupt_ends_with_130_and_leaves_nothing(run, broken_training, tmp_path):
    broken_training(KeyboardInterrupt())
    result = run("train", "--data", "digits", "--out", tmp_path / "net")
    assert result.exit_code == 130
    assert result.stderr == "Interrupted: what was not finished is not kept.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGTERM, 143, "Terminated"), (signal.SIGINT, 130, "Interrupted")],
)
def test_an_end_that_compiled_code_made_an_error_of(
    run, monkeypatch, tmp_path, number, status, word
):
    """As CPython does: `SystemError: <built-in function> returned a result with an exception`."""

    def train_classifier(*arguments, **settings):
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except BaseException as error:
            raise SystemError("returned a result with an exception set") from error

    monkeypatch.setattr("cemfp.training.from_scratch.train_classifier", train_classifier)
    # A shell starts its background jobs with interrupts ignored, and children inherit that.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = run("train", "--data", "digits", "--out", tmp_path / "net")
    finally:
        signal.signal(signal.SIGINT, former)
    assert result.exit_code == status
    assert result.stderr == f"{word}: what was not finished is not kept.\n"


SLOW = (
    *("train", "--data", "digits", "--width", "4", "--depth", "8", "--epochs", "3000"),
    *("--precision", "float32", "--out"),
)


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [
        (signal.SIGTERM, 143, "Terminated"),
        pytest.param(signal.SIGINT, 130, "Interrupted", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_training_with_a_word_and_leaves_nothing(tmp_path, number, status, word):
    command = [sys.executable, "-m", "cemfp", *SLOW, str(tmp_path / "net")]
    # A shell starts its background jobs with interrupts ignored, and children inherit that.
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            line = process.stderr.readline()  # at work, and it says so without a terminal
            process.send_signal(number)
            rest = process.stderr.read()
            assert process.wait(60) == status, line + rest
        finally:
            process.kill()
    assert re.match(r"train: \d+ of \d+ steps, (\d+:)?\d\d:\d\d left, loss ", line), line
    assert rest.endswith(f"{word}: what was not finished is not kept.\n")
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_progress_is_a_line_each_tenth(capsys):
    with work.progress_bar("train", quiet=False) as show:
        for step in range(1, 101):
            show(step, 100, "loss 1")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == [str(step) for step in range(10, 101, 10)]
    with work.progress_bar("train", quiet=True) as show:
        show(50, 100, "loss 1")
    assert capsys.readouterr().err == ""


def test_a_slow_step_is_told_of_each_thirty_seconds(capsys, monkeypatch):
    now = iter([0.0, 10.0, 31.0, 45.0, 62.0])
    monkeypatch.setattr(work, "monotonic", lambda: next(now))
    with work.progress_bar("cem", quiet=False) as show:
        for step in (1, 2, 3, 4):
            show(step, 1000, "loss 1")
    # At 31 s two steps of a thousand are done: 998 more take 31 / 2 s each.
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["2", "4"]
    assert "4:17:49 left" in lines[0]


def test_an_interrupt_while_saving_leaves_nothing(run, tmp_path, monkeypatch):
    def save(self, directory):
        (directory / "weights.npz").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("cemfp.models.classifier.Classifier.save", save)
    small = ("--width", 1, "--depth", 8, "--images", 8, "--epochs", 1, "--precision", "float32")
    result = run("train", "--data", "digits", *small, "--out", tmp_path / "net")
    assert result.exit_code == 130 and list(tmp_path.iterdir()) == []


def test_a_surprise_is_one_line_and_debug_shows_the_traceback(run, broken_training, tmp_path):
    broken_training(KeyError("surprise\nand more"))
    given = ("train", "--data", "digits", "--out", tmp_path / "net")
    result = run(*given)
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
    assert "KeyError" in result.stderr and "--debug" in result.stderr
    debug = run("--debug", *given)
    assert debug.exit_code == 2 and "Traceback" in debug.stderr


def test_debug_can_be_set_in_the_environment(run, broken_training, tmp_path, monkeypatch):
    monkeypatch.setenv("CEMFP_DEBUG", "1")
    broken_training(KeyError("surprise"))
    assert "Traceback" in run("train", "--data", "digits", "--out", tmp_path / "net").stderr


class Loss(RuntimeError):
    __module__ = "cemfp.training.loop"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FingerprintError("it is\n  damaged"), "it is damaged"),
        (ValueError("expected 1. Received: 2"), "expected 1. Received: 2"),
        (FileNotFoundError(2, "No such file", "x.npz"), "x.npz: No such file"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (Loss("the loss became nan"), "the loss became nan"),
        (RuntimeError("a\nb"), "unexpected RuntimeError: a b (cemfp --debug shows where)"),
    ],
)
def test_describe(error, line):
    assert describe(error) == line
