"""Forwards as people write them, from a cell's equations, and every value that they have while they run."""

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checking.cells import Recorded
from bptt.derive import Equations
from bptt.derive.functions import NAMESPACE
from bptt.derive.numpy_code import as_written

T, N, D, H = 4, 2, 3, 5


class _Tapped(ast.NodeTransformer):
    def __init__(self) -> None:
        self.sites: list[tuple[str, int]] = []

    def generic_visit(self, node: ast.AST) -> ast.AST:
        plain = isinstance(node, ast.Constant | ast.Slice | ast.Starred)
        plain = plain or isinstance(getattr(node, "ctx", None), ast.Store)
        text = ast.unparse(node) if isinstance(node, ast.expr) else ""
        super().generic_visit(node)
        if not isinstance(node, ast.expr) or plain:
            return node
        self.sites.append((text, node.lineno))
        tap = ast.Call(ast.Name("tap", ast.Load()), [ast.Constant(len(self.sites) - 1), node], [])
        return ast.fix_missing_locations(ast.copy_location(tap, node))


def recorded(code: str, **scope: Any) -> list[Recorded]:
    """Return the values of all expressions of a text; R(2, 3) in it is a random array."""
    tapped = _Tapped()
    tree = tapped.visit(ast.parse(code))
    found: list[Recorded] = []
    counts: dict[int, int] = {}

    def tap(k: int, value: Any) -> Any:
        if isinstance(value, np.ndarray | float):
            counts[k] = counts.get(k, -1) + 1
            found.append(Recorded(*tapped.sites[k], np.array(value), counts[k]))
        return value

    rng = np.random.default_rng(0)
    names = {**NAMESPACE, "tap": tap, "R": lambda *shape: rng.normal(size=shape), **scope}
    with np.errstate(all="ignore"):
        exec(compile(ast.fix_missing_locations(tree), "<code>", "exec"), names)
    return found


@dataclass(frozen=True)
class Style:
    """How a forward is written.

    Attributes
    ----------
    layout : "rows", "columns" or "vectors"
        How an example lies; vectors are one example.
    packed : bool
        Whether all gates have one matrix.
    joined : bool
        Whether that is multiplied by the output and the input side by side.
    """

    layout: str = "rows"
    packed: bool = False
    joined: bool = False


def forward(eq: Equations, style: Style, **constants: float) -> str:
    """Return a cell's forward as code; v_c is the value c, s_c the state before."""
    writer = _Writer(eq, style)
    before = [f"s_{s} = np.zeros({writer.shape('N', 'H')})" for s in eq.states]
    steps = [*writer.step(), *(f"s_{s} = v_{s}" for s in eq.states)]
    loop = "\n".join(f"    {line}" for line in (f"x = R{writer.shape('N', 'D')}", *steps))
    writer.made += [f"v_{name} = {value}" for name, value in constants.items()]
    start = "\n".join((f"T, N, D, H = {T}, {N}, {D}, {H}", *writer.made, *before))
    return f"{start}\nfor t in range(T):\n{loop}\n"


class _Writer:
    def __init__(self, eq: Equations, style: Style) -> None:
        self.eq, self.style = eq, style
        self.made = [
            f"v_{p} = R{self.shape('1', 'H') if style.layout == 'columns' else '(H,)'}" for p in eq.params
        ]

    def shape(self, rows: str, columns: str) -> str:
        """Return the shape of an array that is (rows, columns) where examples are rows."""
        if self.style.layout == "vectors":
            return f"({columns},)"
        return f"({columns}, {rows})" if self.style.layout == "columns" else f"({rows}, {columns})"

    def product(self, matrix: str, size: str, value: str, width: str = "H") -> str:
        """Return a new matrix times a value."""
        rows = self.style.layout == "rows"
        self.made.append(f"{matrix} = R({size}, {width})" if rows else f"{matrix} = R({width}, {size})")
        return f"{value} @ {matrix}" if rows else f"np.dot({matrix}, {value})"

    def affine(self, name: str, kind: str, operand: str, width: str = "H") -> str:
        """Return a gate's pre-activation: of x, of what the recurrent product takes, or of both."""
        if self.style.joined and kind == "a":
            axis = "1" if self.style.layout == "rows" else "0"
            text = self.product(f"M_{name}", "H + D", f"np.concatenate(({operand}, x), axis={axis})", width)
        else:
            parts = [self.product(f"W_{name}", "D", "x", width)] if kind in "ax" else []
            parts += [self.product(f"U_{name}", "H", operand, width)] if kind in "au" else []
            text = " + ".join(parts)
        if not self.eq.bias:
            return text
        self.made.append(
            f"b_{name} = R({width}, 1)" if self.style.layout == "columns" else f"b_{name} = R({width})"
        )
        return f"{text} + b_{name}"

    def step(self) -> list[str]:
        """Return a step's lines."""
        eq, h = self.eq, f"s_{self.eq.states[0]}"
        packed = [g for g in eq.gates if g[0] == "a" and g not in eq.operand] if self.style.packed else []
        lines = [f"A = {self.affine('all', 'a', h, f'{len(packed)} * H')}"] if packed else []
        for k, gate in enumerate(packed):
            part = f"{k} * H:{k + 1} * H"
            lines.append(
                f"v_{gate} = A[:, {part}]" if self.style.layout == "rows" else f"v_{gate} = A[{part}]"
            )
        done = {*packed}
        for s in eq.statements:
            for gate in (g for g in eq.gates if g in s.reads and g not in done):
                operand = f"v_{eq.operand[gate]}" if gate in eq.operand else h
                lines.append(f"v_{gate} = {self.affine(gate, gate[0], operand)}")
                done.add(gate)
            lines.append(f"v_{s.name} = {self.value(as_written(s))}")
        return lines

    def value(self, text: str) -> str:
        """Return an equation in the code's names."""
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in self.eq.names:
                before = node.id in self.eq.before
                node.id = f"s_{node.id.removesuffix('_prev')}" if before else f"v_{node.id}"
        return ast.unparse(tree)
