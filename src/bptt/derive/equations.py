"""A cell's equations: named values, each set once, of an expression that can be derived.

A cell's equations are a Python function that is read and never called::

    @bptt.cell(state="h c")
    def lstm(a_i, a_f, a_o, a_g, c):
        i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
        c = f * c + i * g
        h = o * tanh(c)
        return h, c

Its arguments are told apart by their names:

=============  =====================================================================================
``a_i``        a gate's pre-activation, x_t W_i + h_{t-1} U_i + b_i
``x_n``        one with an input part only, x_t W_n + b_n
``u_n``        one with a recurrent part only, h_{t-1} U_n (+ b_h)
``c``          a state before the step (or ``c_prev``); the names are those of ``state=``
``p``          a parameter for each hidden unit, where ``params=`` names it
``alpha``      one for the whole layer, where ``scalars=`` names it
``floor=0.1``  a constant with its value
=============  =====================================================================================

The equations hold one hidden unit's arithmetic; the matrix products are outside. Where a gate's recurrent
product takes something else than h_{t-1}, as in the GRU with the reset before the product,
``operand={"a_n": "q"}`` says which of the equations' values it takes.

The room is read in this order: the data here, :mod:`~bptt.derive.source` (a function's text and its place),
:mod:`~bptt.derive.signature`, :mod:`~bptt.derive.expressions`, :mod:`~bptt.derive.reader` (the body).
"""

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from bptt.errors import BpttError

if TYPE_CHECKING:
    from bptt.maps import Map

Start = float | tuple[float, float]
"""Where a parameter starts: a number, or the bounds between which it is drawn."""


class EquationError(BpttError):
    """A cell's equations cannot be read: the text says where and what is allowed."""


@dataclass(frozen=True)
class Statement:
    """One value and what it is.

    Attributes
    ----------
    name : str
        Set once; a state before the step is ``c_prev``, after it ``c``.
    expr : ast.expr
        Over arguments and earlier names. A function stands only at its head: ``tanh(c)`` inside an
        expression is a statement of its own.
    number : int
        Of the equation, from 1, as the derivation cites it.
    written : bool
        Whether the user gave the name.
    """

    name: str
    expr: ast.expr
    number: int
    written: bool = True

    @cached_property
    def reads(self) -> list[str]:
        """The names in the expression, in order of appearance, once each."""
        called = {id(n.func) for n in ast.walk(self.expr) if isinstance(n, ast.Call)}
        names = [n for n in ast.walk(self.expr) if isinstance(n, ast.Name) and id(n) not in called]
        names.sort(key=lambda n: (n.lineno, n.col_offset))
        return list(dict.fromkeys(n.id for n in names))

    @property
    def function(self) -> str | None:
        """The function at the head of the expression, if one is."""
        match self.expr:
            case ast.Call(func=ast.Name(id=name)):
                return name
        return None


@dataclass(frozen=True)
class Equations:
    """A cell's equations.

    Attributes
    ----------
    name : str
    gates : tuple of str
        The arguments ``a_``, ``x_`` and ``u_``, by their whole names, in order.
    states : tuple of str
        The first is the output.
    params : dict
        Each hidden unit's own parameters, and where they start.
    scalars : tuple of str
        Which of these are one number of the whole layer.
    starts : dict of float
        Where states start, of those that do not start at zero.
    constants : dict of float
    operand : dict of str
        Gate to the name of what its recurrent product takes in place of the output.
    statements : tuple of Statement
    bias : bool
        Whether the gates have biases.
    maps : dict
        What matrices are made of, as `Cell.maps` has it.
    text : str
        The function with its decorator, complete in itself: read again, it gives the same equations.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    params: dict[str, Start]
    constants: dict[str, float]
    operand: dict[str, str]
    statements: tuple[Statement, ...]
    bias: bool = True
    scalars: tuple[str, ...] = ()
    starts: dict[str, float] = field(default_factory=dict)
    maps: "dict[str, Map | str]" = field(default_factory=dict)
    doc: str = ""
    text: str = field(default="", repr=False)

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the statements read that is set by none of them."""
        return (*self.gates, *self.params, *self.before, *self.constants)

    @property
    def before(self) -> tuple[str, ...]:
        """The states before the step, by name."""
        return tuple(f"{s}_prev" for s in self.states)

    @property
    def names(self) -> tuple[str, ...]:
        """All names: the arguments', then the values' in the order of the text."""
        return (*self.arguments, *(s.name for s in self.statements))

    @property
    def q(self) -> str | None:
        """The value that recurrent products take in place of the output, where some do."""
        return next(iter(self.operand.values()), None)

    def made_of(self, name: str) -> set[str]:
        """Return the names of all that a value is made of."""
        return {n for s in self.ancestors((name,)) for n in s.reads}

    def ancestors(self, names: tuple[str, ...]) -> tuple[Statement, ...]:
        """Return the statements that `names` are made of, in order."""
        wanted, found = set(names), []
        for s in reversed(self.statements):
            if s.name in wanted:
                wanted.update(s.reads)
                found.append(s)
        return tuple(reversed(found))
