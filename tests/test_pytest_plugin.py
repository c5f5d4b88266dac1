"""The fixture fails a test with the report as its text."""

import pytest

from reports import CODE, MENDED

pytest_plugins = ["pytester"]

TEST = """
import numpy as np
from layer import layer

def one_pass():
    x, W = np.random.randn(2, 3), np.random.randn(3, 4)
    loss, dW = layer(x, W)

def test_an_example(check_gradients):
    check_gradients(one_pass)

def test_a_function(check_gradients):
    assert check_gradients(lambda p: ((p["x"] ** 2).sum(), {"x": 2 * p["x"]}), {"x": np.ones(3)})
"""


@pytest.mark.parametrize(("code", "failed"), [(MENDED, 0), (CODE, 1)], ids=["right", "wrong"])
def test_the_report_is_the_failure(
    code: str, failed: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # it may be installed, too
    pytester.makepyfile(layer=code, test_layer=TEST)
    result = pytester.runpytest_subprocess("-p", "bptt.pytest_plugin", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2 - failed, failed=failed)
    if failed:
        result.stdout.fnmatch_lines(["*layer.py: the backward pass is wrong", "*+*da = 2 * y * (1 - y ** 2)"])
        result.stdout.no_fnmatch_line("*Traceback*")
        result.stdout.no_fnmatch_line("*def test_an_example*")
