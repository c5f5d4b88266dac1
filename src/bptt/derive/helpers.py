"""A cell's helpers: functions of values that are written in where they are called, and never run.

A helper stands in the cell, above what calls it, or in the file, as any function of Python::

    def swish(u, beta=1.0):
        return u * sigmoid(beta * u)

It sets names, one a line, and returns one value. It reads its arguments, what it sets itself, and numbers.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from inspect import getsource
from typing import NamedTuple

from bptt.derive.axes import MADE, PLACES
from bptt.derive.functions import ALIASES, FUNCTIONS, HELPERS
from bptt.derive.source import FunctionText


class HelperText(NamedTuple):
    """A helper that stands outside of the cell.

    Attributes
    ----------
    text, file, first_line
        As :func:`bptt.derive.read` takes a cell's.
    known : dict of float
        Numbers by the names under which its text uses them.
    """

    text: str
    file: str
    first_line: int
    known: Mapping[str, float]


@dataclass(frozen=True)
class Helper:
    """A helper, read.

    Attributes
    ----------
    function : ast.FunctionDef
    source : FunctionText
        Where it stands, for messages.
    known : dict of float
    above : dict of Helper
        Those that it can call.
    """

    function: ast.FunctionDef
    source: FunctionText
    known: Mapping[str, float]
    above: Mapping[str, "Helper"]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.function.name

    @property
    def arguments(self) -> list[str]:
        """The names of its arguments."""
        return [a.arg for a in self.function.args.args]

    @property
    def parts(self) -> int:
        """How many names, numbers and operators it has."""
        return sum(isinstance(node, ast.expr) for node in ast.walk(self.function))

    @property
    def signature(self) -> str:
        """Its first line, without what its arguments are."""
        return f"def {self.name}({', '.join(self.arguments)})"

    @property
    def lines(self) -> tuple[list[tuple[str, ast.expr]], ast.expr]:
        """What it sets, a name a line, and what it returns."""
        *lines, last = [line for line in self.function.body if not _is_remark(line)] or [ast.Pass()]
        if not isinstance(last, ast.Return) or last.value is None:
            raise self.source.error(self.function, f"{self.name} ends without returning a value")
        found = []
        for line in lines:
            match line:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found.append((name, value))
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    found.append((name, value))
                case _:
                    says = f"{self.name} sets one name a line, u = ..., and returns one value"
                    raise self.source.refused(line, says)
        return found, last.value


def helper(
    function: ast.FunctionDef, source: FunctionText, known: Mapping[str, float], above: Mapping[str, Helper]
) -> Helper:
    """Return a helper; raise an EquationError where it is none."""
    name, given = function.name, function.args
    if ALIASES.get(name, name) in FUNCTIONS:
        raise source.error(function, f"{name} is a function in equations: call the helper something else")
    if name in above:
        raise source.error(function, f"a second helper is called {name}: give it a name of its own")
    if function.decorator_list:
        raise source.error(
            function, f"{name} has a decorator: a helper is read, and no other would see it run"
        )
    if given.vararg or given.kwarg or given.posonlyargs or given.kwonlyargs or not given.args:
        raise source.error(function, f"{name}: a helper has one argument or more, by position: no * and no /")
    made = Helper(function, source, known, dict(above))
    _ = made.lines
    return made


@cache
def words() -> dict[str, Helper]:
    """Return the words of equations that are helpers."""
    found = {}
    for name, function in HELPERS.items():
        source = FunctionText(getsource(function), None, function.__code__.co_filename, 1)
        found[name] = helper(source.function, source, {}, {})
    for name, lines in MADE.items():
        for axis in PLACES:
            text = f"def {name}(u):\n    {lines.format(axis=axis)}"
            source = FunctionText(text, None, "<bptt.derive.axes>", 1)
            found[f"{name}_{axis}"] = helper(source.function, source, {}, {})
    return found


def _is_remark(line: ast.stmt) -> bool:
    return isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
