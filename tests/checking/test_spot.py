"""The line to look at: found where it can be told, and left out where it cannot."""

from pathlib import Path

import pytest

from bptt.checking.source import load
from bptt.checking.spot import spots

CODE = """
import numpy as np
class LSTM:
    def backward(self, dh, dc_next, cache):
        dWf = np.zeros_like(self.Wf)
        dc, do = dc_next + dh * o * (1 - tc ** 2), dh * tc
        d_f = dc * c_prev
        d_f = d_f * f * (1 - f)
        dWf += x.T @ d_f
        grads["bf"] = d_f.sum(0)
        c, tc = cache
        return dc * f
    def update(self):
        self.Wi -= 0.1 * self.grads["Wi"]
class RNN:
    def backward(self, dh):
        dWf = dh
        return dh @ self.U.T
"""

SYMBOLS = {"W_f": "Wf", "W_i": "Wi", "b_f": "bf", "U_f": "U[f]"}


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("dc", 6),
        ("do", 6),
        ("df", 7),  # both lines that make it
        ("da_f", 7),
        ("dW_f", 9),  # not where it is set to zero
        ("db_f", 10),
        ("dW_i", None),  # its update is not its gradient
        ("dh_prev", None),
        ("dU_f", None),
    ],
)
def test_line_of_a_gradient(target: str, line: int | None, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(CODE, encoding="utf-8")
    found = spots(load(file), "LSTM.forward", [target], SYMBOLS)
    assert [spot["line"] for spot in found] == ([] if line is None else [line])
    if target == "df":
        assert found[0]["place"] == f"{file}:7-8"
        assert found[0]["text"] == "d_f = dc * c_prev\nd_f = d_f * f * (1 - f)"


def test_nothing_is_said_where_two_places_would_do(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(CODE, encoding="utf-8")
    assert spots(load(file), "backward", ["dW_f"], SYMBOLS) == []
