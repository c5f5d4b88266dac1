"""A fixture for pytest: a test that fails with the report on the gradients, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def check_gradients() -> Callable[..., Any]:
    """Return `bptt.check`, which fails the test unless the gradients are right."""

    def check(function: Callable[..., Any], params: Any = None, **options: Any) -> Any:
        from bptt.checking import check, text  # NumPy is imported by those who ask for it

        report = check(function, params, **options)
        if report.verdict != "right":
            pytest.fail(text(report), pytrace=False)
        return report

    return check
