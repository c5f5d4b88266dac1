"""A call of the system that fails, or is the last one: the run goes on to the same bits, or says a line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hostile import forked
from hostile.calls import Calls
from hostile.crashes import Crashes
from sampling import count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it forks a process that has threads")


@pytest.mark.parametrize("resumed", [False, True], ids=["begun", "resumed"])
def test_a_run_whose_calls_fail_loses_nothing_that_it_said_was_saved(tmp_path: Path, resumed: bool) -> None:
    tally = Crashes(tmp_path, resumed=resumed).faults(count(12, 30))
    assert tally.faults == []
    assert {end for _, end, _ in tally.counts} >= {"a line", "killed"}  # they were disturbed indeed


def test_what_changes_the_folder_by_another_call_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("as it is")

    def end(change: Callable[[], object]) -> int:
        def work() -> int:
            Calls(tmp_path, lambda call: None)
            change()
            return 0

        return forked.forked(work).code

    assert end(file.read_text) == 0
    for change in (lambda: file.open("a"), lambda: file.chmod(0o600), lambda: os.truncate(file, 1)):
        assert end(change) == forked.CRASH
    assert end(lambda: file.replace(tmp_path / "new")) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
