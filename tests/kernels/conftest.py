"""Tests of kernels run where room is no number until it is written."""

import pytest

from poison import poison


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poison the room that kernels are given."""
    poison(monkeypatch)
