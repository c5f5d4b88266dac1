"""Taps change nothing by themselves; through one of them a value, or a statement's result, can be changed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.checking.taps.example import ExampleError
from bptt.checking.taps.program import Hooks, Program
from bptt.checking.taps.values import flat
from small_files import CODE, EXAMPLE, program

STYLES = """
import numpy as np

class Kept(dict):
    size = 3

    def __init__(self, *args):
        super().__init__(args)
        self.total, self.seen = 0.0, []

    @property
    def doubled(self):
        return 2 * self.total

    def add(self, *values, scale=1.0, **more):
        for i, value in enumerate(values):
            if (square := value**2).sum() > 0.1 and not more:
                self.total += scale * square.sum() if i else square.mean()
            self.seen.append(lambda a, v=value: a * v)
        first, *rest = values
        out = np.empty_like(first)
        np.add(first, 1.0, out=out)
        out[0] -= rest[0][0] if rest else 0
        return {k: f(out) for k, f in enumerate(self.seen)}, f"{self.doubled:.3f}"

def steps(n):
    total = 0.0
    while True:
        total += yield n * total
        n -= 1
        if n == 0:
            return

kept = Kept()
"""
USED = """
a, b = np.float64(0.7), np.array([0.5, -1.5])
found, text = kept.add(b, b[::-1], scale=0.3)
walk = steps(3); next(walk)
sent = [walk.send(float(x)) for x in b]
"""


def numbers(names: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in names.items() if isinstance(v, np.ndarray | list | dict | str) and n[0] != "_"}


@pytest.mark.parametrize(("code", "example"), [(CODE, EXAMPLE), (STYLES, USED)])
def test_taps_change_nothing(code: str, example: str, tmp_path: Path) -> None:
    tapped = program(tmp_path, code, example).run(seed=3).names
    names: dict[str, Any] = {"__name__": "plain"}
    np.random.seed(3)  # noqa: NPY002 (examples draw from the old generator)
    exec(code, names)
    exec(example, names)
    wanted = numbers(names)
    assert wanted
    for name, value in wanted.items():
        np.testing.assert_equal(tapped[name], value)


def uses(code: Program, text: str) -> int:
    """Return the number of the expression that reads so."""
    import ast

    return next(k for k, node in enumerate(code.table.nodes) if ast.unparse(node.tree) == text)


def test_one_use_of_one_value_is_changed(tmp_path: Path) -> None:
    code = program(tmp_path)
    node, count = uses(code, "h @ U"), 0

    def tap(k: int, value: Any) -> Any:
        nonlocal count
        count += k == node
        return value + 1.0 if k == node and count == 2 else value

    plain, moved = code.run(seed=1).names, code.run(Hooks(tap), seed=1).names
    same = [np.array_equal(a[2], b[2]) for a, b in zip(plain["cache"][0], moved["cache"][0], strict=True)]
    assert count == 3
    assert same == [True, False, False]
    x, before, h = moved["cache"][0][1]
    np.testing.assert_allclose(h, np.tanh(x @ plain["W"] + before @ plain["U"] + 1.0))


def test_a_statement_s_result_is_replaced(tmp_path: Path) -> None:
    import ast

    code = program(tmp_path)
    statements = [ast.unparse(one.tree) for one in code.table.statements]
    number = statements.index("dh = da @ U.T")
    names = code.run(Hooks(put=lambda j, value: 0 * value if j == number else value)).names
    assert not names["dh"].any()
    assert names["dW"].any()


def test_what_the_example_hands_over_and_gets_is_known(tmp_path: Path) -> None:
    outcome = program(tmp_path).run()
    ahead, back = outcome.calls
    assert (ahead.text, back.text) == ("forward", "backward")
    assert back.arguments[1] is ahead.result[1]
    assert back.result[3] is outcome.names["dU"]


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("forward(1)", "line 1 of the example: TypeError"),
        ("x = (", "line 1 of the example is not Python"),
        ("forward([np.ones(2)], np.ones(2), np.ones((3, 2)), 1)", "code.py:7: ValueError"),
    ],
)
def test_an_example_that_fails_says_where(example: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match=says):
        program(tmp_path, example=example).run()


def test_a_list_with_what_refuses_to_be_an_array_is_none() -> None:
    class Lazy:
        def __array__(self, *_args: Any, **_kwargs: Any) -> Any:
            raise RuntimeError("it is not computed yet")

    assert flat([0.5, Lazy()]) is None
    assert flat([0.5, 1.5]) is not None
