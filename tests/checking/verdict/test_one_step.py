"""A verdict is of what the example shows: what only a further step would read is not judged by one."""

from pathlib import Path

import pytest

from bptt.checking.examine import check_source
from bptt.checking.file import read

STEPS = """
import numpy as np

def forward(x, W, U):
    hs = [np.zeros((len(x[0]), len(U)))]
    for x_t in x:
        hs.append(np.tanh(x_t @ W + hs[-1] @ U))
    return np.array(hs[1:]), hs

def backward(dy, x, W, U, hs):
    dW, dU, dh_next = np.zeros_like(W), np.zeros_like(U), np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        da = (dy[t] + dh_next) * (1 - hs[t + 1] ** 2)
        dW += x[t].T @ da
        dU += hs[t].T @ da
        dh_next = da @ U.T
    return dW, dU
"""
USE = """
import numpy as np
x, W, U = np.random.randn({T}, 2, 3), np.random.randn(3, 4), np.random.randn(4, 4)
y, hs = forward(x, W, U)
dW, dU = backward(np.random.randn(*y.shape), x, W, U, hs)
"""


@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("handed_on", ["da @ U.T", "da @ U", "da * 2"])
def test_what_goes_on_to_the_next_step_is_judged_where_there_is_one(
    handed_on: str, T: int, tmp_path: Path
) -> None:
    path = tmp_path / "steps.py"
    path.write_text(STEPS.replace("da @ U.T", handed_on))
    report = check_source(read(path), USE.format(T=T))
    is_right = handed_on == "da @ U.T"
    assert report.verdict == ("right" if is_right else "wrong" if T > 1 else "cannot tell"), report.reason
    if not is_right and T == 1:
        assert "runs once: dh_next, which it hands on, is read by nothing" in report.reason
