"""The benchmarks' harness; what it measures is not tested by the clock."""

import time

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import harness


def test_the_first_round_decides_how_many_fit():
    made = []

    def once():
        made.append(time.sleep(0.02))
        return [1.0]

    assert len(harness.repeat_in_turns(once, 5, longest=60.0)) == len(made) == 5
    # Even where one round takes longer than all may, there is a spread.
    assert len(harness.repeat_in_turns(once, 5, longest=0.01)) == harness.FEWEST_ROUNDS
    assert 2 <= len(harness.repeat_in_turns(once, 500, longest=0.2)) <= 10


def test_a_busy_machine_writes_no_results(monkeypatch, tmp_path):
    harness.require_idle(harness.IDLE_LOAD)
    with pytest.raises(harness.MachineBusy, match=r"at most 0\.7\. Received: 1\.50; wait"):
        harness.require_idle(1.5)
    monkeypatch.setattr(program, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(harness, "machine", lambda: {"load_before": 1.5})
    ended = CliRunner().invoke(program.main, ["training"])
    assert ended.exit_code == 1
    assert ended.output.startswith("Error: expected an idle machine") and "--quick" in ended.output
    assert not (tmp_path / "results").exists()
