"""`bptt.check` of a function without parameters: its lines are an example of the code that they call."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bptt.checking import assert_gradients, check
from bptt.checking.direct.example import example_of
from bptt.errors import ConfigError
from reports import CODE, MENDED

Load = Callable[[str, str], ModuleType]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Return what writes a module and imports it."""
    names = []

    def load(name: str, text: str) -> ModuleType:
        folder = tmp_path / name
        folder.mkdir()
        file = folder / f"{name}.py"
        file.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        names.append(name)
        return module

    yield load
    for name in names:
        del sys.modules[name]


def lines(function: Callable[[], Any]) -> tuple[str, list[str]]:
    with example_of(function) as (source, example):
        return source.path.name, example.splitlines()


OWN = """

size = 4

def shown():
    "One call."
    x, W = np.random.randn(2, 3), np.random.randn(3, size)
    loss, dW = layer(x, W)
    return dW

def asking(x):
    pass

short = lambda: layer(np.random.randn(2, 3), np.random.randn(3, 4))
two = [lambda: 1, lambda: 2]

def squares(p):
    loss, dW = layer(p["x"], p["W"])
    return loss, {"W": dW}

def closing(n):
    def inner():
        return layer(np.random.randn(2, n), np.random.randn(n, 4))
    return inner
"""
THEIRS = """
import numpy as np
import layers
from layers import layer as it

ROWS = 2

def by_name():
    loss, dW = it(np.random.randn(ROWS, 3), np.random.randn(3, 4))

def by_module():
    loss, dW = layers.layer(np.random.randn(ROWS, 3), np.random.randn(3, 4))
"""


def test_a_function_beside_the_code_is_judged_and_mended(load: Load) -> None:
    own = load("own", CODE + OWN)
    report = check(own.shown, seconds=30)
    assert (report.verdict, report.names("wrong"), report.origin) == ("wrong", ["W"], "shown")
    assert Path(report.file).name == "own.py"
    assert "+    da = 2 * y * (1 - y ** 2)" in report.diff


def test_a_function_of_parameters_in_a_file_is_mended(load: Load) -> None:
    """The numbers judge it; which statement it is, its file shows."""
    own, rng = load("own", CODE + OWN), np.random.default_rng(0)
    point = {"x": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 4))}
    report = check(own.squares, point, seconds=30)
    assert (report.verdict, report.names("wrong"), report.names("not given")) == ("wrong", ["W"], ["x"])
    assert "+    da = 2 * y * (1 - y ** 2)" in report.diff
    assert report.located[0]["line"] == 7
    assert not check(lambda p: own.squares(p), point).diff  # it is in no file's names


def test_a_right_one_passes_and_a_wrong_one_s_report_is_the_failure(load: Load) -> None:
    assert_gradients(load("mended", MENDED + OWN).short)
    with pytest.raises(AssertionError, match=r"(?s)the backward pass is wrong.*W +wrong"):
        assert_gradients(load("own", CODE + OWN).short, seconds=1)


def test_code_of_another_file_is_what_is_shown(load: Load) -> None:
    load("layers", CODE)
    theirs = load("theirs", THEIRS)
    assert lines(theirs.by_name) == (
        "layers.py",
        [
            "from bptt.checking.direct.example import ROWS",
            "it = layer",
            "loss, dW = it(np.random.randn(ROWS, 3), np.random.randn(3, 4))",
        ],
    )
    assert lines(theirs.by_module)[1][-1] == (
        "loss, dW = layer(np.random.randn(ROWS, 3), np.random.randn(3, 4))"
    )
    assert check(theirs.by_name, seconds=1).verdict == "wrong"


def test_what_it_closes_over_is_there_and_copied(load: Load) -> None:
    own = load("own", CODE + OWN)
    first, *_ = lines(own.closing(3))[1]
    assert first == "from bptt.checking.direct.example import n"
    report = check(own.closing(3), seconds=1)
    assert (report.verdict, report.names("wrong")) == ("wrong", ["W"])


def test_what_is_no_example_is_told(load: Load) -> None:
    own = load("own", CODE + OWN)
    for function, says in ((own.asking, "without arguments"), (own.two[0], "two lambdas in one line")):
        with pytest.raises(ConfigError, match=says):
            check(function)
    made: dict[str, Any] = {}
    exec("def typed(): pass", made)
    with pytest.raises(ConfigError, match="in no file"):
        check(made["typed"])
