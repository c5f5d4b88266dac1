"""Noise on the way through time: zoneout, and dropout of what U reads; a cell's equations with it.

::

    (1)  h' = m h_{t-1}                       what U reads of the output        Gal and Ghahramani 2016
    (2)  s_t = z s_{t-1} + (1 - z) f(...)     each state s, or h alone          zoneout, Krueger et al. 2017

m is 0 or 1/(1-p), drawn once for a row of a batch; z is 1 (with probability p) or 0, drawn for each step.
Both are written into the cell's own equations, where they are `given`: so the backward is derived and
proven as any cell's is, and runs in the reference and in kernels. A model that is not trained has p
in the place of z.
"""

import ast
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from bptt.cells import Cell
from bptt.derive import EquationCell, read
from bptt.errors import ConfigError
from bptt.kernels.backends import Backend, repeated
from bptt.nets import dropout
from bptt.types import Dtype, Generator, Params
from bptt.zoo import equations_of


@dataclass(frozen=True)
class Noise:
    """What happens to a cell's states on their way through time.

    Parameters
    ----------
    cell : Cell
        Without any.
    recurrent_dropout : float
        The part dropped of what U reads.
    zoneout, zoneout_cell : float
        The part of the output that keeps its value from before the step; that of all other states.
    """

    cell: Cell
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    zoneout_cell: float = 0.0

    def __post_init__(self) -> None:
        for name in ("recurrent_dropout", "zoneout", "zoneout_cell"):
            if not getattr(self, name):
                continue
            dropout.expect_part(name, getattr(self, name))
            if self.cell.more:
                raise ConfigError(
                    f"{name} is written into equations of one number for each unit, and those of "
                    f"{self.cell.name} have {self.cell.more}"
                )
            if equations_of(self.cell) is None:
                raise ConfigError(
                    f"{name} is written into a cell's equations, and {self.cell.name} has none: see bptt.cell"
                )
        if self.zoneout_cell and not self.cell.states[1:]:
            raise ConfigError(f"zoneout_cell is for states beside the output, and {self.cell.name} has none")
        if self.recurrent_dropout and (self.cell.from_q or not self.cell.from_h):
            has = "an operand of its own" if self.cell.from_q else "nothing"
            raise ConfigError(f"recurrent_dropout drops what U reads, and U of {self.cell.name} reads {has}")

    @property
    def kept(self) -> dict[tuple[str, ...], float]:
        """The parts that keep their values, by the states that keep them together."""
        first, *others = self.cell.states
        parts = {(first,): self.zoneout, tuple(others): self.zoneout_cell}
        return {states: p for states, p in parts.items() if p}

    @cached_property
    def expected(self) -> Cell:
        """The cell of a model that is not trained."""
        return with_noise(self.cell, tuple(self.kept.items())) if self.kept else self.cell

    def draw(
        self, rng: Generator | None, shape: tuple[int, int, int], dtype: Dtype, backend: Backend = "auto"
    ) -> tuple[Cell, Params]:
        """Return the cell to run over (T, N, H), and what it is given; the expected one without `rng`."""
        if rng is None or not (self.kept or self.recurrent_dropout):
            return self.expected, {}
        cell = with_noise(self.cell, tuple(dict.fromkeys(self.kept).items()), self.recurrent_dropout > 0)
        values = []
        if (m := dropout.factors(rng, shape, self.recurrent_dropout, dtype, "sequence")) is not None:
            values.append(repeated(m, shape[0], backend))  # (1)
        values += [dropout.kept(rng, shape, p, dtype) for p in self.kept.values()]  # (2)
        return cell, dict(zip(cell.given, values, strict=True))


@cache
def with_noise(
    cell: Cell, kept: tuple[tuple[tuple[str, ...], float | None], ...], drops: bool = False
) -> EquationCell:
    """Return a cell with (2), and with (1) where it `drops`.

    Parameters
    ----------
    cell : Cell
        With equations.
    kept : tuple of (tuple of str, float or None)
        States with their z; where it is None it is given.
    drops : bool
        Whether there is m, which is given.

    Examples
    --------
    >>> import bptt
    >>> made = with_noise(bptt.zoo.get("rnn"), ((("h",), 0.1),))
    >>> print(made.equations.text.partition("def")[2].strip())
    made(a_h, h_prev, zone_h=0.1):
        new_h = tanh(a_h)
        h = zone_h * h_prev + (1 - zone_h) * new_h
        return h
    """
    plain = equations_of(cell)
    assert plain is not None
    eq = plain.equations
    params, constants, operand, lines, given = dict(eq.params), dict(eq.constants), eq.operand, [], []

    def fresh(name: str) -> str:
        while name in eq.names or f"d{name}" in eq.names:
            name += "_"
        return name

    if drops:
        m, q = fresh("mask"), fresh("masked")
        given.append(m)
        lines.append(f"{q} = {m} * {eq.before[0]}")  # (1)
        operand = {gate: q for gate in eq.gates if gate[0] in "au"}
    zone = {states: fresh(f"zone_{states[0]}") for states, _ in kept}
    given += [zone[states] for states, z in kept if z is None]
    constants |= {zone[states]: z for states, z in kept if z is not None}
    params |= dict.fromkeys(given, 0.0)
    new = {s: fresh(f"new_{s}") for states in zone for s in states}
    for statement in eq.statements:
        expr = _Written(new).visit(copy.deepcopy(statement.expr))
        lines.append(f"{new.get(statement.name, statement.name)} = {ast.unparse(expr)}")
    lines += [
        f"{s} = {z} * {s}_prev + (1 - {z}) * {new[s]}" for states, z in zone.items() for s in states
    ]  # (2)
    arguments = [*eq.gates, *params, *eq.before, *(f"{name}={x!r}" for name, x in constants.items())]
    text = "\n    ".join((f"def made({', '.join(arguments)}):", *lines, f"return {', '.join(eq.states)}"))
    scalars = {name: params.pop(name) for name in eq.scalars}
    options: dict[str, object] = {"state": eq.states, "params": params, "scalars": scalars}
    options |= {"start": eq.starts, "operand": operand, "maps": eq.maps, "bias": eq.bias}
    name = f"{eq.name[:80]}-{'zoneout' if kept else 'dropout'}"
    equations = read(text, name=name, file=f"{eq.name} with noise", options=options)
    made = EquationCell(equations, plain._init)  # biases start where the cell wants them
    made.given = tuple(given)
    return made


class _Written(ast.NodeTransformer):
    """Gives values their new names, and writes where(u, ...), which is how it is kept, as it is read."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node.func) == "where":
            node.args[0] = ast.Compare(node.args[0], [ast.Gt()], [ast.Constant(0)])
        return node
