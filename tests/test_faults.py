"""A call of the system that fails, or is the last one: the run goes on to the same bits, or says a line."""

import sys
from pathlib import Path

import pytest

from hostile.crashes import Crashes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it forks a process that has threads")


@pytest.mark.parametrize("resumed", [False, True], ids=["begun", "resumed"])
def test_a_run_whose_calls_fail_loses_nothing_that_it_said_was_saved(tmp_path: Path, resumed: bool) -> None:
    tally = Crashes(tmp_path, resumed=resumed).faults(30)
    assert tally.faults == []
    assert {end for _, end, _ in tally.counts} >= {"a line", "killed"}  # they were disturbed indeed
