"""One time step of any cell in somebody else's arrays, made from its equations."""

import ast
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from bptt.cells import Cell
from bptt.derive import EquationCell
from bptt.errors import ConfigError
from bptt.zoo import equations_of, get
from bptt.zoo.shaped_step import over_axes, shaped_step

Split = Callable[[Any, int], Any]
"""Cuts an array's last axis into equal blocks."""


def with_equations(cell: str | Cell) -> EquationCell:
    """Return a cell as its equations, or raise a ConfigError."""
    found = equations_of(get(cell))
    if found is None:
        raise ConfigError(
            f"the cell {get(cell).name} is written by hand and has no equations to write a loop from"
        )
    return found


def step_of(cell: EquationCell, functions: Mapping[str, Any], split: Split) -> Callable[..., Any]:
    """Return ``step(a_x, states, params, given)``, the states after a step, on arrays of some library.

    Its a_x is x_t W + b (N, Gx·H); params are the layer's matrices, its b_h if it has one, and its units'
    own; `given` are the inputs of this step by name. `functions` are those of ``bptt.derive.FUNCTIONS``; of
    values over axes ``sum``, ``largest`` and ``cumsum``, of an array and its axis; and ``broadcast_to``. A
    ConfigError names what is not among them.
    """
    eq = cell.equations
    functions = {**functions, **over_axes(functions)}
    unknown = {s.function for s in eq.statements} - {None, *functions}
    if unknown:
        raise ConfigError(f"{cell.name}: a loop of these operations has no {', '.join(map(str, unknown))}")
    if cell.more:
        return shaped_step(cell, functions)
    pointwise = _pointwise(cell, functions)
    gates = cell.gates[: len(eq.gates)]
    h_only, adds = len(cell.from_h), cell.from_x == cell.from_h == gates

    def step(
        a_x: Any,
        states: tuple[Any, ...],
        params: Mapping[str, Any],
        given: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        U, b_h, H = params["U"], params.get("b_h"), states[0].shape[-1]

        def product(operand: Any, columns: slice) -> Any:
            made = operand @ U[:, columns]
            return made if b_h is None else made + b_h[columns]

        edge = h_only * H
        if adds:
            values = split(a_x + product(states[0], slice(None)), len(gates))
        else:
            x = dict(zip(cell.from_x, split(a_x, len(cell.from_x)), strict=True)) if cell.from_x else {}
            h = {}
            if h_only:
                h = dict(zip(cell.from_h, split(product(states[0], slice(edge)), h_only), strict=True))
            values = [x[g] + h[g] if g in x and g in h else x[g] if g in x else h[g] for g in gates]

        def of_operand(q: Any) -> Any:
            return split(product(q, slice(edge, None)), len(cell.from_q))

        return pointwise(values, [{**params, **given}[p] for p in cell.units], states, of_operand)

    return step


def _pointwise(cell: EquationCell, functions: Mapping[str, Any]) -> Callable[..., Any]:
    eq = cell.equations
    first = eq.ancestors(tuple(set(eq.operand.values())))
    lines = [
        f"{_listed(names)} = {source}"
        for names, source in ((eq.gates, "gates"), ((*eq.params, *eq.inputs), "units"), (eq.before, "states"))
        if names
    ]
    lines += [f"{s.name} = {ast.unparse(s.expr)}" for s in first]
    if eq.operand:
        more = [f"more_{gate}" for gate in eq.operand]
        lines.append(f"{_listed(more)} = of_operand({next(iter(eq.operand.values()))})")
        lines += [f"{gate} = {gate} + more_{gate}" for gate in eq.operand]
    lines += [f"{s.name} = {ast.unparse(s.expr)}" for s in eq.statements if s not in first]
    lines.append(f"return {_listed(eq.states)}")
    namespace: dict[str, Any] = {**functions, **eq.constants}
    text = "def pointwise(gates, units, states, of_operand):\n    " + "\n    ".join(lines)
    exec(compile(text, f"<{cell.name}>", "exec"), namespace)
    made: Callable[..., Any] = namespace["pointwise"]
    return made


def _listed(names: Any) -> str:
    return f"({', '.join(names)},)"
