"""Noise on the way through time: zoneout, and dropout of what U reads; a cell's equations with it.

::

    (1)  q' = m q                             what U reads: h_{t-1}, operands   Gal and Ghahramani 2016
    (2)  s_t = z s_{t-1} + (1 - z) f(...)     each state s, or h alone          zoneout, Krueger et al. 2017

m is 0 or 1/(1-p), drawn once for a row of a batch; z is 1 (with probability p) or 0, drawn for each step,
and one for all states of a shape but the output's.
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
from bptt.derive.axes import OVER, SHAPES
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
            if equations_of(self.cell) is None:
                raise ConfigError(
                    f"{name} is written into a cell's equations, and {self.cell.name} has none: see bptt.cell"
                )
        if self.zoneout_cell and not self.cell.states[1:]:
            raise ConfigError(f"zoneout_cell is for states beside the output, and {self.cell.name} has none")
        if self.recurrent_dropout and not (self.cell.from_q or self.cell.from_h):
            raise ConfigError(f"recurrent_dropout drops what U reads, and {self.cell.name} has no U")

    @property
    def kept(self) -> dict[tuple[str, ...], float]:
        """The parts that keep their values, by the states that keep them together."""
        first, *others = self.cell.states
        widths: dict[object, list[str]] = {}
        for state in others if self.zoneout_cell else ():  # else no equations need be read
            widths.setdefault(_axes(self.cell, state), []).append(state)
        parts = {(first,): self.zoneout} | {tuple(some): self.zoneout_cell for some in widths.values()}
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
        (T, N, H), values = shape, []
        own = cell.given[: len(cell.given) - len(cell.inputs)]
        for name, p in zip(own, self._parts(own), strict=True):
            wide = T, N, cell.width(name, H)
            if p is None:  # (1)
                m = dropout.factors(rng, wide, self.recurrent_dropout, dtype, "sequence")
                assert m is not None
                values.append(repeated(m, T, backend))
            else:
                values.append(dropout.kept(rng, wide, p, dtype))  # (2)
        return cell, dict(zip(own, values, strict=True))

    def _parts(self, names: tuple[str, ...]) -> list[float | None]:
        """Return for each of what is drawn the part that is kept; none of what is dropped."""
        kept = [*self.kept.values()]
        return [None] * (len(names) - len(kept)) + [*kept]


def _axes(cell: Cell, name: str) -> object:
    made = equations_of(cell)
    return made and made.equations.axes[f"{name}_prev"]


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
    params, constants, operand, shapes = (
        dict(eq.params),
        dict(eq.constants),
        dict(eq.operand),
        dict(eq.shapes),
    )
    lines, given, taken = list[str](), list[str](), set[str]()

    def fresh(name: str) -> str:
        while name in taken or name in given or name in eq.names or f"d{name}" in eq.names:
            name += "_"
        return name

    sources = [("", eq.before[0])] * bool(plain.from_h) + [(q, q) for q in eq.operands]
    masked: dict[str, str] = {}  # what a product takes, of the operand that it took; of none, the output
    factor: dict[str, str] = {}
    for called, q in sources if drops else ():
        own = "" if q == eq.before[0] else f"_{q.removesuffix('_prev')}"
        if q not in factor:
            factor[q] = fresh(f"mask{own}")
            given.append(factor[q])
            shapes[factor[q]] = eq.axes[q]
        masked[called] = fresh(f"masked{own}")
        taken.add(masked[called])
        if q in eq.before:
            lines.append(f"{masked[called]} = {factor[q]} * {q}")  # (1)
    if drops:
        operand = {g: masked[eq.operand.get(g, "")] for g in eq.gates if g[0] in "au"}
    zone = {states: fresh(f"zone_{states[0]}") for states, _ in kept}
    given += [zone[states] for states, z in kept if z is None]
    shapes |= {zone[states]: eq.axes[f"{states[0]}_prev"] for states, z in kept if z is None}
    constants |= {zone[states]: z for states, z in kept if z is not None}
    params |= dict.fromkeys(given, 0.0)
    scalars = {name: params.pop(name) for name in eq.scalars}
    new = {s: fresh(f"new_{s}") for states in zone for s in states}
    for statement in eq.statements:
        expr = _Written(new).visit(copy.deepcopy(statement.expr))
        name = new.get(statement.name, statement.name)
        lines.append(f"{name} = {ast.unparse(expr)}")
        if statement.name in factor:
            lines.append(f"{masked[statement.name]} = {factor[statement.name]} * {name}")  # (1)
    lines += [
        f"{s} = {z} * {s}_prev + (1 - {z}) * {new[s]}" for states, z in zone.items() for s in states
    ]  # (2)
    arguments = [*eq.gates, *params, *scalars, *eq.inputs, *eq.before]
    arguments += [f"{name}={x!r}" for name, x in constants.items()]
    text = "\n    ".join((f"def made({', '.join(arguments)}):", *lines, f"return {', '.join(eq.states)}"))
    options: dict[str, object] = {"state": eq.states, "params": params, "scalars": scalars}
    options |= {"start": eq.starts, "operand": operand, "maps": eq.maps, "bias": eq.bias, "heads": eq.heads}
    words = {axes: shape for shape, axes in SHAPES.items()}
    options |= {"inputs": list(eq.inputs), "shapes": {n: words[axes] for n, axes in shapes.items()}}
    options |= {"sizes": {"key": eq.keys or "unit"}} if eq.has_keys else {}
    name = f"{eq.name[:80]}-{'zoneout' if kept else 'dropout'}"
    equations = read(text, name=name, file=f"{eq.name} with noise", options=options)
    made = EquationCell(equations, plain._init)  # biases start where the cell wants them
    made.given = (*given, *eq.inputs)
    made.name_matrices({new: plain.matrix(q) if q else "U" for q, new in masked.items()})
    return made


class _Written(ast.NodeTransformer):
    """Gives values their new names, and writes where(u, ...), which is how it is kept, as it is read."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function, _, axis = ast.unparse(node.func).partition("_")
        if ast.unparse(node.func) in OVER:
            at = [ast.Name(axis)] * (axis != "unit")
            return ast.Call(ast.Name(function), [*node.args, *at], [])
        if function == "where":
            node.args[0] = ast.Compare(node.args[0], [ast.Gt()], [ast.Constant(0)])
        return node
