"""Damaged cells work or are refused in a line: no traceback, no warning, no hang."""

import os

import pytest

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)

import fuzz_cells
from sampling import count

CASES = count(45, 90)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forked beside sleeping threads
def test_damaged_cells_work_or_are_refused() -> None:
    fuzz_cells.warm()
    said = {seed: fuzz_cells.tried(fuzz_cells.damaged(seed), seed % 3) for seed in range(CASES)}
    faults = {seed: s for seed, s in said.items() if s.startswith("FAULT")}
    assert not faults
    outcomes = list(said.values())
    assert outcomes.count("works") > CASES // 10  # the damage is not always too much,
    assert outcomes.count("EquationError") > CASES // 4  # and mostly some


def test_a_fault_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_(text: str, kind: int) -> str:
        raise KeyError("planted")

    monkeypatch.setattr(fuzz_cells, "use", break_)
    assert fuzz_cells.tried("", 0).startswith("FAULT: KeyError: 'planted'")
