"""What no step changes: equations parted into those of parameters alone, and those of a step.

::

    (1)  v = f(p)                 once before the loop: exp(A), softplus(rate), and what is made of these
         ... the steps, for which v is a parameter
    (2)  dp += dv ∂f/∂p           once after them, of the sum dv over all steps

Both parts are equations, so each is derived and proven as a cell is.
"""

import ast
from dataclasses import dataclass, replace
from typing import Any

from bptt.derive.axes import SIZES
from bptt.derive.equations import Equations, Start, Statement


@dataclass(frozen=True)
class Parts:
    """A cell's equations in two parts.

    Attributes
    ----------
    still : Equations, or None
        What is computed once: its states are what the steps read of it. None where that is nothing.
    moving : Equations
        The step, with these values as parameters; all equations, where nothing is still.
    """

    still: Equations | None
    moving: Equations

    @property
    def made(self) -> tuple[str, ...]:
        """The names of the values that are computed once and read by steps."""
        return () if self.still is None else self.still.states


def parts(eq: Equations) -> Parts:
    """Part equations.

    What is computed once has a function or a quotient in it: a sum or a product of parameters is as quickly
    computed as it is read.

    Examples
    --------
    >>> import bptt
    >>> found = parts(bptt.zoo.get("rg-lru").equations)
    >>> found.made, [s.name for s in found.still.statements], "rate" in found.moving.params
    (('softplus_rate',), ['softplus_rate'], False)
    """
    alone, known, costly = set[str](), {*eq.constants, *SIZES}, set[str]()
    for s in eq.statements:
        reads = {*s.reads} - known
        if reads and reads <= alone | {*eq.params} and s.name not in (*eq.states, *eq.operands):
            alone.add(s.name)
            if _is_costly(s) or costly.intersection(s.reads):
                costly.add(s.name)
    moving = tuple(s for s in eq.statements if s.name not in costly)
    read = {name for s in moving for name in s.reads}
    made = tuple(s.name for s in eq.statements if s.name in costly & read)
    if not made:
        return Parts(None, eq)
    still = eq.ancestors(made)
    own = {name for s in still for name in s.reads}
    first = {n: start for n, start in eq.params.items() if n in own}
    left = {n: start for n, start in eq.params.items() if n in read or n not in own}
    return Parts(
        _part(eq, still, first, gates=(), states=made, operand={}, starts={}, inputs=()),
        _part(eq, moving, left | dict.fromkeys(made, 0.0)),
    )


def _part(
    eq: Equations, statements: tuple[Statement, ...], params: dict[str, Start], **others: Any
) -> Equations:
    scalars = tuple(n for n in eq.scalars if n in params)
    part = replace(eq, statements=statements, params=params, scalars=scalars, maps={}, text="", **others)
    if eq.is_elementwise:
        return part
    before = {s: eq.axes.get(f"{s}_prev", eq.axes[s]) for s in part.states}
    return replace(part, shapes={n: eq.axes[n] for n in part.columns} | before)


def _is_costly(s: Statement) -> bool:
    kinds = (ast.Div, ast.Pow)
    return s.function is not None or any(isinstance(node, kinds) for node in ast.walk(s.expr))
