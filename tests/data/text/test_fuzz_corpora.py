"""Some hostile texts of each run of ``fuzz_corpora.py``: no traceback, no excess, no wait without end."""

import os

import pytest

if not hasattr(os, "fork"):
    pytest.skip("processes that are forked, pipes and devices that have names", allow_module_level=True)

from fuzz_corpora import fuzz


def test_hostile_texts_end_in_an_exit_code_and_a_line() -> None:
    outcomes = fuzz(25, seed=0)
    assert [outcome for outcome in outcomes if outcome.wrong] == []
    for verb in ("train", "eval", "sample"):
        assert {outcome.code for outcome in outcomes if outcome.command[0] == verb} == {"0", "2"}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the forked processes from what the tests before them have set."""
    monkeypatch.setenv("BPTT_THREADS", "1")
