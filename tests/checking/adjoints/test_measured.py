"""Adjoints are derivatives: of each value, each use and each array that a program starts from."""

from pathlib import Path

import numpy as np
import pytest

from bptt.checking.adjoints.choice import best
from bptt.checking.adjoints.point import point
from bptt.checking.adjoints.record import sketch
from small_files import EXAMPLE, changed, program

NET = """
import numpy as np

class Net:
    def __init__(self):
        self.W, self.h, self.gain = np.full((5, 4), 0.1), np.zeros(4), np.full(4, 2.0)

    def run(self, x):
        self.x, self.h = x, np.tanh(x @ self.W * self.gain + self.h)
        return self.h
"""


def test_adjoints_are_those_that_were_derived_by_hand(tmp_path: Path) -> None:
    found, (chosen, *_) = best(point(program(tmp_path)))
    names = found.point.case.run().names
    for gradient, at in (("dxs", "xs"), ("dh", "h"), ("dW", "W"), ("dU", "U")):
        rows = chosen.rows.explain(names[gradient].reshape(-1))
        assert (("item", at),) in [row.path for row in rows if row.kind == "total"]
        wanted = found.entries(chosen.candidate.terms, names[gradient].size, path=(("item", at),))
        np.testing.assert_allclose(names[gradient].reshape(-1), wanted, rtol=1e-7, atol=1e-9)
    assert (chosen.candidate.kind, chosen.factor, chosen.explained) == ("handed", 1.0, chosen.of)


def test_a_use_a_sum_of_some_and_of_all_are_told_apart(tmp_path: Path) -> None:
    found, (chosen, *_) = best(point(program(tmp_path)))
    kept, _, U = found.point.case.run().names["cache"]
    d, parts = found.point.case.run().names["dout"], []
    for _, before, h in reversed(kept):
        da = d * (1 - h**2)
        parts.append((before.T @ da).reshape(-1))
        d = da @ U.T
    kinds = [
        {row.kind for row in chosen.rows.explain(part)}
        for part in (parts[1], parts[0] + parts[1], sum(parts))
    ]
    assert kinds[0] == {"use"}
    assert kinds[1] == {"part"}
    assert kinds[2] >= {"total", "sum"}
    assert not chosen.rows.explain(parts[0] + 1.001 * parts[1])


def test_what_the_code_made_is_drawn_and_what_the_example_wrote_stands(tmp_path: Path) -> None:
    code = program(tmp_path, NET, "net = Net()\nx = np.ones((2, 5))\ny = net.run(x)\nloss = (y**2).sum()")
    at = point(code)
    best(at)
    net = at.case.run().names["net"]
    assert np.unique(net.W).size == net.W.size
    assert np.unique(net.gain).size == 4
    assert (net.gain > 0).all()
    assert (net.x == 1).all()


def test_sketches_add_up() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 7))
    np.testing.assert_allclose(sketch(a) + 2 * sketch(b), sketch(a + 2 * b))


DIFFERENCE = EXAMPLE.replace("dout =", "t =").replace("backward(dout", "backward(out - t")
SQUARE = [
    ("return h, (kept", "return np.sum(h**2), (kept"),
    ("def backward(dh, cache):", "def backward(h, cache):\n    dh = 2 * h"),
]
OWN = EXAMPLE.replace("backward(dout", "backward(cache[0][-1][2]").replace("out, cache =", "loss, cache =")
OWN = OWN.replace("dout = np.random.randn(2, 4)\n", "")


@pytest.mark.parametrize(
    ("edits", "example", "kind", "factor"),
    [
        ([], EXAMPLE, "handed", 1.0),
        ([("(1 - h**2)", "(1 - h**2) / 3"), ("dh = da @", "dh = 3 * da @"), ("dxs), dh,", "dxs), dh / 3,")],
         EXAMPLE, "handed", 1 / 3),
        ([], DIFFERENCE, "", 1.0),
        (SQUARE, OWN, "scalar", 1.0),
    ],
)  # fmt: skip
def test_the_loss_is_the_one_that_explains_the_backward(
    edits: list[tuple[str, str]], example: str, kind: str, factor: float, tmp_path: Path
) -> None:
    _, (chosen, *_) = best(point(program(tmp_path, changed(*edits), example)))
    assert chosen.factor == pytest.approx(factor)
    assert kind in ("", chosen.candidate.kind)
    assert chosen.explained >= 0.8 * chosen.of
