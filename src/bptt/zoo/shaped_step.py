"""One time step of a cell with values over axes, several operands or inputs, in somebody else's arrays."""

import ast
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from bptt.derive import EquationCell
from bptt.derive.axes import NUMBERS, PLACES, numbers
from bptt.derive.equations import Statement
from bptt.layer.columns import Columns, Part

Arrays = Mapping[str, Any]

_OVER = [
    (f"{kind}_{axis}", function, at)
    for kind, function in (("sum", "sum"), ("max", "largest"), ("cumsum", "cumsum"))
    for axis, at in PLACES.items()
]
"""Functions over an axis, what makes them, and where the axis is."""


def over_axes(functions: Arrays) -> dict[str, Any]:
    """Return the functions over an axis, of ``sum``, ``largest`` and ``cumsum`` as far as they are there."""
    return {name: _over(functions[f], at) for name, f, at in _OVER if f in functions}


def shaped_step(cell: EquationCell, functions: Arrays) -> Callable[..., Any]:
    """Return what :func:`bptt.zoo.step.step_of` does."""
    eq = cell.equations
    pointwise = _pointwise(cell, functions)
    argument = dict(zip(cell.gates, eq.columns, strict=True))

    def step(a_x: Any, states: tuple[Any, ...], params: Arrays, given: Arrays | None = None) -> Any:
        H = cell.hidden(params)
        columns, rows, b_h = Columns.of(cell, H), tuple(states[0].shape[:-1]), params.get("b_h")

        def shaped(name: str, array: Any) -> Any:
            return array.reshape(*array.shape[:-1], *eq.shape(name, H))

        def flat(name: str, value: Any) -> Any:
            whole = functions["broadcast_to"](value, (*rows, *eq.shape(name, H)))
            return whole.reshape(*rows, eq.width(name, H))

        def parts(part: Part, made: Any) -> dict[str, Any]:
            ends = accumulate((cell.width(g, H) for g in part.gates), initial=0)
            cut = [made[..., a:b] for a, b in pairwise(ends)]
            return {argument[g]: shaped(argument[g], v) for g, v in zip(part.gates, cut, strict=True)}

        def product(k: int, q: Any) -> dict[str, Any]:
            p = columns.products[k]
            made = flat(p.operand or eq.before[0], q) @ params[p.matrix][:, p.own]
            start = sum(before.part.width for before in columns.products[:k])
            return parts(p.part, made if b_h is None else made + b_h[start : start + p.part.width])

        values = {n: shaped(n, array) for n, array in zip(eq.before, states, strict=True)}
        values |= {n: params[n] if n in eq.scalars else shaped(n, params[n]) for n in eq.params}
        values |= {n: shaped(n, array) for n, array in (given or {}).items()}
        values |= numbers(*eq.sizes(H)) | parts(columns.W, a_x)
        for gate, more in (product(0, values[eq.before[0]]) if cell.from_h else {}).items():
            values[gate] = values[gate] + more if gate in values else more
        return tuple(flat(s, v) for s, v in zip(eq.states, pointwise(values, product), strict=True))

    return step


def _over(function: Any, at: int) -> Any:
    return lambda a: function(a, at)


def _pointwise(cell: EquationCell, functions: Arrays) -> Callable[..., Any]:
    """Return a step's equations as a function of the values they read, and of what makes a product."""
    eq = cell.equations
    read = {n for s in eq.statements for n in s.reads} | {*eq.operands}
    fed = [g for g in eq.operand if g[0] == "u"]  # of these nothing is there before the operand
    given = [n for n in (*eq.columns, *eq.before, *NUMBERS) if n in read and n not in fed]
    lines = [f"{name} = values[{name!r}]" for name in given]
    left = list(eq.statements)

    def add(statements: Sequence[Statement]) -> None:
        lines.extend(f"{s.name} = {ast.unparse(s.expr)}" for s in statements if s in left)
        left[:] = [s for s in left if s not in statements]

    for k, (q, gates) in enumerate(eq.operands.items(), 1):
        add(eq.ancestors((q,)))
        lines.append(f"more = product({k}, {q})")
        lines += [f"{g} = more[{g!r}]" if g in fed else f"{g} = {g} + more[{g!r}]" for g in gates]
    add(eq.statements)
    lines.append(f"return ({', '.join(eq.states)},)")
    namespace: dict[str, Any] = {**functions, **eq.constants}
    text = "def pointwise(values, product):\n    " + "\n    ".join(lines)
    exec(compile(text, f"<{cell.name}>", "exec"), namespace)
    made: Callable[..., Any] = namespace["pointwise"]
    return made
