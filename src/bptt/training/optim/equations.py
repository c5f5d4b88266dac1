"""An optimiser's equations as text, read: ``"m = beta*m + (1 - beta)*g"``.

A line sets a slot, the parameter, or a name of its own, once. What is made of numbers alone, as ``1 - beta``
is, is computed once for an array, in Python's floats; the rest is computed elementwise in the array's dtype:
Python's floats do not promote.
"""

import ast
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from bptt.derive.expressions import LARGEST_POWER
from bptt.derive.functions import FUNCTIONS as CELL_FUNCTIONS
from bptt.derive.functions import LATER, in_numpy
from bptt.errors import ConfigError
from bptt.training.optim.blocks import blocks
from bptt.types import Array

FUNCTIONS: dict[str, Any] = {name: in_numpy(name) for name in CELL_FUNCTIONS if name not in ("where", *LATER)}
FUNCTIONS["sign"] = np.sign
"""The functions that equations may use: those of cells but ``where``, and the sign."""


@dataclass(frozen=True)
class Rule:
    """Equations that were read.

    Attributes
    ----------
    numbers : code
        Makes ``_read`` of the numbers that are known: a list of those that `reads` names.
    lines : tuple of str
        What is elementwise, each ``name = expression`` of arrays and of numbers by name.
    reads : tuple of str
        The numbers that `lines` read.
    code : code
        Of `lines`.
    """

    numbers: CodeType
    lines: tuple[str, ...]
    reads: tuple[str, ...]
    code: CodeType

    def apply(self, arrays: Mapping[str, Array], numbers: Mapping[str, float]) -> None:
        """Set arrays of one shape and dtype in NumPy, in place."""
        for block in blocks(*arrays.values()):
            before = dict(zip(arrays, block, strict=True))
            after = {**FUNCTIONS, **before, **numbers}
            exec(self.code, after)
            for name, array in before.items():
                if after[name] is not array:
                    array[...] = after[name]


@cache
def read(owner: str, equations: tuple[str, ...], slots: tuple[str, ...], options: tuple[str, ...]) -> Rule:
    """Return an optimiser's rule; ConfigError where its equations cannot be read."""
    names = ["p", "g", *slots, *options, "lr", "t", "matrix"]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{owner}: {', '.join(twice)}: two things have this name")
    reader = _Reader(owner, {"p", *slots}, {*options, "lr", "t", "matrix"})
    steps = [step for text in equations for step in reader.steps(text)]
    if not any(line.startswith("p = ") for line in reader.lines):
        raise ConfigError(
            f"{owner}: equations must set p, the parameter, got {', '.join(equations) or 'none'}"
        )
    body = ast.fix_missing_locations(ast.Module(steps, []))
    read = dict.fromkeys(node.id for node in ast.walk(body) if isinstance(node, ast.Name))
    reads = tuple(name for name in read if name in reader.numbers)
    computed = [f"{name} = float({value})" for name, value in reader.computed]
    numbers = compile("\n".join([*computed, f"_read = [{', '.join(reads)}]"]), f"<{owner}: numbers>", "exec")
    return Rule(numbers, tuple(reader.lines), reads, compile(body, f"<{owner}>", "exec"))


class _Reader(ast.NodeTransformer):
    """Reads lines one after the other: of `numbers` and `arrays`, known so far, it may set again `moves`."""

    def __init__(self, owner: str, moves: set[str], numbers: set[str]) -> None:
        self.owner, self.moves, self.numbers, self.arrays = owner, moves, numbers, {"g", *moves}
        self.computed: list[tuple[str, str]] = []
        self.lines: list[str] = []

    def steps(self, text: str) -> list[ast.stmt]:
        """Read a line; return what is to be done in NumPy."""
        try:
            (line,) = ast.parse(text).body
        except (SyntaxError, ValueError):
            line = ast.Pass()
        self._text = text
        targets = line.targets if isinstance(line, ast.Assign) else []
        if (
            not isinstance(line, ast.Assign)
            or len(targets) != 1
            or not isinstance(target := targets[0], ast.Name)
        ):
            raise self._error("an equation is name = expression, as in p = p - lr*g")
        name, value = target.id, line.value
        taken = name in self.numbers | self.arrays | FUNCTIONS.keys() or name.startswith("_")
        if taken and name not in self.moves:
            raise self._error(f"{name} cannot be set; p and slots can, and names of your own, once")
        self._check(value)
        if name not in self.moves and not _reads(value, self.arrays):
            self._compute(name, value)
            return []
        if isinstance(value, ast.Name):  # a copy, for the array of that name may be set further down
            value = ast.BinOp(ast.Constant(1), ast.Mult(), value)
        value = self.visit(value)
        self.arrays.add(name)
        self.lines.append(f"{name} = {ast.unparse(value)}")
        return _in_place(target, value) or [ast.Assign([target], value)]

    def _error(self, says: str) -> ConfigError:
        return ConfigError(f"{self.owner}: {self._text!r}: {says}")

    def _check(self, expr: ast.expr) -> None:
        parts: list[ast.expr] = []
        match expr:
            case ast.Constant(int() | float() as value) if not isinstance(value, bool):
                pass
            case ast.Name(name):
                if name not in self.arrays | self.numbers:
                    known = ", ".join(sorted(self.arrays) + sorted(self.numbers))
                    raise self._error(f"{name} is not known; there are {known}")
            case ast.UnaryOp(ast.USub(), a):
                parts = [a]
            case ast.BinOp(a, ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow(), b):
                parts = [a, b]
            case ast.Call(ast.Name(name), parts, []) if name in FUNCTIONS:
                if len(parts) != (arity := 2 if name in ("max", "min") else 1):
                    raise self._error(f"{name} takes {arity} values, got {len(parts)}")
            case _:
                says = f"numbers, names, + - * / ** and {', '.join(FUNCTIONS)}"
                raise self._error(f"{ast.unparse(expr)}: equations are made of {says}")
        for part in parts:
            self._check(part)
        if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Pow) and _reads(expr, self.arrays):
            size = expr.right.operand if isinstance(expr.right, ast.UnaryOp) else expr.right
            if not isinstance(size, ast.Constant) or abs(float(str(size.value))) > LARGEST_POWER:
                says = f"a power of an array is a number, at most {LARGEST_POWER}"
                raise self._error(f"{ast.unparse(expr)}: {says}")

    def visit(self, node: ast.AST) -> Any:
        """Return an expression with a name for each part of it that is made of numbers alone."""
        if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Call) and not _reads(node, self.arrays):
            return self._compute(f"_{len(self.computed)}", node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return ast.BinOp(self.visit(node.left), node.op, node.right)
        return self.generic_visit(node)

    def _compute(self, name: str, value: ast.expr) -> ast.Name:
        self.computed.append((name, ast.unparse(value)))
        self.numbers.add(name)
        return ast.Name(name, ast.Load())


def _reads(expr: ast.expr, names: Set[str]) -> bool:
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(expr))


def _in_place(m: ast.Name, expr: ast.expr) -> list[ast.stmt] | None:
    """Return m *= beta and m += g for beta*m + g: the same arithmetic, without an array for each step."""
    match expr:
        case ast.Name(m.id):
            return []
        case ast.BinOp(a, op, b):
            for inner, other in ((a, b), (b, a)) if isinstance(op, ast.Add | ast.Mult) else ((a, b),):
                before = _in_place(m, inner)
                if before is not None and not _reads(other, {m.id}):
                    return [*before, ast.AugAssign(m, op, other)]
    return None
